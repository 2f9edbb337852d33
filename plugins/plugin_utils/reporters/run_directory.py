# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of one run: reading the subjects' result files, writing the reports, and `latest`."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import SCHEMA as SUBJECT_SCHEMA
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import encode, write_private
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import MOST, Repeated

LATEST = "latest"
# 110 checks of one subject take about 150 KB; a file far beyond that is not one of ours.
MAX_SUBJECT_BYTES = 64 * 1024 * 1024
_DOCUMENT = frozenset(("subject", "results", "measures", "drift", "gold", "exceptions", "attestations"))
_SUBJECT = frozenset(
    "id name slug platform kind endpoint product reachable unreachable_reason collected_at verdict score tags".split()
)
_RESULT = frozenset(
    "subject measure check name title tier obligation severity measured status expected actual persistent message "
    "items items_total exception attestation role threshold_source probe fix disruption".split()
)
_REPEATED = ("subject", "measure", "check", "name", "title", "severity", "expected", "message", "role", "probe", "fix")
# Values that are mostly what the first subject has: a fleet is set up alike.
_ALIKE = ("expected", "actual", "items", "exception", "attestation", "disruption")
# Where the results begin and end in a file as `encode` writes it.
_RESULTS, _MEASURES = b'\n"results":[\n', b'],\n"measures":['
_MEASURE = frozenset("subject measure section severity obligation status advisory_status".split())


class RunDirectoryError(OSError):
    """The run directory cannot be used: a link, somebody else's, or not a directory."""


def prepare(report_dir: Path, run_id: str) -> Path:
    """Create <report_dir>/<run id> with mode 0700 and return it.

    :raises RunDirectoryError: it is a link or belongs to another user, who could read or replace the reports.
    """
    directory = report_dir / run_id
    for folder in reversed([directory, *directory.parents]):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise RunDirectoryError(f"{directory} is not a directory")
    if found.st_uid != os.geteuid():
        raise RunDirectoryError(f"{directory} belongs to user id {found.st_uid}, this is {os.geteuid()}")
    directory.chmod(0o700)
    return directory


