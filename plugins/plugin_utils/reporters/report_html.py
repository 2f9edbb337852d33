# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html: one self-contained page for people. No script, no external resource, WCAG 2.2 AA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import page_checks, page_summary
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import STATUS_WORDS, plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.run_report import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import Standard

TEMPLATE = Path(__file__).with_name("report.html.j2")
# Shape and word carry the meaning; the icon is hidden from screen readers, the colour is only a third hint.
ICONS = {
    "pass": "✔",
    "fail": "✖",
    "unknown": "?",
    "manual": "✎",
    "excepted": "◐",
    "attested": "✔",
    "not_applicable": "–",
    "not_evaluated": "–",
}
MONTHS = "January February March April May June July August September October November December".split()
VERDICTS = {
    "compliant": ("Compliant", "pass"),
    "compliant with exceptions": ("Compliant with exceptions", "excepted"),
    "not demonstrated": ("Not demonstrated", "unknown"),
    "non-compliant": ("Non-compliant", "fail"),
}


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, bytes]]:
    """The page."""
    yield "report.html", render(run, standard)


def render(run: Mapping[str, Any], standard: Standard) -> bytes:
    """The whole page, UTF-8. `run` is the run document; nothing else is read."""
    names = page_summary.names_of(run)
    page = {
        "run": {key: plain(value, 80) for key, value in run["run"].items()},
        "started": _in_words(run["run"]["started"]),
        "finished": _in_words(run["run"]["finished"]),
        "standard": run["standard"],
        "marking": plain(run["marking"], 120),
        "marking_css": css_string(plain(run["marking"], 120)),
        "answer": page_summary.answer(run, standard, names),
        "scope": page_summary.scope(run, names),
        "assumptions": page_summary.assumptions(run, standard, names),
        "totals": page_summary.totals(run),
        "failures": page_checks.failures(run, standard, names),
        "measures": page_checks.everything(run, standard, names),
        "words": STATUS_WORDS,
        "icons": ICONS,
        "verdicts": VERDICTS,
    }
    return _template().render(page).encode("utf-8")


def _in_words(time: str) -> str:
    """`23 November 2026, 17:44:00 UTC`. Not by strftime: Ansible sets the operator's locale, the page is English."""
    found = moment(time).astimezone(timezone.utc)
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}, {found:%H:%M:%S} UTC"


@lru_cache(maxsize=1)
def _template() -> Template:
    """Our own environment: Ansible's templar would evaluate what a target wrote."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def css_string(text: str) -> str:
    """The inside of a CSS string: whatever is not a letter, digit, space or hyphen becomes a hexadecimal escape.

    HTML escaping does not hold inside <style>, where `</style>` would end the sheet.
    """
    return "".join(
        char if char.isascii() and (char.isalnum() or char in " -") else f"\\{ord(char):x} " for char in text
    )
