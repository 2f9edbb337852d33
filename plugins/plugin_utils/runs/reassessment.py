# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole run judged again from its evidence: by another gold configuration, other registers or another catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.inheritance import controller_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, pack_verify, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest


class ReassessmentError(ValueError):
    """A run that cannot be judged again: it is not as it was sealed, or a gold setting does not exist."""


def source_of(path: Path) -> tuple[Path, dict[str, Any]]:
    """The run directory (an archive stands for its newest run) and its run.json, verified.

    :raises ReassessmentError: it is no run, or not as it was sealed.
    """
    if not (path / pack_verify.MANIFEST).is_file() and (newest := run_directory.latest_run(path)):
        path = path / newest
    findings = pack_verify.verify_pack(path)
    if findings:
        raise ReassessmentError(
            f"{path} is not as it was sealed: " + "; ".join(found["text"] for found in findings[:5])
        )
    run = provenance.read(path)
    if not run.get("run", {}).get("finished"):
        raise ReassessmentError(f"{path} holds no run.json of a finished run")
    return path, run


def check_gold(gold: Mapping[str, Any]) -> None:
    """:raises ReassessmentError: a setting that does not exist. :raises GoldError: a value of the wrong type."""
    known = gold_config.load_settings()
    for name in gold:
        if name not in known:
            hint = nearest(name, known)
            raise ReassessmentError(f"gold has no setting {name!r}" + (f"; did you mean {hint}?" if hint else ""))
    gold_config.effective({**gold_config.defaults(), **gold})


def changed(
    run: Mapping[str, Any], standard: Standard, gold: Mapping[str, Any], registers: Mapping[str, Any]
) -> list[str]:
    """What differs from what judged the run then. gold: the settings given now; registers: as register_files.kept."""
    found = []
    catalogue = run["run"].get("catalogue_sha256")
    if run["run"]["collection"] != VERSION or (catalogue and catalogue != provenance.catalogue_sha256()):
        found.append("collection")
    if run["standard"] != {"id": standard.id, "version": standard.version}:
        found.append("standard")
    if gold:
        found.append("gold")
    before = {kind: (run["registers"][kind] or {}).get("sha256") for kind in register_files.KINDS}
    return found + [kind for kind, digest in register_files.hashes(registers).items() if digest != before[kind]]


def judge(
    source: Path,
    directory: Path,
    standard: Standard,
    gold: Mapping[str, Any],
    registers: Mapping[str, Any],
    run_id: str,
) -> int:
    """Write results and evidence of every subject of `source` into a run directory; returns how many there were.

    A subject that could not be read then is unreachable again. Everything is judged as of the evidence's own date.
    """
    records = {kind: register_files.records_of(registers, kind) for kind in register_files.KINDS}
    count = 0
    controllers: dict[str, list[dict[str, Any]]] = {}
    for path in _controllers_first(source):
        before = run_directory.read_subject(path)
        stored = source / "evidence" / path.name
        if stored.is_file():
            document = evidence.reassess(
                stored,
                standard,
                records["exceptions"],
                records["attestations"],
                gold=gold,
                inherited=controllers.get(controller_of(before["subject"]), []),
            )
            _keep_evidence(stored, directory, standard, gold, registers, run_id)
        else:
            subject = {
                key: before["subject"][key]
                for key in ("id", "name", "slug", "platform", "kind", "endpoint", "tags", "controller")
                if key in before["subject"]
            }
            document = unreachable(
                subject,
                standard=standard,
                reason=before["subject"]["unreachable_reason"] or "the run kept no evidence of it",
                now=moment(before["subject"]["collected_at"]),
            )
        if document["subject"]["kind"] == "controller":
            controllers[document["subject"]["id"]] = document["results"]
        name, data = run_directory.subject_file(document)
        run_directory.write(directory, {name: data})
        count += 1
    return count


def _controllers_first(source: Path) -> list[Path]:
    """The subjects of a run; a host inherits from its controller, so that has to be judged before."""
    paths = sorted((source / "subjects").glob("*.json"))
    return sorted(paths, key=lambda path: run_directory.read_subject(path)["subject"]["kind"] != "controller")


def _keep_evidence(
    stored: Path,
    directory: Path,
    standard: Standard,
    gold: Mapping[str, Any],
    registers: Mapping[str, Any],
    run_id: str,
) -> None:
    """The same facts with what judged them now, so that this judgement can be repeated as well."""
    document = evidence.read(stored)
    values = {**document["gold"], **gold}
    document["provenance"] = {
        **document["provenance"],
        "gold_sha256": gold_config.digest(values),
        "standard": {"id": standard.id, "version": standard.version},
        "catalogue_sha256": provenance.catalogue_sha256(),
        "registers": register_files.hashes(registers),
        "judged_again_in": run_id,
        "evidence_sha256": pack_verify.file_digest(stored),
    }
    document.update(
        {
            "gold": values,
            "collection": VERSION,
            "gold_sources": gold_config.sources({**gold_config.defaults(), **values}),
        }
    )
    evidence.write_private(directory / "evidence" / stored.name, evidence.encode(document))
