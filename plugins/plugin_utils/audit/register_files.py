# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registers of one run: read once, before any host is contacted, and kept beside the results.

The run directory gets a copy of each register and of its signature, and what was read from them. Every host of the run
is judged by that, whatever happens to the files meanwhile, and a later reader sees what was approved then.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import encode, write_private
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

FOLDER = "registers"
READ = "registers.json"
SCHEMA = "dwp.hypervisor.registers/1"
KINDS = ("exceptions", "attestations")


def read(
    files: Mapping[str, str | None], standard: Standard, allowed_signers: str | None = None
) -> dict[str, dict[str, Any] | None]:
    """Each register that a file is named for: {source, data, signature_data, sha256, signature, records}.

    files: exceptions and attestations -> path or None.

    :raises ValueError: a register is malformed (RegisterError) or its signature is not good (SignatureError).
    """
    # Only prepare and the registers action come here; an audit does not pay for the imports.
    from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import signatures
    from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import registers

    loaders = {"exceptions": registers.load_exceptions, "attestations": registers.load_attestations}
    found: dict[str, dict[str, Any] | None] = dict.fromkeys(KINDS)
    for kind in KINDS:
        path = files.get(kind)
        if not path:
            continue
        records = loaders[kind](path, standard)
        data = Path(path).read_bytes()
        signature_file = Path(f"{path}.sig")
        found[kind] = {
            "source": path,
            "data": data,
            "signature_data": signature_file.read_bytes() if signature_file.is_file() else None,
            "sha256": hashlib.sha256(data).hexdigest(),
            "signature": signatures.register_signature(path, data, allowed_signers),
            "records": records,
        }
    return found


def keep(directory: Path, found: Mapping[str, dict[str, Any] | None], outside: Mapping[str, Sequence[str]]) -> None:
    """Write the registers into a run directory.

    outside: kind -> ids of records that match inventory hosts which this run does not look at.
    """
    if not any(found.values()):
        return
    kept: dict[str, Any] = {"schema": SCHEMA}
    for kind, register in found.items():
        if register is None:
            kept[kind] = None
            continue
        name = f"{FOLDER}/{kind}{Path(register['source']).suffix or '.yml'}"
        write_private(directory / name, register["data"])
        if register["signature_data"] is not None:
            write_private(directory / f"{name}.sig", register["signature_data"])
        shown = {key: register[key] for key in ("sha256", "signature", "records")}
        kept[kind] = {"file": name, **shown, "outside": list(outside.get(kind, ()))}
    write_private(directory / FOLDER / READ, encode(kept))


def kept(directory: Path) -> dict[str, Any]:
    """The registers of a run directory, {exceptions, attestations}; None for each where the run had none.

    :raises ValueError: the file is there and cannot be used.
    """
    path = directory / FOLDER / READ
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return dict.fromkeys(KINDS)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"{path}: is not {SCHEMA}")
    return {kind: document.get(kind) for kind in KINDS}


def records_of(registers: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The records of a register that may be absent."""
    register = registers.get(kind)
    return list(register["records"]) if register else []


def hashes(registers: Mapping[str, Any]) -> dict[str, str | None]:
    """Kind -> SHA-256 of the register's file."""
    return {kind: registers[kind]["sha256"] if registers.get(kind) else None for kind in KINDS}


def state(registers: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], now: dt.datetime) -> dict[str, Any]:
    """The `registers` part of the run document: each record with where it stands."""
    from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_state

    shown: dict[str, Any] = {}
    for kind in KINDS:
        register = registers.get(kind)
        if register is None:
            shown[kind] = None
            continue
        found = register_state.records(
            kind, register["records"], documents, now, outside=register.get("outside", ()),
            attestation_max_age_days=_max_age(documents),
        )  # fmt: skip
        shown[kind] = {**{key: register[key] for key in ("file", "sha256", "signature")}, "records": found}
    return shown


def _max_age(documents: Iterable[Mapping[str, Any]]) -> int:
    """gold_attestation_max_age_days; the shortest, where subjects differ."""
    ages = [
        entry["value"]
        for document in documents
        for entry in document["gold"]["non_default"]
        if entry["name"] == "gold_attestation_max_age_days"
    ]
    return min(ages, default=365)


def bare(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose subject ids are cut to the endpoint: a host that was not read has no hardware UUID yet."""
    cut = dict(record)
    for key in ("subjects", "approved_subjects"):
        if key in record:
            cut[key] = [name.partition("/")[0] for name in record[key]]
    return cut


def keep_again(
    directory: Path, source: Path, registers: Mapping[str, Any], fresh: Mapping[str, dict[str, Any] | None]
) -> None:
    """Write the registers of a re-assessment: those that were given, and of the others what the source run kept."""
    keep(directory, fresh, {})
    document: dict[str, Any] = {"schema": SCHEMA, **kept(directory)}
    for kind, register in registers.items():
        if register and not fresh.get(kind):
            for name in (register["file"], f"{register['file']}.sig"):
                if (source / name).is_file():
                    write_private(directory / name, (source / name).read_bytes())
            document[kind] = register
    if any(registers.values()):
        write_private(directory / FOLDER / READ, encode(document))
