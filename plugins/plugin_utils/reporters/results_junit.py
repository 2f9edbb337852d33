# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.junit.xml: one test suite per subject, one test case per check, for CI systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import Standard

TEXT_LIMIT = 2000
# JUnit knows success, failure, error and skipped. Nothing that is not shown to be met may look like a success.
OUTCOMES = {
    "fail": "failure",
    "unknown": "error",
    "manual": "skipped",
    "excepted": "skipped",
    "not_applicable": "skipped",
    "not_evaluated": "skipped",
}


def render(run: Mapping[str, Any], standard: Standard) -> bytes:
    """The run document as JUnit XML, UTF-8."""
    by_subject: dict[str, list[Mapping[str, Any]]] = {subject["id"]: [] for subject in run["subjects"]}
    for result in run["results"]:
        by_subject[result["subject"]].append(result)
    root = ET.Element("testsuites", {"name": f"{run['standard']['id']} v{run['standard']['version']}"})
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for subject in run["subjects"]:
        suite = _suite(subject, by_subject[subject["id"]], run, standard)
        for key in totals:
            totals[key] += int(suite.attrib[key])
        root.append(suite)
    root.attrib.update({key: str(value) for key, value in totals.items()})
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _suite(
    subject: Mapping[str, Any], results: list[Mapping[str, Any]], run: Mapping[str, Any], standard: Standard
) -> ET.Element:
    kinds = [OUTCOMES.get(result["status"]) for result in results]
    suite = ET.Element(
        "testsuite",
        {
            "name": plain(subject["name"]),
            "hostname": plain(subject["endpoint"]),
            "timestamp": plain(subject["collected_at"] or run["run"]["finished"]),
            "time": "0",
            "tests": str(len(results)),
            "failures": str(kinds.count("failure")),
            "errors": str(kinds.count("error")),
            "skipped": str(kinds.count("skipped")),
        },
    )
    _properties(
        suite,
        {
            "subject": subject["id"],
            "platform": subject["platform"],
            "verdict": subject["verdict"],
            "run": run["run"]["id"],
            "marking": run["marking"],
        },
    )
    suite.extend(_case(result, standard) for result in results)
    return suite


def _case(result: Mapping[str, Any], standard: Standard) -> ET.Element:
    measure = standard.measures[result["measure"]]
    case = ET.Element(
        "testcase",
        {
            "classname": f"{result['measure']} {measure.title}",
            "name": f"{result['check']}: {plain(result['title'])}",
            "time": "0",
        },
    )
    exception, attestation = result["exception"] or {}, result["attestation"] or {}
    _properties(
        case,
        {
            "status": result["status"],
            "measured": result["measured"],
            "obligation": result["obligation"],
            "severity": result["severity"],
            "tier": result["tier"],
            "expected": result["expected"],
            "actual": result["actual"],
            "role": result["role"],
            "exception": exception.get("id"),
            "exception_expires_on": exception.get("expires_on"),
            "attestation": attestation.get("id"),
            "attestation_expires_on": attestation.get("expires_on"),
        },
    )
    kind = OUTCOMES.get(result["status"])
    if kind:
        outcome = ET.SubElement(case, kind, {"message": plain(f"{result['status']}: {result['message']}", TEXT_LIMIT)})
        if kind != "skipped":
            outcome.set("type", result["status"])
            outcome.text = (
                f"expected: {plain(result['expected'], TEXT_LIMIT)}\nactual: {plain(result['actual'], TEXT_LIMIT)}\n"
                f"fix: {plain(result['fix'], TEXT_LIMIT)}"
            )
    return case


def _properties(parent: ET.Element, values: Mapping[str, Any]) -> None:
    holder = ET.SubElement(parent, "properties")
    for name, value in values.items():
        if value is not None:
            ET.SubElement(holder, "property", {"name": name, "value": plain(value, TEXT_LIMIT)})