def read_subjects(
    directory: Path, started: str | None = None, known: Known | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Every subjects/*.json of a run as (documents, unreadable files with the reason). known: see read_subject.

    started: when the run began, ISO 8601. Where a run id is used twice, the file of a host that delivers nothing the
    second time is still there: what was collected before the run began is not a result of it.
    """
    documents, unreadable = [], []
    known = known or Known()
    for path in sorted((directory / "subjects").glob("*.json")):
        try:
            document = read_subject(path, known)
            collected = document["subject"]["collected_at"]
            if started and moment(collected) < moment(started):
                raise ValueError(f"collected at {collected}, before this run began: the run id was used before")
            documents.append(document)
        except (OSError, ValueError, RecursionError) as error:
            unreadable.append({"file": f"subjects/{path.name}", "reason": str(error)[:300]})
    return documents, unreadable


def read_subject(path: Path, known: Known | None = None) -> dict[str, Any]:
    """One result file, checked for what the reporters rely on. known: what the files read before it repeat.

    :raises ValueError: too large, not JSON, or not a subject-results document. :raises OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_SUBJECT_BYTES:
        raise ValueError(f"{size:,} bytes, more than {MAX_SUBJECT_BYTES:,}")
    data = path.read_bytes()
    document = known.document(data) if known else None
    if document is None:
        document = _json(data)
        if known and isinstance(document, dict) and isinstance(document.get("results"), list):
            for result in document["results"]:
                known.share(result)
    if not isinstance(document, dict) or document.get("schema") != SUBJECT_SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise ValueError(f"expected schema {SUBJECT_SCHEMA}, found {found}")
    for where, found, keys in _parts(document):
        if found.__class__ is Repeated:
            continue
        if not isinstance(found, dict):
            raise ValueError(f"{where}: expected an object, found {type(found).__name__}")
        missing = keys - found.keys()
        if missing:
            raise ValueError(f"{where} lacks {', '.join(sorted(missing))}")
    return document


def _json(data: bytes) -> Any:
    # NaN and Infinity are not JSON: as text they are still seen, and results.json stays readable for every parser.
    return json.loads(data, parse_constant=str)


class Known:
    """What the result files of a run repeat: read once and kept once, a third of the time and of the memory of a
    thousand subjects."""

    def __init__(self) -> None:
        self._results: dict[bytes, dict[str, Any]] = {}
        self._values: dict[Any, Any] = {}

    def document(self, data: bytes) -> dict[str, Any] | None:
        """The document of a file as `encode` writes it, a result a line; None where the file looks otherwise.

        Each line is read by itself and the rest with a number in the place of the list: whatever the file is, the
        answer is what reading it in one piece would give, or None.
        """
        begin = data.find(_RESULTS) + len(_RESULTS)
        end = data.find(_MEASURES, begin)
        if begin < len(_RESULTS) or end < 0:
            return None
        rest = _json(data[: begin - 2] + b"-1" + data[end + 1 :])
        if not isinstance(rest, dict) or rest.get("results") != -1 or not isinstance(rest.get("subject"), dict):
            return None
        subject = rest["subject"].get("id")
        if not isinstance(subject, str):
            return None
        own = b'{"subject":%s,' % json.dumps(subject).encode("ascii")
        results = []
        for line in data[begin:end].split(b",\n"):
            common = self._common(line[len(own) :]) if line.startswith(own) else None
            if common is None:
                return None
            results.append(Repeated(common, subject))
        rest["results"] = results
        return rest

    def _common(self, line: bytes) -> dict[str, Any] | None:
        found = self._results.get(line)
        if found is None:
            try:
                found = _json(b'{"subject":null,' + line)
            except ValueError:
                return None
            if not isinstance(found, dict) or _RESULT - found.keys() or "failing_since" in found or found["subject"]:
                return None
            self.share(found)
            if len(self._results) < MOST:
                self._results[line] = found
        return found

    def share(self, result: Any) -> None:
        """Keep one copy of the values that other results have too."""
        if not isinstance(result, dict) or _RESULT - result.keys():
            return
        for key in _REPEATED:
            if isinstance(result[key], str):
                result[key] = self._values.setdefault(result[key], result[key])
        for key in _ALIKE:
            if isinstance(result[key], (dict, list)):
                # By its text: to Python, 1 and true are equal.
                text = repr(result[key])
                first, its_text = self._values.setdefault((key, result["check"]), (result[key], text))
                if text == its_text:
                    result[key] = first


def _parts(document: dict[str, Any]) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """What the reporters rely on: (where, the part, the keys it needs)."""
    yield "the document", document, _DOCUMENT
    yield "subject", document["subject"], _SUBJECT
    for name, keys in (("results", _RESULT), ("measures", _MEASURE)):
        if not isinstance(document[name], list):
            raise ValueError(f"{name}: expected a list, found {type(document[name]).__name__}")
        for number, entry in enumerate(document[name]):
            yield f"{name}[{number}]", entry, keys


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files (relative name: content) atomically with mode 0600."""
    for name, data in files.items():
        write_private(directory / name, data)


def write_format(
    directory: Path, files: Iterable[tuple[str, bytes | Iterable[bytes]]], folder: str | None = None
) -> None:
    """Write the files of one format as they are made, and remove what an earlier report left in its folder."""
    written = set()
    for name, data in files:
        write_private(directory / name, data)
        written.add(directory / name)
    if folder:
        for path in (directory / folder).rglob("*"):
            if path not in written and not path.is_dir():
                path.unlink(missing_ok=True)


def point_latest(report_dir: Path, run_id: str) -> None:
    """Let <report_dir>/latest lead to this run; on a file system without links it is a file that holds the run id."""
    latest, draft = report_dir / LATEST, report_dir / f".{LATEST}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    try:
        draft.symlink_to(run_id, target_is_directory=True)
    except OSError:
        write_private(latest, f"{run_id}\n".encode())
        return
    try:
        draft.replace(latest)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunDirectoryError(f"{latest} is in the way of the link to the newest run: {error.strerror}") from None


def latest_run(report_dir: Path) -> str | None:
    """The run id `latest` leads to, or None."""
    latest = report_dir / LATEST
    try:
        return latest.readlink().name if latest.is_symlink() else latest.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def previous_run(directory: Path, known: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The run `latest` leads to, {run, subjects}, with the slugs of the subjects that this run has no file for.

    known: what this run's report said before, when it is written again and `latest` already leads to it.

    A host that leaves the inventory leaves the report with it; this is how somebody notices. The hash at a slug's end
    is of the hardware UUID as well, which an unreachable host does not tell: the readable part is compared.
    """
    previous = latest_run(directory.parent)
    if previous == directory.name:
        previous = known["run"] if known else None
    if not previous:
        return None
    present = {_readable(path) for path in (directory / "subjects").glob("*.json")}
    before = sorted((directory.parent / previous / "subjects").glob("*.json"))
    return {"run": previous, "subjects": [path.stem for path in before if _readable(path) not in present]}


def _readable(path: Path) -> str:
    return path.stem.rpartition("-")[0]


def subject_file(document: Mapping[str, Any]) -> tuple[str, bytes]:
    """Name and content of the result file of one subject."""
    return f"subjects/{document['subject']['slug']}.json", encode(document)
