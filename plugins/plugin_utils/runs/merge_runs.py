# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many report directories in (sites, suppliers, job slices, lines of defence), one roll-up out.

A directory that is not as it was sealed, or whose signature is not good, is refused, and so are a subject that two
directories of the same line of defence assessed and directories of different standards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_state
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import LINES, VERDICTS, moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

_KEYS = ("directory", "line", "supplier")
_MAX_FAULTS = 5

Document = dict[str, Any]


class RollUpError(ValueError):
    """Directories that cannot be put together: the text names them and says why."""


@dataclass
class Source:
    """One report directory: its run.json and its subject-results documents."""

    path: Path
    line: str
    run: Mapping[str, Any]
    signature: Mapping[str, Any]
    documents: list[Document]
    unreadable: list[dict[str, str]]


def read(entry: Any, allowed_signers: str | None) -> Source:
    """One source, verified. entry: a path, or {directory, line, supplier}; an archive stands for its newest run.

    supplier: for subjects that carry no such tag.

    :raises RollUpError: it is no report directory, was changed, or its signature is not good.
    """
    given = _given(entry)
    path = Path(given["directory"])
    if not (path / pack_verify.MANIFEST).is_file() and (newest := run_directory.latest_run(path)):
        path = path / newest
    findings = pack_verify.verify_pack(path)
    if findings:
        texts = "; ".join(finding["text"] for finding in findings[:_MAX_FAULTS])
        more = f" and {len(findings) - _MAX_FAULTS} more" if len(findings) > _MAX_FAULTS else ""
        raise RollUpError(f"{path} is not as it was sealed: {texts}{more}")
    run = provenance.read(path)
    if not run.get("run", {}).get("finished"):
        raise RollUpError(f"{path} holds no run.json of a finished run")
    if run["run"]["mode"] == "rollup":
        raise RollUpError(f"{path} is a roll-up itself: name what it was made of")
    try:
        state, signer = pack_verify.check_signature(path, allowed_signers)
    except pack_verify.VerifyError as error:
        raise RollUpError(str(error)) from error
    documents, unreadable = run_directory.read_subjects(path)
    for document in documents:
        if given.get("supplier"):
            document["subject"]["tags"] = {"supplier": given["supplier"], **document["subject"]["tags"]}
    return Source(
        path, given.get("line") or run["run"]["line"] or "first", run, {"state": state, "signer": signer}, documents,
        unreadable,
    )  # fmt: skip


def _given(entry: Any) -> Mapping[str, Any]:
    given = {"directory": entry} if isinstance(entry, str) else entry
    if not isinstance(given, Mapping) or not isinstance(given.get("directory"), str):
        raise RollUpError(f"source {entry!r} is neither a directory nor a mapping with directory, line and supplier")
    for key in given:
        if key not in _KEYS:
            hint = nearest(key, _KEYS)
            raise RollUpError(f"source {given['directory']} has {key!r}" + (f"; did you mean {hint}?" if hint else ""))
    line = given.get("line")
    if line is not None and line not in LINES:
        hint = nearest(line, LINES)
        raise RollUpError(
            f"line of source {given['directory']} is {line!r}, expected one of {', '.join(LINES)}"
            + (f"; did you mean {hint}?" if hint else "")
        )
    return given


def merge(
    sources: Sequence[Source], standard: Standard, now: dt.datetime, fresh_days: int
) -> tuple[list[Document], dict[str, Any]]:
    """The subject-results documents of a roll-up, one per subject, and its `rollup` part.

    :raises RollUpError: mixed standards, or a subject twice in one line of defence.
    """
    refuse_mixed(sources)
    found = _by_subject(sources)
    day = register_state.today(now)
    documents, lines = [], []
    for by_line in found.values():
        for document in by_line.values():
            expire(document, day, standard)
        documents.append(_worst(by_line, standard))
        if len(by_line) > 1:
            lines += _side_by_side(by_line)
    part = {
        "fresh_days": fresh_days,
        "sources": [_source(source, now, fresh_days) for source in sources],
        "suppliers": _suppliers(documents, sources, now, fresh_days),
        "lines": lines,
    }
    return documents, part


