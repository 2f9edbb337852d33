# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html and the pages it links to, for people: WCAG 2.2 AA, complete without script, nothing from outside.

The front page holds what is aggregated, and stays small whatever the number of subjects; each measure and each subject
has a page of its own in `report/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import (
    page_answer,
    page_assumptions,
    page_history,
    page_measure,
    page_registers,
    page_scope,
    page_subject,
    page_tables,
    page_todo,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import (
    ALL_SUBJECTS,
    ASSUMPTIONS,
    FRONT,
    Site,
    page,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

NAV = (
    ("#answer", "The answer"),
    ("#registers", "Exceptions and attestations"),
    ("#trend", "Trend"),
    ("#changes", "Changes"),
    ("#totals", "By section and CSF function"),
    ("#measures", "By measure"),
    ("#coverage", "What a pass proves"),
    ("#subjects", "By subject"),
    ("#todo", "What to do first"),
    ("#wanted", "Evidence to ask for"),
    ("#scope", "Scope"),
    ("#about", "About this report"),
)


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, bytes]]:
    """The front page, then the pages of the measures and of the subjects."""
    site = Site(run, standard)
    yield FRONT, front(site)
    yield ASSUMPTIONS, page_assumptions.assumptions_page(site)
    results, entries = _grouped(run["results"], "measure"), _grouped(run["measures"], "measure")
    for measure in standard.measures.values():
        yield (
            site.measure_page(measure.id),
            page_measure.measure_page(site, measure, entries[measure.id], results[measure.id]),
        )
    results, entries = _grouped(run["results"], "subject"), _grouped(run["measures"], "subject")
    pages = page_subject.SubjectPages(site)
    for name, subject in site.subjects.items():
        yield site.subject_page(name), pages.page(subject, entries[name], results[name])
    if len(site.subjects) > page_tables.FRONT_SUBJECTS:
        yield ALL_SUBJECTS, page_subject.all_subjects(site)


def _grouped(entries: list[Mapping[str, Any]], key: str) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        groups[entry[key]].append(entry)
    return groups


def front(site: Site) -> bytes:
    """report.html."""
    rolled_up = site.run["rollup"] is not None
    body = [
        *page_answer.banners(site),
        page_answer.answer(site),
        page_scope.marking(site),
        *([page_scope.sources(site)] if rolled_up else []),
        page_registers.registers(site),
        page_history.trend(site),
        page_history.changes(site),
        page_tables.totals(site),
        page_tables.measures(site),
        page_tables.matrix(site),
        page_tables.subjects(site),
        page_todo.todo(site),
        page_registers.wanted(site),
        page_scope.scope(site),
        page_scope.about(site),
    ]
    nav = [*NAV[:1], ("#sources", "Sources"), *NAV[1:]] if rolled_up else NAV
    title = f"Hypervisor security report: {site.run['standard']['id']} v{site.run['standard']['version']}"
    return page(site, title, body, nav)
