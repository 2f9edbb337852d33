# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of a vCenter with its hosts, or of a stand-alone ESXi host, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Endpoint, VsphereError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.subject_audit import SubjectAudit
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import Elsewhere, in_turn, several_cores
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.endpoint_summary import Summary

Document = dict[str, Any]
QUIET = 10.0  # seconds after which a run says how far it is, and between two such lines
# From so many hosts on they are judged in a process of its own, while the next are read.
MANY_HOSTS = 100
_KEPT_OF_SUBJECT = ("id", "name", "slug", "kind", "controller")


def endpoint_of(
    given: Mapping[str, Any], name: str, connection: Mapping[str, Any], joins_as: tuple[str, str] | None = None
) -> Endpoint:
    """Where to log in. given: options of an action; connection: host, user and password of the inventory host;
    joins_as: see Endpoint.

    :raises VsphereError: the fingerprint is none.
    """
    return Endpoint(
        name=name,
        host=str(connection["host"]),
        user=connection["user"],
        password=connection["password"],
        port=given["port"],
        validate_certs=given["validate_certs"],
        ca_file=given["ca_file"],
        pin=given["certificate_sha256"],
        time_limit=given["time_limit"],
        joins_as=joins_as,
    )


class Progress:
    """Says how far a run is, every ten seconds and never in a shorter one."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self.of_hosts = 0
        self._name = name
        self._say = say
        self._last = time.monotonic()

    def __call__(self, hosts: int, of_hosts: int, machines: int) -> None:
        self.of_hosts = of_hosts
        now = time.monotonic()
        if now - self._last >= QUIET:
            self._last = now
            self._say(f"{self._name}: {hosts:,} of {of_hosts:,} hosts, {machines:,} virtual machines read")


class Judging:
    """Judges subjects as they are read, the controller before its hosts. summary: of all so far."""

    def __init__(self, audit_of: SubjectAudit, summary: Summary) -> None:
        self.summary = summary
        self._audit_of = audit_of
        self._of_controller: Sequence[Mapping[str, Any]] = ()

    def __call__(self, subject: Document, facts: Mapping[str, Any] | None, reason: str | None) -> None:
        """facts: None where there are none, then reason says why."""
        if facts is None:
            document = self._audit_of.silent(subject, str(reason))
        else:
            document = self._audit_of.judge(subject, facts, self._of_controller)
        if subject["kind"] == "controller":
            self._of_controller = document["results"]
        self.summary.add(document)

    def end(self) -> Judging:
        """Itself: there is nothing to wait for."""
        return self

    def __getstate__(self) -> Document:
        # When it comes back from another process, only what was counted is of interest.
        return {"summary": self.summary}


def audit(
    audit_of: SubjectAudit,
    given: Mapping[str, Any],
    connection: Mapping[str, Any],
    base: Document,
    denied: Sequence[Mapping[str, Any]],
    say: Callable[[str], None],
) -> tuple[Summary, str | None]:
    """Audit every subject of an endpoint. Returns what was found, and why nothing could be read (any more), or None.

    given, connection: see endpoint_of; base: what the endpoint's subjects have in common; say: shows a line to the
    operator.
    """
    known = _known_subjects(audit_of.directory, base["endpoint"])
    names = Names(base)
    here = Judging(audit_of, Summary(given))
    judge: Judging | Elsewhere[Judging] = here
    controller: Document | None = None
    try:
        endpoint = endpoint_of(given, base["endpoint"], connection)
        progress = Progress(endpoint.name, say)
        with logged_in(endpoint) as session:
            for found in _found(session, denied, progress):
                subject = names.subject(found, controller)
                judge(subject, found.facts, found.reason)
                if found.kind == "controller":
                    controller = subject
                    if progress.of_hosts >= MANY_HOSTS and several_cores():
                        judge = Elsewhere(here)
    except (VsphereError, SoapFault) as error:
        reason = str(error)
    else:
        if controller is None or len(names.given) > 1:
            return judge.end().summary, None
        # Hosts that are there and not shown would leave the report without a word.
        reason = f"{endpoint}: {endpoint.user} sees no ESXi host there"
    reason = visible(reason)[:500]
    for entry in _left(known, names.given, base):
        judge(entry, None, reason)
    return judge.end().summary, reason


def _found(session: Any, denied: Sequence[Mapping[str, Any]], progress: Progress) -> Iterator[collector.Subject]:
    """The collector's subjects. What a server may say that nobody foresaw ends in a reason, and not in a traceback."""
    try:
        yield from collector.collect(session, denied, progress, share=in_turn)
    except SHAPE as error:
        raise VsphereError(f"{session.endpoint}: {strange(error)}") from error


class Names:
    """Ids and file names of an endpoint's subjects, each given once."""

    def __init__(self, base: Document) -> None:
        self._base = base
        self.given: set[str] = set()

    def subject(self, found: collector.Subject, controller: Document | None) -> Document:
        """The subject of what the collector found. Hosts whose boards share a UUID are told apart by their names."""
        endpoint = self._base["endpoint"]
        own = str(found.name)[:200]
        name = endpoint if found.kind == "controller" else own
        subject_id = evidence.subject_id(endpoint, found.uuid)
        if subject_id in self.given or (subject_id == endpoint and found.kind == "host" and controller):
            subject_id = f"{endpoint}/{own}"
        self.given.add(subject_id)
        subject = {**self._base, "id": subject_id, "kind": found.kind, "name": name}
        if found.kind == "controller":
            subject["slug"] = evidence.slug(subject_id)
        elif controller is None:
            subject.update({"name": endpoint, "slug": evidence.slug(subject_id)})
        else:
            # The host's name makes the file findable among a thousand; the hash is of the whole.
            subject["slug"] = evidence.slug(f"{endpoint}-{own}/{found.uuid}")
            subject["controller"] = controller["id"]
        return subject


def _known_subjects(directory: Path, endpoint: str) -> list[Document]:
    """The subjects of an endpoint in the last archived run; a run that hardens has its audits one level deeper."""
    for folder in (directory.parent, directory.parent.parent):
        latest = run_directory.latest_run(folder)
        if latest and latest != directory.name:
            found = provenance.read(folder / latest).get("subjects") or []
            return [
                {key: entry[key] for key in _KEPT_OF_SUBJECT if key in entry}
                for entry in found
                if entry.get("endpoint") == endpoint and entry.get("platform") == "vsphere"
            ]
    return []


def _left(known: list[Document], given: set[str], base: Document) -> list[Document]:
    """Who is still owed a document when an endpoint cannot be read (any more): at least the endpoint itself."""
    entries = [{**base, **entry} for entry in known if entry["id"] not in given]
    if entries or given:
        return entries
    return [{**base, "id": base["endpoint"], "slug": evidence.slug(base["endpoint"]), "kind": "host"}]
