# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every page of a report has: head, style, the script that filters, marking, navigation; and the links.

A page is whole by itself: nothing is loaded, from outside or from beside it, so that it can be mailed and opened as a
file. The policy in its head lets only this one script run, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import moment, names_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    Html,
    bdi,
    el,
    escaped,
    joined,
    link,
    listed,
    p,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import plain

FRONT = "report.html"
ALL_SUBJECTS = "report/subjects.html"
ASSUMPTIONS = "report/assumptions.html"
MAX_NAMES = 8
MAX_TEXTS = 20_000
MONTHS = "January February March April May June July August September October November December".split()
# verdict: (word, the status whose look it has)
VERDICTS = {
    "compliant": ("Compliant", "pass"),
    "compliant with exceptions": ("Compliant with exceptions", "excepted"),
    "not demonstrated": ("Not demonstrated", "unknown"),
    "non-compliant": ("Non-compliant", "fail"),
}
PLATFORM_WORDS = {"kvm": "KVM", "vsphere": "VMware vSphere", "hyperv": "Hyper-V"}


class Site:
    """The run behind the pages, and how they link to each other."""

    def __init__(self, run: Mapping[str, Any], standard: Standard) -> None:
        self.run, self.standard = run, standard
        self.subjects = {subject["id"]: subject for subject in run["subjects"]}
        self.names = {subject: plain(name, 80) for subject, name in names_of(run).items()}
        self.marking = plain(run["marking"], 120)
        self._measures: dict[tuple[str, str], Html] = {}
        self._titled: dict[tuple[str, str, str], Html] = {}
        self._texts: dict[tuple[str, int], Html] = {}
        self.platforms = list(dict.fromkeys(subject["platform"] for subject in run["subjects"]))

    def measure_page(self, measure: str) -> str:
        return f"report/measures/{measure}.html"

    def subject_page(self, subject: str) -> str:
        return f"report/subjects/{self.subjects[subject]['slug']}.html"

    def measure(self, measure: str, up: str = "") -> Html:
        """The number of a measure, linked. up: the way from the page to the run directory."""
        found = self._measures.get((measure, up))
        if found is None:
            found = self._measures[measure, up] = link(up + self.measure_page(measure), measure)
        return found

    def titled(self, measure: str, title: str, up: str = "") -> Html:
        """The number of a measure, linked, and the title of it or of one of its checks."""
        key = (measure, title, up)
        found = self._titled.get(key)
        if found is None:
            found = self._titled[key] = joined([self.measure(measure, up), f" {plain(title, 200)}"])
        return found

    def text(self, value: Any, limit: int) -> Html:
        """A value in at most so many characters; remembered where it is a text, for a fleet repeats its texts."""
        if not isinstance(value, str):
            return Html(escaped(plain(value, limit)))
        found = self._texts.get((value, limit))
        if found is None:
            found = Html(escaped(plain(value, limit)))
            if len(self._texts) < MAX_TEXTS:
                self._texts[value, limit] = found
        return found

    def subject(self, subject: str, up: str = "") -> Html:
        """The name of a subject, linked."""
        return link(up + self.subject_page(subject), bdi(self.names[subject]))

    def some_subjects(self, subjects: Sequence[str], up: str = "") -> Html:
        """The first names of a list, linked, and how many more there are; `all subjects` where it is all of many."""
        if len(subjects) == len(self.subjects) > MAX_NAMES:
            return joined([f"all {len(subjects):,} subjects"])
        found = joined([self.subject(subject, up) for subject in subjects[:MAX_NAMES]], ", ")
        return joined([found, f" and {len(subjects) - MAX_NAMES:,} more"]) if len(subjects) > MAX_NAMES else found


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def page(site: Site, title: str, body: Iterable[Any], nav: Sequence[tuple[str, str]], *, up: str = "") -> bytes:
    """A whole page, UTF-8. title: its h1; nav: (href, text); up: the way from the page to the run directory."""
    run = site.run["run"]
    name = f"{site.run['standard']['id']} v{site.run['standard']['version']}"
    about = p(
        f"{name}, run {plain(run['id'], 80)} ({run['mode']}), started {in_words(run['started'])}, "
        f"finished {in_words(run['finished'])}."
    )
    back = p(link(f"{up}{FRONT}", "Back to the front page of the report")) if up else ""
    marking = p(site.marking, class_="marking")
    content = [
        el("a", "Skip to the content", class_="skip", href="#content"),
        el("header", marking, el("h1", title), about, back),
        el("nav", listed(link(href, text) for href, text in nav), aria_label="On this page"),
        el("main", *body, id="content", tabindex="-1"),
        el("footer", p("Made by the Ansible collection dwp.hypervisor ", plain(run["collection"], 40), "."), marking),
    ]
    head = _head(site.marking, f"{site.marking}: {title}, run {plain(run['id'], 80)}")
    return f"{head}<body>\n{joined(content)}\n{_script()}</body>\n</html>\n".encode()


def _head(marking: str, title: str) -> str:
    style, digest = _style(), _script_digest()
    text = css_string(marking)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    box = 'font-weight: bold; font-family: Arial, Helvetica, "Liberation Sans", sans-serif; font-size: 9pt;'
    return (
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"{el('title', title)}\n<style>\n{style}</style>\n"
        f'<style media="print">\n@page {{ size: A4; margin: 18mm 14mm; @top-center {{ content: "{text}"; {box} }} '
        f'@bottom-center {{ content: "{text}  " counter(page) " / " counter(pages); {box} }} }}\n</style>\n</head>\n'
    )


@lru_cache(maxsize=1)
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _script_text() -> str:
    return "\n" + Path(__file__).with_name("page.js").read_text(encoding="utf-8")


def _script() -> str:
    return f"<script>{_script_text()}</script>\n"


@lru_cache(maxsize=1)
def _script_digest() -> str:
    return base64.b64encode(hashlib.sha256(_script_text().encode("utf-8")).digest()).decode("ascii")


def in_words(time: str) -> str:
    """`23 November 2026, 17:44:00 UTC`. Not by strftime: Ansible sets the operator's locale, the page is English."""
    found = moment(time).astimezone(timezone.utc)
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}, {found:%H:%M:%S} UTC"


def day_in_words(day: str) -> str:
    """`1 December 2026` from an ISO 8601 date."""
    year, month, number = day[:10].split("-")
    return f"{int(number)} {MONTHS[int(month) - 1]} {year}"


def css_string(text: str) -> str:
    """The inside of a CSS string: whatever is not a letter, digit, space or hyphen becomes a hexadecimal escape.

    HTML escaping does not hold inside <style>, where `</style>` would end the sheet.
    """
    return "".join(
        char if char.isascii() and (char.isalnum() or char in " -") else f"\\{ord(char):x} " for char in text
    )