def refuse_mixed(sources: Sequence[Source]) -> None:
    """:raises RollUpError: the sources were judged by different standards."""
    first = sources[0]
    for source in sources[1:]:
        if source.run["standard"] != first.run["standard"]:
            raise RollUpError(
                f"mixed standards: {first.path} is {_standard(first)}, {source.path} is {_standard(source)}. Judge one "
                "of them again by the other's standard first (playbook dwp.hypervisor.reassess)"
            )


def _standard(source: Source) -> str:
    return f"{source.run['standard']['id']} {source.run['standard']['version']}"


def _by_subject(sources: Sequence[Source]) -> dict[str, dict[str, Document]]:
    """Subject id -> line -> document."""
    found: dict[str, dict[str, Document]] = {}
    # A host that could not be read has its name for an id, and may be the same as one that could.
    names: dict[tuple[str, str], tuple[Source, Document]] = {}
    for source in sources:
        for document in source.documents:
            subject = document["subject"]
            key = (source.line, subject["name"])
            other = names.get(key)
            if other and (other[1]["subject"]["id"] == subject["id"] or not _both_read(other[1], document)):
                raise RollUpError(
                    f"subject {subject['name']} was assessed twice by the {source.line} line: in {other[0].path} and "
                    f"in {source.path}. Name one of them, or say of which line each is"
                )
            names[key] = (source, document)
            lines = found.setdefault(subject["id"], {})
            if source.line in lines:
                raise RollUpError(
                    f"subject id {subject['id']} is twice in the {source.line} line; {source.path} is one"
                )
            lines[source.line] = document
    return found


def _both_read(one: Document, other: Document) -> bool:
    return bool(one["subject"]["reachable"] and other["subject"]["reachable"])


def expire(document: Document, day: dt.date, standard: Standard) -> None:
    """Take back what has expired since the run: a roll-up is read today, whenever its parts were made."""
    expired = False
    for result in document["results"]:
        for key, status in (("exception", o.EXCEPTED), ("attestation", o.ATTESTED)):
            record = result[key]
            if result["status"] == status and record and record["expires_on"] < day.isoformat():
                result.update({"status": result["measured"], key: None})
                result["message"] += (
                    f" {key.capitalize()} {record['id']} has expired on {record['expires_on']}, after the run."
                )
                expired = True
                if key == "exception" and record["id"] not in document["exceptions"]["expired"]:
                    document["exceptions"]["expired"].append(record["id"])
    if expired:
        _roll_up(document, standard)


def _roll_up(document: Document, standard: Standard) -> None:
    by_measure: dict[str, list[dict[str, Any]]] = {}
    for result in document["results"]:
        by_measure.setdefault(result["measure"], []).append(result)
    advisory = any(result["obligation"] == "advisory" for result in document["results"])
    document["measures"] = [
        rollup.roll_up(measure, by_measure.get(measure.id, []), document["subject"]["id"], advisory)
        for measure in standard.measures.values()
        if measure.id in by_measure
    ]
    document["subject"]["verdict"] = rollup.verdict(document["measures"])
    document["subject"]["score"] = rollup.score(document["measures"])


def _worst(by_line: Mapping[str, Document], standard: Standard) -> Document:
    """One document of several lines: of each check the worst result, so that no line hides what another has seen."""
    if len(by_line) == 1:
        return next(iter(by_line.values()))
    newest = max(by_line.values(), key=lambda document: moment(document["subject"]["collected_at"]))
    chosen: dict[str, tuple[str, dict[str, Any]]] = {}
    for line, document in by_line.items():
        for result in document["results"]:
            present = chosen.get(result["check"])
            if present is None or _badness(result["status"]) < _badness(present[1]["status"]):
                chosen[result["check"]] = (line, result)
    for line, result in chosen.values():
        result["message"] = f"{result['message']} (Seen by the {line} line.)".strip()
    drift = [
        entry for line, document in by_line.items() for entry in document["drift"] if chosen[entry["check"]][0] == line
    ]
    merged = {
        **newest,
        "subject": dict(newest["subject"]),
        "results": [result for _line, result in chosen.values()],
        "drift": drift,
        "exceptions": {
            state: sorted({name for document in by_line.values() for name in document["exceptions"][state]})
            for state in ("now_passing", "expired", "changed")
        },
        "attestations": {
            "contradicted": [entry for found in by_line.values() for entry in found["attestations"]["contradicted"]]
        },
    }
    _roll_up(merged, standard)
    return merged


