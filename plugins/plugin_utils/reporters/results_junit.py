# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.junit.xml: one test suite per subject, one test case per check, for CI systems.

Held to the schema of Jenkins' xUnit plugin, which knows no properties of a test case: what else is known of a check
stands in its system-out, a line each. Written as text: a tree of a fleet's results takes ten times the memory of the
file. Everything passes `plain`, which leaves no character that XML cannot hold, and `escaped`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.expired import Expired
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import escaped
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import Remembered, plain

FILE = "results.junit.xml"
TEXT_LIMIT = 2000
# JUnit knows success, failure, error and skipped. Nothing that is not shown to be met may look like a success, and
# what was measured as a failure stays one: an accepted one has the type "excepted" to filter by.
OUTCOMES = {
    o.FAIL: "failure",
    o.EXCEPTED: "failure",
    o.UNKNOWN: "error",
    o.MANUAL: "skipped",
    o.NOT_APPLICABLE: "skipped",
    o.NOT_EVALUATED: "skipped",
}
_EXPIRED = ("failure", "expired")
# what is told of every check: (name, where it is found, key)
TOLD = (
    ("status", "result", "status"),
    ("measured", "result", "measured"),
    ("obligation", "result", "obligation"),
    ("severity", "result", "severity"),
    ("tier", "result", "tier"),
    ("expected", "result", "expected"),
    ("actual", "result", "actual"),
    ("role", "result", "role"),
    ("exception", "exception", "id"),
    ("exception_risk_ref", "exception", "risk_ref"),
    ("exception_expires_on", "exception", "expires_on"),
    ("attestation", "attestation", "id"),
    ("attestation_expires_on", "attestation", "expires_on"),
)


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, Iterator[bytes]]]:
    """results.junit.xml, in pieces."""
    yield FILE, chunks(run, standard)


def render(run: Mapping[str, Any], standard: Standard) -> bytes:
    """The whole file."""
    return b"".join(chunks(run, standard))


def chunks(run: Mapping[str, Any], standard: Standard) -> Iterator[bytes]:
    """The run document as JUnit XML, UTF-8, a piece per subject."""
    by_subject: dict[str, list[Mapping[str, Any]]] = {subject["id"]: [] for subject in run["subjects"]}
    for result in run["results"]:
        by_subject[result["subject"]].append(result)
    writer = _Writer(standard, Expired(run))
    numbers = {subject: writer.counts(results) for subject, results in by_subject.items()}
    counts = {name: sum(found[name] for found in numbers.values()) for name in ("tests", "failures", "errors")}
    title = f"{run['standard']['id']} v{run['standard']['version']}"
    yield f'<?xml version="1.0" encoding="utf-8"?>\n{_open("testsuites", {"name": title, **counts})}'.encode()
    for subject in run["subjects"]:
        suite = writer.suite(subject, by_subject[subject["id"]], numbers[subject["id"]], run)
        yield "".join(suite).encode("utf-8")
    yield b"</testsuites>\n"


class _Writer:
    """Writes suites, and remembers how the texts that a fleet repeats are quoted."""

    def __init__(self, standard: Standard, expired: Expired) -> None:
        self._standard, self._expired = standard, expired
        self._quoted = Remembered(_attribute)
        self._escaped = Remembered(lambda text: escaped(plain(text, TEXT_LIMIT)))
        self._cases = Once(lambda result: self._case(result, *_usual(result)))

    def counts(self, results: list[Mapping[str, Any]]) -> dict[str, int]:
        """The numbers of a suite."""
        kinds = [self._outcome(result)[0] for result in results]
        return {
            "tests": len(results),
            "failures": kinds.count("failure"),
            "errors": kinds.count("error"),
            "skipped": kinds.count("skipped"),
        }

    def _outcome(self, result: Mapping[str, Any]) -> tuple[str | None, str]:
        """(element, its type). What was covered until its record ran out fails loudly, also where it is manual."""
        return _EXPIRED if self._expired.of(result) else _usual(result)

    def suite(
        self,
        subject: Mapping[str, Any],
        results: list[Mapping[str, Any]],
        counts: Mapping[str, int],
        run: Mapping[str, Any],
    ) -> Iterator[str]:
        about = {
            "name": subject["name"],
            "hostname": subject["endpoint"],
            "timestamp": subject["collected_at"] or run["run"]["finished"],
            "time": "0",
        }
        properties = {
            "subject": subject["id"],
            "platform": subject["platform"],
            "verdict": subject["verdict"],
            "run": run["run"]["id"],
            "marking": run["marking"],
        }
        yield _open("testsuite", {**about, **counts})
        yield "<properties>"
        yield from (f'<property name="{name}" value={_attribute(value)}/>' for name, value in properties.items())
        yield "</properties>\n"
        for result in results:
            yield self._case(result, *_EXPIRED) if self._expired.of(result) else self._cases.of(result)
        yield "</testsuite>\n"

    def _case(self, result: Mapping[str, Any], kind: str | None, of_type: str) -> str:
        measure = self._standard.measures[result["measure"]]
        name, group = f"{result['check']}: {result['title']}", f"{result['measure']} {measure.title}"
        told = f'<testcase classname={self._quoted[group]} name={self._quoted[name]} time="0">'
        if kind:
            message = self._quoted[f"{result['status']}: {result['message']}"]
            told += f'<{kind} type="{of_type}" message={message}>'
            if kind != "skipped":
                told += "\n".join([f"{key}: {self._text(result[key])}" for key in ("expected", "actual", "fix")])
            told += f"</{kind}>"
        return f"{told}<system-out>{self._told(result)}</system-out></testcase>\n"

    def _told(self, result: Mapping[str, Any]) -> str:
        sources = {
            "result": result,
            "exception": result["exception"] or {},
            "attestation": result["attestation"] or {},
        }
        found = ((name, sources[source].get(key)) for name, source, key in TOLD)
        return "\n".join(f"{name}: {self._text(value)}" for name, value in found if value is not None)

    def _text(self, value: Any) -> str:
        return self._escaped[value] if isinstance(value, str) else escaped(plain(value, TEXT_LIMIT))


def _usual(result: Mapping[str, Any]) -> tuple[str | None, str]:
    return OUTCOMES.get(result["status"]), result["status"]


def _open(tag: str, attributes: Mapping[str, Any]) -> str:
    return f"<{tag}{''.join(f' {key}={_attribute(value)}' for key, value in attributes.items())}>"


def _attribute(value: Any) -> str:
    return f'"{escaped(plain(value, TEXT_LIMIT))}"'
