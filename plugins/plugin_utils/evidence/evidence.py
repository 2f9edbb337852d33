# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence: the facts of one subject on disk and the gold configuration they are judged by; re-assessment from it."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import math
import os
import re
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.alike import Alike
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.inheritance import controller_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.redaction import MAX_DEPTH, redact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.encoding import Lines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS, Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import DataError, nearest

SCHEMA = "dwp.hypervisor.evidence/1"
# One host with 200 domains is about 2 MB.
MAX_BYTES = 64 * 1024 * 1024
_SLUG_LENGTH = 80
LINE_DEPTH = 3  # document, facts, part
_LINES = Lines()
_SLUG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
_UUID_AT_END = re.compile(r"[/-][0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
# What boards report whose vendor never set one; many machines share them.
_PLACEHOLDER_UUIDS = frozenset(
    (
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
    )
)
_KEYS: Mapping[str, type] = {
    "schema": str,
    "subject": dict,
    "collected_at": str,
    "collection": str,
    "facts": dict,
    "gold": dict,
    "gold_sources": dict,
    "provenance": dict,
}


class EvidenceError(DataError):
    """An evidence file that cannot be used: file, what was found, what was expected."""


def subject_id(endpoint: str, hardware_uuid: Any = None) -> str:
    """endpoint/UUID, or the endpoint alone where the hardware has no UUID of its own.

    hardware_uuid is what the target says: anything but a real UUID (null, text, a vendor's placeholder) is unknown.
    """
    try:
        known = str(uuid.UUID(str(hardware_uuid)))
    except ValueError:
        return endpoint
    return endpoint if known in _PLACEHOLDER_UUIDS else f"{endpoint}/{known}"


def slug(subject: str) -> str:
    """A file name for a subject id: at most 80 of a-z A-Z 0-9 . _ -, ending in 8 hex digits of the id's SHA-256.

    The id decides alone, so different ids get different names also where a file system ignores case.
    """
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", _UUID_AT_END.sub("", subject)).strip(".-")
    readable = re.sub(r"\.{2,}", ".", readable)[: _SLUG_LENGTH - 9].rstrip(".-")
    return f"{readable}-{digest}" if readable else f"subject-{digest}"


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_private(path: str | os.PathLike[str], data: bytes | Iterable[bytes], durable: bool = False) -> None:
    """Write a file of mode 0600 atomically, creating missing directories with mode 0700. data: whole, or in pieces.

    A reader sees the old content or the new, never a half; a link at path is replaced, not followed. Existing
    directories keep their mode. durable: wait until the disk has it. Raises OSError, and then nothing has changed.
    """
    target = Path(path)
    if not target.parent.is_dir():
        for directory in reversed([target.parent, *target.parent.parents]):
            # pathlib's own parents=True creates all but the last with the umask's mode.
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=0o700)
    descriptor, draft = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)  # 0600 whatever the umask
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.writelines((data,) if isinstance(data, bytes) else data)
            if durable:
                handle.flush()
                os.fsync(handle.fileno())
        Path(draft).replace(target)
    except BaseException as error:
        Path(draft).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk is told of the descriptor alone
            error.filename = str(target)
        raise


