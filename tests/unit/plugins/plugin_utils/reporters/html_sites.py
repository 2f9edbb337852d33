# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of runs of every kind, rendered once for all tests of a module."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import page_frame, report_html
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder, builder_history
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters.html_page import Page

STANDARD = builder.a_standard()


def fleet(count, checks=3):
    standard = builder.a_standard(checks)
    documents = [builder.every_status(standard, f"kvm{n:02}") for n in range(count)]
    for number, document in enumerate(documents):
        document["subject"]["slug"] = f"kvm-{number}"
    return standard, builder.a_run(standard, documents)


def runs():
    expected = [{"name": "kvm9", "platform": "kvm", "reason": "unreachable: no route to host"}]
    previous = {"run": "20261122T010203Z", "subjects": ["kvm7-00000000"]}
    unreadable = [{"file": "subjects/x.json", "reason": "not JSON"}]
    return {
        "every status": builder.a_run(STANDARD),
        "everything": builder.a_run(STANDARD, **builder_history.everything()),
        "all good": builder.a_run(STANDARD, [builder.a_document(STANDARD)]),
        "absent": builder.a_run(
            STANDARD, expected_subjects=expected, previous=previous, out_of_scope=["web1"], unreadable=unreadable
        ),
        "fleet": fleet(60)[1],
        "hostile": builder.hostile_run(STANDARD, **builder_history.everything(builder.HOSTILE["html"])),
        "empty": builder.a_run(STANDARD, []),
    }


RUNS = runs()
SITES = {kind: dict(report_html.files(run, STANDARD)) for kind, run in RUNS.items()}


def some_pages(kind):
    """The front page, and of the others one of each sort: the rest is made by the same code."""
    site = SITES[kind]
    wanted = ["report.html", page_frame.ASSUMPTIONS, page_frame.ALL_SUBJECTS, "report/measures/11.4.6.html"]
    wanted += ["report/measures/11.2.1.html", *[name for name in site if "/subjects/" in name][:2]]
    return [name for name in wanted if name in site]


PAGES = [(kind, name) for kind in SITES for name in some_pages(kind)]
PARSED = {}


def parsed(kind, name="report.html"):
    if (kind, name) not in PARSED:
        PARSED[kind, name] = Page(SITES[kind][name])
    return PARSED[kind, name]


def section(page, anchor):
    return next(element for element in page.root.find("section") if element.attributes["aria-labelledby"] == anchor)
