# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of everything the verdicts rest on that somebody could have chosen otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    Html,
    Row,
    badge,
    el,
    joined,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import Site, page
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import describe
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import plain

UP = "../"
MAX_SETTINGS = 300
NAV = (
    ("#section-11-3", "Section 11.3"),
    ("#gold", "Settings that differ"),
    ("#substitutes", "Substitute thresholds"),
    ("#readings", "How each measure is read"),
)


def assumptions_page(site: Site) -> bytes:
    """The whole page."""
    body = [
        section("section-11-3", "Section 11.3", p(_section_11_3(site))),
        _gold(site),
        _substitutes(site),
        _readings(site),
    ]
    return page(site, "Interpretations and assumptions in force", body, NAV, up=UP)


def _section_11_3(site: Site) -> str:
    obligations = {entry["obligation"] for entry in site.run["measures"] if entry["section"] == "11.3"}
    if obligations == {"must"}:
        return (
            "Section 11.3 is counted as mandatory on every subject. This is the default: its preamble calls the "
            "measures advisory where appropriate, their sentences say must."
        )
    if obligations == {"advisory"}:
        return (
            "Section 11.3 is counted as advisory on every subject, as gold_section_11_3 says; the Authority's recorded "
            "position is in the settings below."
        )
    if not obligations:
        return "Section 11.3: no subject was assessed."
    return (
        "Section 11.3 is counted as mandatory on some subjects and as advisory on others; the settings below say which."
    )


def _gold(site: Site) -> Html:
    """One row per setting and value that is not the default, with the subjects it holds for."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for subject in site.subjects.values():
        for entry in subject["gold"]["non_default"]:
            group = groups.setdefault((entry["name"], plain(entry["value"])), {**entry, "subjects": []})
            group["subjects"].append(subject["id"])
    if not groups:
        told = p("None: the gold configuration is the collection's default on every subject.")
        return section("gold", "Settings that differ from the defaults", told)
    rows = []
    for (name, value), group in sorted(groups.items(), key=lambda found: found[0])[:MAX_SETTINGS]:
        setting = site.standard.gold.get(name)
        floor = describe(setting.floor) if setting and setting.floor else (setting.floor_reason if setting else "")
        everywhere = len(group["subjects"]) == len(site.subjects)
        rows.append(
            Row(
                [
                    el("code", plain(name, 80)),
                    value or "(empty)",
                    plain(group["default"]) or "(empty)",
                    plain(floor),
                    "Yes" if group["floor_ok"] else badge("fail", "No"),
                    plain(group["threshold_source"], 120),
                    "all" if everywhere else site.some_subjects(group["subjects"], UP),
                ]
            )
        )
    return section(
        "gold",
        "Settings that differ from the defaults",
        p(
            "Each setting has a floor, the weakest value the standard allows. A value below its floor fails, whatever "
            "the setting says."
        ),
        table(
            "gold",
            "Gold configuration: values that are not the default",
            (
                "Setting|wide",
                "Value",
                "Default",
                "Floor|wide",
                "Within the floor",
                "Source of the default",
                "Subjects|wide",
            ),
            rows,
        ),
        *([p(f"{len(groups) - MAX_SETTINGS:,} more are in results.json.")] if len(groups) > MAX_SETTINGS else []),
    )


def _substitutes(site: Site) -> Html:
    """Checks whose threshold a sibling standard would give and a named substitute stands in for it, each once."""
    found: dict[str, Row] = {}
    for result in site.run["results"]:
        if result["check"] not in found and "substitute" in (result["threshold_source"] or ""):
            cells = [
                joined([site.measure(result["measure"], UP), f" {plain(result['title'], 120)}"]),
                plain(result["expected"], 160),
                plain(result["threshold_source"], 120),
            ]
            found[result["check"]] = Row(cells)
    if not found:
        return section("substitutes", "Substitute thresholds", p("None of the checks in this run uses one."))
    return section(
        "substitutes",
        "Substitute thresholds",
        p(
            "The standard leaves these thresholds to sibling standards that are not published in full. A named public "
            "source stands in until the Authority confirms a value."
        ),
        table(
            "substitutes",
            "Checks with a substitute threshold",
            ("Check|wide", "Expected|wide", "Source|wide"),
            found.values(),
        ),
    )


def _readings(site: Site) -> Html:
    entries = [
        el(
            "div",
            el("dt", site.measure(measure.id, UP), f" {measure.title}"),
            el("dd", measure.interpretation),
            *(el("dd", f"Limit: {limit}") for limit in _limits(measure.limits, site.platforms)),
        )
        for measure in site.standard.measures.values()
    ]
    return section("readings", "How each measure is read", el("dl", *entries))


def _limits(limits: dict[str, str], platforms: Iterable[str]) -> list[str]:
    return [limits[key] for key in sorted(limits) if key in ("all", *platforms)]