def _badness(status: str) -> int:
    return o.WORST_FIRST.index(status)


def _side_by_side(by_line: Mapping[str, Document]) -> list[dict[str, Any]]:
    statuses = {
        line: {entry["measure"]: entry["status"] for entry in document["measures"]}
        for line, document in by_line.items()
    }
    subject = next(iter(by_line.values()))["subject"]["id"]
    rows = []
    for measure in dict.fromkeys(measure for found in statuses.values() for measure in found):
        said = {
            line: {"status": found[measure], "collected_at": by_line[line]["subject"]["collected_at"]}
            for line, found in statuses.items()
            if measure in found
        }
        words = {entry["status"] for entry in said.values() if entry["status"] != o.NOT_EVALUATED}
        cells = {line: said.get(line) for line in LINES}
        rows.append({"subject": subject, "measure": measure, **cells, "disagree": len(words) > 1})
    return rows


def _age(then: str, now: dt.datetime) -> int:
    return max(0, (now - moment(then)).days)


def _source(source: Source, now: dt.datetime, fresh_days: int) -> dict[str, Any]:
    run = source.run["run"]
    age = _age(run["finished"], now)
    return {
        "directory": source.path.name,
        "run": run["id"],
        "line": source.line,
        "suppliers": sorted({_supplier(document) for document in source.documents}),
        "subjects": len(source.documents),
        "finished": run["finished"],
        "age_days": age,
        "fresh": age <= fresh_days,
        "collection": run["collection"],
        "gold_sha256": run["gold_sha256"],
        "manifest_sha256": pack_verify.file_digest(source.path / pack_verify.MANIFEST),
        "signature": dict(source.signature),
        "exceptions": _register_today(source, now),
    }


def _register_today(source: Source, now: dt.datetime) -> dict[str, Any] | None:
    register = source.run["registers"]["exceptions"]
    if register is None:
        return None
    records = []
    for record in register["records"]:
        state, due, left = register_state.calendar(record["from"], record["expires_on"], register_state.today(now))
        records.append({**record, "state": state, "due_within": due, "days_left": left})
    return {**register, "records": records}


def _supplier(document: Mapping[str, Any]) -> str:
    return str(document["subject"]["tags"].get("supplier") or "")[:200]


def _suppliers(
    documents: Iterable[Document], sources: Sequence[Source], now: dt.datetime, fresh_days: int
) -> list[dict[str, Any]]:
    groups: dict[str, list[Document]] = {}
    for document in documents:
        groups.setdefault(_supplier(document), []).append(document)
    # By the sources that hold the supplier's subjects; a register of several suppliers counts for each of them.
    due: dict[str, set[tuple[str, str]]] = {}
    for source in sources:
        register = _register_today(source, now)
        late = [record for record in (register or {}).get("records", []) if record["state"] in ("expiring", "expired")]
        for document in source.documents:
            met = document["exceptions"].get("met", {})
            ids = {(str(source.path), record["id"]) for record in late if record["id"] in met}
            due.setdefault(_supplier(document), set()).update(ids)
    rows = []
    for name, found in sorted(groups.items()):
        times = sorted((document["subject"]["collected_at"] for document in found), key=moment)
        score = rollup.score([entry for document in found for entry in document["measures"]])
        age = _age(times[0], now)
        rows.append(
            {
                "supplier": name,
                "subjects": len(found),
                "last_assured": times[-1],
                "oldest": times[0],
                "age_days": age,
                "fresh": age <= fresh_days,
                "score": score["before_exceptions"],
                "score_after_exceptions": score["after_exceptions"],
                "by_verdict": {
                    verdict: sum(document["subject"]["verdict"] == verdict for document in found)
                    for verdict in VERDICTS
                },
                "exceptions_due": len(due.get(name, ())),
            }
        )
    return rows
