# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report before axe-core in Chromium: WCAG 2.0 to 2.2, A and AA, and axe's best practices (README.md).

Pages of small, large and empty runs, in light, dark and as printed, with and without their script.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import page_frame, report_html
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder, builder_history

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
MODULES = CHECKOUT / ".cache" / "accessibility"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = [tool for tool in ("node", "npm") if not shutil.which(tool)] + ([] if CHROMIUM else ["chromium"])
LOOKS = ["light", "dark", "print"]
LARGE = 1000
FRONT_LIMIT = 300_000  # bytes of the front page, whatever the number of subjects
OPENS_WITHIN = 2000  # milliseconds

pytestmark = [pytest.mark.timeout(500)]
if os.environ.get("CI") != "true":
    pytestmark.append(pytest.mark.skipif(bool(MISSING), reason=f"axe-core in a browser needs {' and '.join(MISSING)}"))


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


def sites() -> dict[str, dict[str, bytes]]:
    """The pages of a run of each kind."""
    standard = builder.a_standard()
    expected = [{"name": "kvm9", "platform": "kvm", "reason": "unreachable: no route to host"}]
    many = []
    for number in range(LARGE):
        document = builder.every_status(standard, f"kvm{number:04}")
        document["subject"].update(slug=f"kvm-{number}")
        for result in document["results"][number % 7 :: 7]:
            result.update(message=f"host {number} has a reason of its own")
        many.append(document)
    runs = {
        "small": builder.a_run(
            standard, expected_subjects=expected, out_of_scope=["web1"], **builder_history.everything()
        ),
        "large": builder.a_run(standard, many, registers=builder_history.registers()),
        "hostile": builder.hostile_run(standard, **builder_history.everything(builder.HOSTILE["html"])),
        "empty": builder.a_run(standard, []),
    }
    return {kind: dict(report_html.files(run, standard)) for kind, run in runs.items()}


# rule of axe: (what is replaced, by what) in the front page of the empty run
FAULTS = {
    "html-has-lang": (b' lang="en-GB"', b""),
    "heading-order": (b'<h2 id="scope" tabindex="-1">Scope</h2>', b"<h5>Scope</h5>"),
    "image-alt": (b'tabindex="-1"><section', b'tabindex="-1"><img src="data:,"><section'),
    "link-name": (b'tabindex="-1"><section', b'tabindex="-1"><a href="#answer"></a><section'),
    "scope-attr-valid": (b'scope="row"', b'scope="rwo"'),
    "color-contrast": (b"--ink: #f3f2f1; --back: #141618", b"--ink: #343a3e; --back: #141618"),
    "target-size": (
        b'tabindex="-1"><section',
        b'tabindex="-1"><div><button style="width:9px;height:9px;padding:0;border:0">a</button>'
        b'<button style="width:9px;height:9px;padding:0;border:0">b</button></div><section',
    ),
}


def _wanted(kind: str, site: dict[str, bytes]) -> list[str]:
    """The front page, and of the others one of each sort: the rest is made by the same code."""
    wanted = ["report.html", page_frame.ASSUMPTIONS, "report/measures/11.4.6.html"]
    wanted += [next((name for name in site if "/subjects/" in name), ""), page_frame.ALL_SUBJECTS]
    return [name for name in wanted if name in site]


@pytest.fixture(scope="session")
def judged(modules, tmp_path_factory):
    """What the browser says about every page: {(kind, name, script): …}. One start of the browser for all."""
    folder = tmp_path_factory.mktemp("pages")
    visits, keys = [], {}

    def visit(key, path, looks, script=True):
        keys[str(len(keys))] = key
        visits.append({"name": str(len(keys) - 1), "path": str(path), "looks": looks, "script": script})

    found = sites()
    for kind, site in found.items():
        for name in _wanted(kind, site):
            path = folder / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(site[name])
            visit((kind, name, True), path, LOOKS)
        visit((kind, "report.html", False), folder / kind / "report.html", [], script=False)
    for rule, (old, new) in FAULTS.items():
        assert old in found["empty"]["report.html"], rule
        path = folder / f"{rule}.html"
        path.write_bytes(found["empty"]["report.html"].replace(old, new))
        visit((rule, "report.html", True), path, ["dark" if rule == "color-contrast" else "light"])
    (folder / "pages.json").write_text(json.dumps(visits), encoding="utf-8")
    command = ["node", str(HERE / "run.mjs"), str(modules), CHROMIUM, str(folder / "pages.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=450)
    assert done.returncode == 0, done.stderr[-2000:]
    report = {keys[name]: result for name, result in json.loads(done.stdout).items()}
    return {"report": report, "sites": found}


def of_kind(judged, kind, script=True):
    return {name: result for (found, name, ran), result in judged["report"].items() if (found, ran) == (kind, script)}


KINDS = ["small", "large", "hostile", "empty"]


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_in_light_dark_and_print(kind, judged):
    for name, result in of_kind(judged, kind).items():
        assert list(result["violations"]) == LOOKS
        assert {look: found for look, found in result["violations"].items() if found} == {}, name
        assert result["passes"] >= 25, "axe has looked at the page"


@pytest.mark.parametrize("rule", FAULTS)
def test_axe_sees_what_would_be_broken(rule, judged):
    [result] = of_kind(judged, rule).values()
    assert [found["id"] for look in result["violations"].values() for found in look] == [rule]


@pytest.mark.parametrize("kind", KINDS)
def test_at_320_pixels_only_tables_scroll_sideways(kind, judged):
    assert {name: result["sideways"] for name, result in of_kind(judged, kind).items() if result["sideways"] > 0} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_and_the_policy_stops_nothing_of_the_own(kind, judged):
    for script in (True, False):
        for name, result in of_kind(judged, kind, script).items():
            assert result["outside"] == [], name
            assert result["complaints"] == [], name


@pytest.mark.parametrize("kind", KINDS)
def test_without_script_no_row_is_lost(kind, judged):
    with_script, without = of_kind(judged, kind)["report.html"], of_kind(judged, kind, False)["report.html"]
    assert without["filters"] == 0
    assert without["rows"] == with_script["rows"]


def test_the_filter_hides_and_gives_back_every_row(judged):
    for name in ("report.html", "report/measures/11.4.6.html", page_frame.ALL_SUBJECTS):
        found = of_kind(judged, "large")[name]["filtered"]
        assert found["fewer"] < found["all"] == found["back"], name
    assert of_kind(judged, "large")[page_frame.ALL_SUBJECTS]["filtered"] == {"all": LARGE, "fewer": 0, "back": LARGE}


def test_the_front_page_of_a_thousand_subjects_is_small_and_opens_fast(judged):
    assert len(judged["sites"]["large"]["report.html"]) <= FRONT_LIMIT
    assert of_kind(judged, "large")["report.html"]["milliseconds"] <= OPENS_WITHIN
