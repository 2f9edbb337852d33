# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: built, checked as Galaxy checks it, installed from the file, used.

    python tests/run/artefact.py build       build/dwp-hypervisor-<version>.tar.gz; nothing in it that git does not know
    python tests/run/artefact.py importer    galaxy-importer on that file
    python tests/run/artefact.py install     ansible-galaxy installs that file offline; its documentation can be read

Each builds first: a stage never judges the file of an earlier run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from stage import BIN, CACHE, CHECKOUT, environment

BUILD = CHECKOUT / "build"
# The importer lints the unpacked artefact, which is not installed; the Molecule scenarios call its playbooks by name.
NOT_INSTALLED = frozenset(
    f"WARNING: ERROR    Failed to find dwp.hypervisor.{name} playbook." for name in ("audit", "harden", "revert")
)
GENERATED = {"MANIFEST.json", "FILES.json"}  # what `ansible-galaxy collection build` adds


def build(folder: Path) -> Path:
    """Build the artefact from the checkout into folder and refuse files that git does not know."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run("ansible-galaxy", "collection", "build", "--output-path", folder, CHECKOUT)
    artefact = next(folder.glob("dwp-hypervisor-*.tar.gz"))
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    with tarfile.open(artefact) as tar:
        carried = {member.name for member in tar.getmembers() if not member.isdir()}
    strange = carried - GENERATED - set(listed.stdout.splitlines())
    if strange:
        sys.exit(f"the artefact carries files that git does not know (add them to galaxy.yml): {sorted(strange)}")
    print(f"{artefact.relative_to(CHECKOUT)}: {len(carried)} files, {artefact.stat().st_size / 1024:.0f} KiB")
    return artefact


def importer() -> None:
    """Run galaxy-importer on the artefact; a warning of its checks counts as a fault."""
    folder = BUILD / "importer"
    artefact = build(folder)
    settings = Path(__file__).with_name("galaxy-importer.cfg")
    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [BIN / "python", "-m", "galaxy_importer.main", artefact],
        cwd=folder, check=False, timeout=600, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**environment(), "GALAXY_IMPORTER_CONFIG": str(settings), "HOME": str(home)},
    )  # fmt: skip
    print(done.stdout)
    noted = [line for line in done.stdout.splitlines() if line.startswith(("WARNING:", "ERROR:"))]
    faults = [line for line in noted if line not in NOT_INSTALLED]
    if done.returncode or faults:
        sys.exit(f"galaxy-importer: exit code {done.returncode}, {len(faults)} warnings and errors")
    result = json.loads((folder / "importer_result.json").read_text(encoding="utf-8"))
    print(f"galaxy-importer accepts {len(result['contents'])} pieces of content")


def install(folder: Path) -> Path:
    """Install the artefact offline below folder and read the documentation of its module from there.

    Returns the collections path.
    """
    artefact = build(folder / "artefact")
    collections = folder / "collections"
    only_here = folder / "ansible.cfg"  # the checkout's own ansible.cfg would find the checkout
    only_here.write_text("[defaults]\ncollections_path = collections\n", encoding="utf-8")
    settings = {"ANSIBLE_CONFIG": str(only_here)}
    _run("ansible-galaxy", "collection", "install", "--offline", "-p", collections, artefact, **settings)
    shown = _run("ansible-doc", "--json", "--type", "module", "dwp.hypervisor.kvm_info", **settings)
    document = json.loads(shown)["dwp.hypervisor.kvm_info"]["doc"]
    if not document["filename"].startswith(str(collections)):
        sys.exit(f"ansible-doc read {document['filename']}, not the installed copy")
    print(f"kvm_info: {document['short_description']}")
    return collections


def _run(program: str, *arguments: str | Path, **settings: str) -> str:
    done = subprocess.run(
        [BIN / program, *arguments], cwd=BUILD if BUILD.exists() else CHECKOUT, check=False, timeout=300,
        capture_output=True, text=True, env={**environment(), **settings},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    wanted = sys.argv[1:]
    if wanted == ["build"]:
        build(BUILD)
    elif wanted == ["importer"]:
        importer()
    elif wanted == ["install"]:
        install(BUILD / "install")
    else:
        sys.exit(__doc__)
