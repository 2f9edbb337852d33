# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has to know of the runs before it in its archive: the one to compare with, its trend, its failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, pack_verify, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive, compare, failing_since
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

# Runs that looked at hosts. A re-assessment or a roll-up in between is no point in time to compare with.
_LOOKED = ("audit", "check", "harden")


class History:
    """The archive as it is before a run is sealed."""

    def __init__(self, report_dir: Path, directory: Path, mode: str = "audit", base: Path | None = None) -> None:
        """mode: of the run to be sealed. base: the run to compare with, when it is not the last of its kind."""
        self.head = archive.head(report_dir, leave_out=directory.name)
        self.base = base or _base(report_dir, self.head, (mode,) if mode == "rollup" else _LOOKED)
        self.document: dict[str, Any] = provenance.read(self.base) if self.base else {}
        self._since = failing_since.load(self.base)

    @property
    def points(self) -> list[dict[str, Any]]:
        """The trend that the run before ends with."""
        return list(self.document.get("trend") or [])

    def since(self, documents: Sequence[Mapping[str, Any]]) -> failing_since.Since:
        """Set failing_since in the results; returns what the next run has to know."""
        return failing_since.update(self._since, documents)

    def comparison(
        self,
        documents: Sequence[Mapping[str, Any]],
        document: Mapping[str, Any],
        directory: Path,
        standard: Standard,
        known: run_directory.Known,
    ) -> dict[str, Any] | None:
        """The comparison with the run before; None in a new archive.

        document: run, standard and registers of this; known: what its documents were read with.
        """
        if self.base is None:
            return None
        return compare.compare(
            subjects_of(self.base, known),
            documents,
            runs=(self.document, document),
            manifest_sha256=pack_verify.file_digest(self.base / pack_verify.MANIFEST),
            known_failing=self._since,
            rejudge=rejudge(self.base, directory, standard),
        )


def _base(report_dir: Path, head: Mapping[str, str] | None, modes: Sequence[str]) -> Path | None:
    links = archive.links(report_dir)
    run = head["run"] if head else None
    while run is not None and run in links:
        if (provenance.read(report_dir / run).get("run") or {}).get("mode") in modes:
            return report_dir / run
        link = links.pop(run)
        run = link[0] if link else None
    return None


def subjects_of(directory: Path, known: run_directory.Known | None = None) -> Iterator[dict[str, Any]]:
    """The subject-results documents of a run, one after the other: a thousand of them do not fit beside a thousand.

    A file that cannot be read is left out; comparing with it would say less than it seems. known: see read_subject.
    """
    for path in sorted((directory / "subjects").glob("*.json")):
        try:
            yield run_directory.read_subject(path, known)
        except (OSError, ValueError, RecursionError):
            continue


def rejudge(before: Path, after: Path, standard: Standard) -> compare.Rejudge:
    """Judges the evidence of an earlier run by the gold configuration of a later one and by this catalogue."""

    def judge(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]] | None:
        try:
            gold = evidence.read(after / "evidence" / f"{new['subject']['slug']}.json")["gold"]
            document = evidence.reassess(before / "evidence" / f"{old['subject']['slug']}.json", standard, gold=gold)
        except ValueError:
            return None
        return {result["check"]: result for result in document["results"]}

    return judge
