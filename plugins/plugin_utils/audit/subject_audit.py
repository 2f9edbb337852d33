# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the facts of one subject to its evidence and results in the run directory, on every platform."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.alike import Alike
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess, unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

Document = dict[str, Any]


class SubjectAudit:
    """The audit of the subjects of one endpoint.

    given: options of the action (run_directory, measures, exceptions_file, attestations_file); variables: the gold_*
    variables of the inventory host.
    """

    def __init__(self, given: Mapping[str, Any], standard: Standard, variables: Mapping[str, Any]) -> None:
        self.directory = Path(given["run_directory"])
        self._given = given
        self._standard = standard
        self._variables = variables
        self._registers: dict[str, Any] | None = None
        self._provenance: dict[str, Any] = {}
        self._alike = Alike()

    def judge(
        self, subject: Document, facts: Mapping[str, Any], inherited: Iterable[Mapping[str, Any]] = ()
    ) -> Document:
        """Assess, and write evidence and results. Returns the subject-results document.

        subject: id, name, slug, endpoint, platform, kind, tags, groups; inherited: the results of its controller.
        """
        now = dt.datetime.now(dt.timezone.utc)
        subject["product"] = str(lookup(facts, "host.product") or "")[:200]
        values = self._alike.gold(gold.effective(self._variables, subject))
        if self._registers is None:
            self._registers = load_registers(self._given, self._standard, self.directory)
            self._provenance = provenance_of(self.directory, self._registers, self._standard)
        record = evidence.build(
            subject,
            facts,
            collected_at=now,
            collection=VERSION,
            gold=values.values,
            gold_sources=values.sources,
            provenance=self._provenance,
            alike=self._alike,
        )
        # What is judged is what is kept: the redacted facts, so that a later re-assessment says the same.
        document = assess(
            record["facts"],
            standard=self._standard,
            gold=values.values,
            now=now,
            subject=subject,
            exceptions=register_files.records_of(self._registers, "exceptions"),
            attestations=register_files.records_of(self._registers, "attestations"),
            measures=self._given["measures"],
            inherited=inherited,
            alike=self._alike,
        )
        encoded = evidence.encode(record, self._alike)
        evidence.write_private(self.directory / "evidence" / f"{subject['slug']}.json", encoded)
        self._keep(document)
        return document

    def silent(self, subject: Document, reason: str) -> Document:
        """The document of a subject that could not be read, written: every measure unknown with the reason."""
        document = unreachable(
            subject,
            standard=self._standard,
            reason=reason,
            now=dt.datetime.now(dt.timezone.utc),
            measures=self._given["measures"],
            gold=gold.effective(self._variables, subject),
        )
        self._keep(document)
        return document

    def _keep(self, document: Document) -> None:
        # Not json.dumps: a lone surrogate in the name of a VM cannot be encoded, and the host would drop out of the
        # report.
        name = f"{document['subject']['slug']}.json"
        evidence.write_private(self.directory / "subjects" / name, evidence.encode(document, self._alike))


def load_registers(given: Mapping[str, Any], standard: Standard, directory: Path) -> dict[str, Any]:
    """The registers of this run: what prepare has read and kept, or else the files that are named."""
    kept = register_files.kept(directory)
    if any(kept.values()):
        return kept
    return register_files.read({kind: given[f"{kind}_file"] for kind in register_files.KINDS}, standard)


def provenance_of(directory: Path, registers: Mapping[str, Any], standard: Standard) -> dict[str, Any]:
    """What the evidence says about its run; by and catalogue as prepare wrote them."""
    run = provenance.read(directory).get("run", {})
    return {
        "run": run.get("id"),
        "by": run.get("by"),
        "standard": {"id": standard.id, "version": standard.version},
        "catalogue_sha256": run.get("catalogue_sha256"),
        "registers": register_files.hashes(registers),
    }
