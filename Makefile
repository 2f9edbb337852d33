# Everything that is built lies in this checkout: .venv, .collections, .cache, build, hypervisor-report, tests/output.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
LINK := .collections/ansible_collections/dwp/hypervisor

# pip, ansible-galaxy, ansible-test and their friends keep their caches in the checkout too.
export XDG_CACHE_HOME := $(CURDIR)/.cache
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := ready
.PHONY: ready dev clean

ready: $(VENV)/run.stamp $(LINK)

dev: $(VENV)/dev.stamp $(LINK)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "python3 >= 3.10 is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt requirements-run.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --requirement requirements-run.txt
	touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@

# git carries no symlinked folders (ansible-test refuses them), so the clone gets its collection name here.
$(LINK):
	mkdir -p $(@D)
	ln -sfn ../../.. $@

clean:
	rm -rf $(VENV) .venv-* .collections .cache build hypervisor-report tests/output
