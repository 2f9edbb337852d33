# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html before axe-core in jsdom: WCAG 2.0 to 2.2 A and AA, and axe's best practices (README.md)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import report_html
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
MODULES = CHECKOUT / ".cache" / "accessibility"
MISSING = [tool for tool in ("node", "npm") if not shutil.which(tool)]

# The first test installs the packages; on a busy machine axe takes half a minute for a page.
pytestmark = [pytest.mark.timeout(400)]
if os.environ.get("CI") != "true":
    pytestmark.append(pytest.mark.skipif(bool(MISSING), reason=f"axe-core needs {' and '.join(MISSING)}"))


@pytest.fixture(scope="session")
def modules():
    """The pinned packages, installed into the checkout's cache once per lock file."""
    assert not MISSING, f"{' and '.join(MISSING)} missing although CI=true requires every target"
    stamp = MODULES / "installed.json"
    lock = (HERE / "package-lock.json").read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != lock:
        MODULES.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, MODULES / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=MODULES, check=True, capture_output=True, text=True, timeout=300)
        stamp.write_text(lock, encoding="utf-8")
    return MODULES


def pages() -> dict[str, bytes]:
    """Pages that have to be faultless."""
    standard = builder.a_standard()
    expected = [{"name": "kvm9", "platform": "kvm", "reason": "unreachable: no route to host"}]
    runs = {
        "every status": builder.a_run(standard, expected_subjects=expected, out_of_scope=["web1"]),
        "fleet": builder.a_run(standard, [builder.every_status(standard, f"kvm{n}") for n in range(3)]),
        "hostile": builder.hostile_run(standard),
        "empty": builder.a_run(standard, []),
    }
    return {kind: report_html.render(run, standard) for kind, run in runs.items()}


# rule of axe: (what is replaced, by what)
FAULTS = {
    "html-has-lang": (b' lang="en-GB"', b""),
    "heading-order": (b'<h2 id="scope" tabindex="-1">Scope</h2>', b"<h5>Scope</h5>"),
    "image-alt": (b"<main>", b'<main><img src="data:,">'),
    "link-name": (b"<main>", b'<main><a href="#answer"></a>'),
    "scope-attr-valid": (b'scope="row"', b'scope="rwo"'),
}


@pytest.fixture(scope="session")
def judged(modules, tmp_path_factory):
    """What axe says about every page, faultless or broken: {kind: {violations, passes}}. One start of Node for all."""
    folder = tmp_path_factory.mktemp("pages")
    found = pages()
    for rule, (old, new) in FAULTS.items():
        assert old in found["empty"]
        found[rule] = found["empty"].replace(old, new)
    paths = {kind: folder / f"{kind}.html" for kind in found}
    for kind, page in found.items():
        paths[kind].write_bytes(page)
    command = ["node", str(HERE / "run.mjs"), str(modules), *map(str, paths.values())]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    return {kind: report[str(path)] for kind, path in paths.items()}


@pytest.mark.parametrize("kind", ["every status", "fleet", "hostile", "empty"])
def test_axe_finds_nothing(kind, judged):
    assert judged[kind]["violations"] == []
    assert judged[kind]["passes"] >= 20, "axe has looked at the page"


@pytest.mark.parametrize("rule", FAULTS)
def test_axe_sees_what_would_be_broken(rule, judged):
    assert [violation["id"] for violation in judged[rule]["violations"]] == [rule]
