# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OSCAL documents about the collection and not about a run: the standard as a catalogue, the collection as a component.

`oscal/standard.json` is what the control ids of the other documents are defined in; `oscal/component.json` says which
measure the collection tests and enforces with which role, and what a pass proves on each platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import oscal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.json_text import compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.oscal import Node
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import coverage
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import (
    PLATFORMS,
    SECTIONS,
    Measure,
    Standard,
)

CATALOG_FILE = "oscal/standard.json"
COMPONENT_FILE = "oscal/component.json"
# When this edition of the standard was published; the documents tell nothing newer than it and their version.
PUBLISHED = "2023-04-27T00:00:00Z"


def files(_run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, bytes]]:
    """The catalogue and the component definition; they are the same for every run of a version."""
    yield CATALOG_FILE, _encoded({"catalog": _catalog(standard)})
    yield COMPONENT_FILE, _encoded({"component-definition": _definition(standard)})


def _encoded(document: Node) -> bytes:
    return compact(document).encode("ascii") + b"\n"


def _metadata(title: str, version: str) -> Node:
    return {"title": title, "last-modified": PUBLISHED, "version": version, "oscal-version": oscal.OSCAL_VERSION}


def _catalog(standard: Standard) -> Node:
    return {
        "uuid": oscal.uid("catalog", standard.id, standard.version),
        "metadata": {
            **_metadata(f"DWP Security Standard {standard.id}: Hypervisor", standard.version),
            "remarks": "Wording of the measures: Crown copyright, used under the Open Government Licence v3.0.",
        },
        "groups": [
            {
                "id": oscal.control_id(section),
                "title": title,
                "controls": [_control(m) for m in standard.measures.values() if m.section == section],
            }
            for section, title in SECTIONS.items()
        ],
    }


def _control(measure: Measure) -> Node:
    about = {
        "obligation": measure.obligation,
        "severity": measure.severity,
        "nist-csf-1.1": ", ".join(map(str, measure.nist_csf)),
        "nist-csf-2.0": ", ".join(map(str, measure.nist_csf_2)) or None,
        "cis-v8": ", ".join(map(str, measure.cis_v8)) or None,
    }
    return {
        "id": oscal.control_id(measure.id),
        "title": oscal.line(measure.title),
        "props": [{"name": "label", "value": measure.id}, *oscal.props(about)],
        "parts": [
            {"id": oscal.statement_id(measure.id), "name": "statement", "prose": oscal.line(measure.text)},
            {
                "id": f"{oscal.control_id(measure.id)}_gdn",
                "name": "guidance",
                "prose": oscal.line(measure.interpretation),
            },
        ],
    }


def _definition(standard: Standard) -> Node:
    tool = {key: value for key, value in oscal.tool().items() if key != "status"}
    implementation = {
        "uuid": oscal.uid("implementation", standard.id, standard.version, VERSION),
        "source": CATALOG_FILE.rpartition("/")[2],
        "description": f"How dwp.hypervisor tests and enforces the measures of {standard.id} v{standard.version}.",
        "implemented-requirements": [_requirement(measure) for measure in standard.measures.values()],
    }
    return {
        "uuid": oscal.uid("component-definition", standard.id, standard.version, VERSION),
        "metadata": _metadata(f"dwp.hypervisor {VERSION}", VERSION),
        "components": [{**tool, "control-implementations": [implementation]}],
    }


def _requirement(measure: Measure) -> Node:
    covered = {
        f"coverage-{platform}": coverage.coverage(measure, platform).word.replace(" ", "-")
        for platform in PLATFORMS[1:]
    }
    limits = " ".join(measure.limits[key] for key in sorted(measure.limits))
    node = {
        "uuid": oscal.uid("requirement", measure.id, VERSION),
        "control-id": oscal.control_id(measure.id),
        "description": oscal.line(measure.interpretation),
        "props": [
            *oscal.props({"role": measure.role, "kind": measure.kind, **covered}),
            *(oscal.prop("check", check.id) for check in measure.checks),
        ],
    }
    return {**node, "remarks": oscal.line(f"Limits: {limits}")} if limits else node
