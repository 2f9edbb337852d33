# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed runs and ssh keys for tests of archives."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory as rd
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard(1)


def a_pack(report_dir: Path, run: str = "run-1", names: tuple[str, ...] = ("kvm1", "kvm2"), **options: Any) -> Path:
    """A sealed run with results and evidence of each name."""
    directory = rd.prepare(report_dir, run)
    subjects = []
    for name in names:
        document = builder.a_document(STANDARD, builder.a_subject(name))
        subjects.append(document["subject"])
        facts = {
            "facts": {"host": {"name": name}, "vms": [{"id": 1}, {"id": 2}, {"id": 3}]},
            "subject": document["subject"],
        }
        slug = document["subject"]["slug"]
        rd.write(directory, dict([rd.subject_file(document)]) | {f"evidence/{slug}.json": evidence.encode(facts)})
    rd.write(directory, {"run.json": evidence.encode({"subjects": subjects})})
    archive.seal(directory, archive.head(report_dir, leave_out=run), **options)
    return directory


def a_key(folder: Path, name: str = "key", passphrase: str = "") -> Path:
    """A private key; its public half is beside it."""
    path = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(path)], check=True, timeout=30
    )
    return path


def allow(folder: Path, *keys: Path, namespaces: str = "") -> Path:
    """An allowed_signers file in which each key's name is the principal."""
    option = f' namespaces="{namespaces}"' if namespaces else ""
    lines = [f"{key.name}@example.org{option} {key.with_suffix('.pub').read_text().strip()}\n" for key in keys]
    path = folder / "allowed_signers"
    path.write_text("".join(lines))
    return path
