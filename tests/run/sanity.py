# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity on a copy of the checkout, with the pythons this machine has.

    python tests/run/sanity.py [TEST...]     with the ansible-core of .venv; all tests, or some by name

ansible-test wants the path .../ansible_collections/dwp/hypervisor, no symlinks in it and its caches in HOME: it gets a
copy of what git lists, and a HOME of its own inside .cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from stage import BIN, CACHE, CHECKOUT, LEFT_OUT

COPY = CACHE / "sanity" / "ansible_collections" / "dwp" / "hypervisor"
HOME = CACHE / "home"
PYTHONS = CACHE / "pythons"
LIMIT = 1500  # seconds for one ansible-core


def main(tests: list[str]) -> int:
    """Run sanity with the ansible-core of .venv."""
    prepare()
    return sanity(BIN, tests)


def prepare() -> None:
    """Make what every run of ansible-test needs: the pythons and the copy."""
    link_pythons()
    copy_checkout()


def copy_checkout() -> None:
    """Copy the files git knows or would add, as they are in the work tree, to COPY."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    # ansible-test asks the nearest git upwards for its files; the checkout's own would answer that .cache is ignored.
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True, timeout=60)
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        source, target = CHECKOUT / name, COPY / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def link_pythons() -> None:
    """Give ansible-test a folder of pythonX.Y: those on PATH that start, and those of pyenv.

    pyenv's own shims are on PATH for every version and most of them refuse to start: a fault, to ansible-test.
    """
    shutil.rmtree(PYTHONS, ignore_errors=True)
    PYTHONS.mkdir(parents=True)
    for version, python in find_pythons().items():
        (PYTHONS / f"python{version}").symlink_to(python)


def find_pythons() -> dict[str, Path]:
    """The pythons of this machine that start: {"3.11": path}."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [Path(folder) / f"python3.{minor}" for folder in os.get_exec_path() for minor in range(6, 20)]
    candidates += sorted(pyenv.glob("versions/*/bin/python3"))
    found: dict[str, Path] = {}
    for candidate in candidates:
        if ".pyenv/shims" in str(candidate) or not candidate.exists():
            continue
        asked = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=False, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        if asked.returncode == 0:
            found.setdefault(asked.stdout.strip(), candidate)
    return found


def sanity(bin_folder: Path, tests: list[str]) -> int:
    """Run ansible-test sanity of the ansible-core that is installed beside bin_folder's python."""
    _provide_pip(bin_folder)
    command = [str(bin_folder / "ansible-test"), "sanity", "--color", "no"]
    for test in tests:
        command += ["--test", test]
    environment = {
        "HOME": str(HOME),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{bin_folder}:{PYTHONS}:/usr/local/bin:/usr/bin:/bin",
        **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key.startswith("PIP_")},
    }
    try:
        done = subprocess.run(
            command, cwd=COPY, env=environment, check=False, timeout=LIMIT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"ansible-test sanity was not done after {LIMIT} s")
        return 1
    print(done.stdout)
    for line in done.stdout.splitlines():
        if line.startswith(("WARNING: Required program", "WARNING: Skipping")):
            print(f"{LEFT_OUT}{line.removeprefix('WARNING: ')}")
    return done.returncode


def _provide_pip(bin_folder: Path) -> None:
    """Put the pip bootstrap script where ansible-test looks before it downloads one.

    Python brings pip itself (ensurepip), so no download is needed and none can fail behind a firewall.
    """
    source = next(bin_folder.parent.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py"))
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"""['"](\d+\.\d+(?:\.\d+)?)['"]""", source.read_text(encoding="utf-8"))):
        script = cache / f"get_pip_{version.replace('.', '_')}.py"
        script.write_text("import ensurepip\nensurepip.bootstrap(upgrade=True)\n", encoding="utf-8")
    for place in (".pip", ".config/pip"):  # the user's own index, when there is one
        theirs, ours = Path.home() / place, HOME / place
        if theirs.exists() and not ours.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.symlink_to(theirs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
