# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.junit.xml: one test suite per subject, one test case per check, for CI systems.

Written as text: a tree of a fleet's results takes ten times the memory of the file. Everything passes `plain`, which
leaves no character that XML cannot hold, and `quoteattr` or `escape`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

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
    title = f"{run['standard']['id']} v{run['standard']['version']}"
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n',
        _open("testsuites", {"name": title, **_counts(run["results"])}),
    ]
    for subject in run["subjects"]:
        parts.append("".join(_suite(subject, by_subject[subject["id"]], run, standard)))
    parts.append("</testsuites>\n")
    return "".join(parts).encode("utf-8")


def _counts(results: list[Mapping[str, Any]]) -> dict[str, int]:
    kinds = [OUTCOMES.get(result["status"]) for result in results]
    return {
        "tests": len(results),
        "failures": kinds.count("failure"),
        "errors": kinds.count("error"),
        "skipped": kinds.count("skipped"),
    }


def _suite(
    subject: Mapping[str, Any], results: list[Mapping[str, Any]], run: Mapping[str, Any], standard: Standard
) -> Iterator[str]:
    about = {
        "name": subject["name"],
        "hostname": subject["endpoint"],
        "timestamp": subject["collected_at"] or run["run"]["finished"],
        "time": "0",
    }
    yield _open("testsuite", {**about, **_counts(results)})
    yield _properties(
        {
            "subject": subject["id"],
            "platform": subject["platform"],
            "verdict": subject["verdict"],
            "run": run["run"]["id"],
            "marking": run["marking"],
        }
    )
    for result in results:
        yield from _case(result, standard)
    yield "</testsuite>\n"


def _case(result: Mapping[str, Any], standard: Standard) -> Iterator[str]:
    measure = standard.measures[result["measure"]]
    exception, attestation = result["exception"] or {}, result["attestation"] or {}
    name = f"{result['check']}: {result['title']}"
    yield _open("testcase", {"classname": f"{result['measure']} {measure.title}", "name": name, "time": "0"})
    yield _properties(
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
        }
    )
    kind = OUTCOMES.get(result["status"])
    if kind:
        message = {"message": f"{result['status']}: {result['message']}"}
        if kind == "skipped":
            yield _open("skipped", message) + "</skipped>"
        else:
            told = "\n".join(f"{key}: {plain(result[key], TEXT_LIMIT)}" for key in ("expected", "actual", "fix"))
            yield _open(kind, {**message, "type": result["status"]}) + f"{escape(told)}</{kind}>"
    yield "</testcase>\n"


def _open(tag: str, attributes: Mapping[str, Any]) -> str:
    return f"<{tag}{''.join(f' {key}={quoteattr(plain(value, TEXT_LIMIT))}' for key, value in attributes.items())}>"


def _properties(values: Mapping[str, Any]) -> str:
    found = [
        f'<property name="{name}" value={quoteattr(plain(value, TEXT_LIMIT))}/>'
        for name, value in values.items()
        if value is not None
    ]
    return f"<properties>{''.join(found)}</properties>"