def build(
    subject: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    collected_at: dt.datetime,
    collection: str,
    gold: Mapping[str, Any],
    gold_sources: Mapping[str, str],
    provenance: Mapping[str, Any] | None = None,
    alike: Alike | None = None,
) -> dict[str, Any]:
    """The evidence document of one subject. Its "facts" are redacted: assess those, not what the target sent.

    collected_at: the controller's time, for a host could set its own clock back to revive an exception.
    collection: the version of this collection.
    gold: the effective gold configuration. gold_sources: where each non-default value came from.
    provenance: run, by, catalogue_sha256 and registers of the run, where it is known.
    alike: what other subjects have too; gold is then what it made of it.
    """
    moment = collected_at if collected_at.tzinfo else collected_at.replace(tzinfo=dt.timezone.utc)
    return {
        "schema": SCHEMA,
        "subject": dict(subject),
        "collected_at": moment.astimezone(dt.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "collection": collection,
        "facts": redact(facts) if alike is None else alike.clean(facts),
        "gold": gold,
        "gold_sources": gold_sources,
        "provenance": {
            "collector": {"name": f"{subject.get('platform')}_info", "facts": facts.get("schema_version")},
            "gold_sha256": gold_config.digest(gold) if alike is None else alike.gold(gold).about["sha256"],
            **(provenance or {}),
        },
    }


def encode(document: Mapping[str, Any], lines: Lines = _LINES) -> bytes:
    """A document as it is stored: JSON in ASCII, so that a hostile name stays a visible escape.

    One line for each result, VM or other part, so that a line can be named that somebody has changed. lines: who
    remembers the text of what documents share.
    Keys keep their order, for messages follow it and a re-assessment has to say the same.
    NaN and Infinity, which JSON does not have, become null: a number nobody can compare is unknown.
    """
    try:
        text = lines.text(document, LINE_DEPTH)
    except ValueError:
        text = _LINES.text(_finite(document), LINE_DEPTH)
    return text.encode("ascii") + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A stored evidence document, checked.

    :raises EvidenceError: not readable, over 64 MiB, not JSON, nested more than 60 levels, or not of this schema.
    """
    name = os.fspath(path)
    document = _parse(_bytes(Path(path), name), name)
    if not isinstance(document, dict):
        raise EvidenceError("is not evidence", file=name, found=type(document).__name__, expected="a JSON object")
    if document.get("schema") != SCHEMA:
        found = document.get("schema", "no schema")
        raise EvidenceError("has another schema", file=name, key="schema", found=found, expected=SCHEMA)
    for key in document:
        if key not in _KEYS:
            raise EvidenceError(f'unknown key "{key}"', file=name, key=key, nearest=nearest(key, _KEYS))
    for key, kind in _KEYS.items():
        if not isinstance(document.get(key), kind):
            found = type(document[key]).__name__ if key in document else "nothing"
            raise EvidenceError(f'"{key}" is missing or wrong', file=name, key=key, found=found, expected=kind.__name__)
    _check_subject(document["subject"], name)
    _moment(document["collected_at"], name)
    return document


def _bytes(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as exc:
        raise EvidenceError(f"cannot be read: {exc.strerror or exc}", file=name) from None
    if len(data) > MAX_BYTES:
        raise EvidenceError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB", file=name)
    return data


def _parse(data: bytes, name: str) -> Any:
    def refuse(word: str) -> Any:
        raise EvidenceError("is not JSON", file=name, found=word)

    try:
        document = json.loads(data, parse_constant=refuse)
    except DataError:
        raise
    except RecursionError:
        raise EvidenceError(f"is nested more than {MAX_DEPTH} levels deep", file=name) from None
    except json.JSONDecodeError as exc:
        raise EvidenceError(f"is not JSON: {exc.msg}", file=name, line=exc.lineno) from None
    except ValueError:  # not UTF-8, or an integer of thousands of digits
        raise EvidenceError("is not JSON text", file=name) from None
    if _deeper_than(document, MAX_DEPTH + 1):  # one level more than the facts, which stand inside the document
        raise EvidenceError(f"is nested more than {MAX_DEPTH} levels deep", file=name)
    return document


def _deeper_than(document: Any, limit: int) -> bool:
    level = [document]
    for _depth in range(limit):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return any(isinstance(value, (dict, list)) for value in level)


def _check_subject(subject: Mapping[str, Any], name: str) -> None:
    for key in ("id", "name", "slug", "platform", "kind", "endpoint"):
        if not isinstance(subject.get(key), str) or not subject[key]:
            found = subject.get(key, "nothing")
            raise EvidenceError(
                f'"subject.{key}" is missing or wrong', file=name, key=key, found=found, expected="text"
            )
    if not _SLUG.fullmatch(subject["slug"]):
        expected = "at most 80 of a-z A-Z 0-9 . _ -, beginning with a letter or digit"
        raise EvidenceError(
            '"subject.slug" is no file name', file=name, key="slug", found=subject["slug"], expected=expected
        )
    if subject["platform"] not in PLATFORMS[1:]:
        raise EvidenceError(
            '"subject.platform" is not a platform',
            file=name,
            key="platform",
            found=subject["platform"],
            expected="one of " + ", ".join(PLATFORMS[1:]),
            nearest=nearest(subject["platform"], PLATFORMS[1:]),
        )


def _moment(text: str, name: str) -> dt.datetime:
    try:
        # Python 3.10 does not read the Z.
        moment = dt.datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        expected = "a date and time with its zone, as 2026-11-23T17:00:00Z"
        raise EvidenceError('"collected_at" is wrong', file=name, key="collected_at", found=text, expected=expected)
    return moment


def reassess(
    path: str | os.PathLike[str],
    standard: Standard,
    exceptions: Sequence[Mapping[str, Any]] = (),
    attestations: Sequence[Mapping[str, Any]] = (),
    measures: Iterable[str] | None = None,
    *,
    gold: Mapping[str, Any] | None = None,
    inherited: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Judge a subject again from its stored evidence, without contacting it. Returns its subject-results document.

    Everything is judged as of the evidence's own date and, unless gold is given, by the gold configuration stored with
    it. gold may hold some settings only: the others stay as they were stored. A setting that a
    newer version of the collection added counts with its default; one that no longer exists is left out.
    inherited: the results of the subject's controller; without them its evidence is judged again as well, where it lies
    beside this one.

    :raises EvidenceError: see read.
    """
    document = read(path)
    known = gold_config.defaults()
    stored = {key: value for key, value in document["gold"].items() if key in known}
    try:
        values = gold_config.effective({**known, **stored, **(gold or {})}, document["subject"])
    except gold_config.GoldError as exc:
        raise EvidenceError(f'"gold" is wrong: {exc}', file=os.fspath(path), key="gold") from None
    if inherited is None:
        inherited = []
        controller = Path(path).parent / f"{slug(controller_of(document['subject']))}.json"
        if controller_of(document["subject"]) and controller.is_file():
            above = reassess(controller, standard, exceptions, attestations, measures, gold=gold)
            inherited = above["results"]
    return assess(
        document["facts"],
        standard=standard,
        gold=values,
        now=_moment(document["collected_at"], os.fspath(path)),
        subject={**document["subject"], "collected_at": document["collected_at"]},
        exceptions=exceptions,
        attestations=attestations,
        measures=measures,
        inherited=inherited,
    )
