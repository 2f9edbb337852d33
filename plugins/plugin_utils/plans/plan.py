# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a planner is given and what it answers: the settings that would put one check right. Pure: no I/O, no Ansible.

A planner is a function of one check: ``plan(situation) -> list of rows``. A row is a plain dictionary that the module
kvm_settings understands; the functions below make them. Rows say how the host has to be, never what to do: whether
anything changes is found out on the host, so that a second run changes nothing.

A planner that may not go on (an empty list of administrators, the connecting account left out) raises Refusal: then
nothing of the area is changed. What only a person can do is a row of kind ``by_hand``. A row that concerns items which
are not named like its setting has their ids in ``items``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Planner = Callable[["Situation"], list[Row]]

# What has to happen before a written setting is in force (the catalogue's `op`).
REBOOT = "reboot"
# Stands for every item of a check that an exception covers as a whole; no item is called so.
WHOLE = "*"
PENDING = ("", REBOOT, "vm_power", "maintenance")


class Refusal(Exception):
    """A change that must not be made as asked. The message names the setting, what was found and what is expected."""


@dataclass(frozen=True)
class Situation:
    """What a planner may know.

    facts: the facts document just read (docs/facts.md). gold: the effective gold configuration. checks: the checks to
    enforce in this call, all of one area. account, source, controller_port: the account and address the controller
    comes from and the local port it reached, as the host sees them; source is None where the connection is local.
    known_as: what a vSphere server calls the account, where it tells; a login's form may name another domain.
    inbound: who is connected now, [{protocol, local_address, local_port, peer}]. outbound: whom the host is connected
    to, [{protocol, peer, peer_port, process}]. allow_vm_changes: UUIDs of the virtual machines whose definition may be
    changed. excepted: {check: ids of the items (`<UUID of a machine>/...`) that an exception covers while others of the
    check fail, or WHOLE}; nothing of them may be set. options: those of run_options.OPTIONS that the run gives.
    own_machines: {UUID: what it is} of machines that this run hangs on: the vCenter, where the run comes from.
    """

    facts: Mapping[str, Any]
    gold: Mapping[str, Any]
    checks: frozenset[str]
    account: str = "root"
    source: str | None = None
    known_as: str = ""
    controller_port: int | None = None
    inbound: Sequence[Mapping[str, Any]] = ()
    outbound: Sequence[Mapping[str, Any]] = ()
    allow_vm_changes: frozenset[str] = frozenset()
    excepted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    own_machines: Mapping[str, str] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """debian (Ubuntu included) or rhel, as facts say.

        :raises Refusal: another distribution, whose file names nobody has verified.
        """
        found = str((self.facts.get("host") or {}).get("family") or "")
        if found not in ("debian", "rhel"):
            raise Refusal(f"host.family is {found or 'not known'}: enforcement knows the Debian and the RHEL family")
        return found


def keys(
    path: str,
    values: Mapping[str, str | None],
    *,
    syntax: str,
    section: str = "",
    then: Sequence[Row] = (),
    mode: str = "0644",
    create: bool = True,
    pending: str = "",
    secret: bool = False,
) -> Row:
    """Keys of a configuration file; every other line of it stays.

    syntax: sshd (`Key value`), libvirt (`key = value`, the value as the file has it, quotes included), ini (`key =
    value` below [section]), equals (`KEY=value`). A value of None takes the key away (libvirt and equals: comments it
    out is not needed, the line goes). mode: of a file that is created. then: see activation(). pending: one of PENDING.
    secret: values never appear in diffs or results.
    """
    return {
        "kind": "keys",
        "path": path,
        "values": dict(values),
        "syntax": syntax,
        "section": section,
        "mode": mode,
        "create": create,
        "then": list(then),
        "pending": pending,
        "secret": secret,
    }


def lines(
    path: str,
    *,
    present: Sequence[Mapping[str, str]] = (),
    absent: Sequence[str] = (),
    then: Sequence[Row] = (),
    pending: str = "",
    secret: bool = False,
) -> Row:
    """Single lines of an existing text file (PAM stacks, fstab).

    absent: regular expressions (re.search) of lines that must not be there. present: [{line, match, before, after}]:
    `match` (optional regular expression): the first line it finds is replaced; otherwise the line is inserted before
    the first line that `before` finds, or after the last one that `after` finds, or at the end.
    """
    return {
        "kind": "lines",
        "path": path,
        "present": [dict(entry) for entry in present],
        "absent": list(absent),
        "then": list(then),
        "pending": pending,
        "secret": secret,
    }


def file(
    path: str,
    content: str | None,
    *,
    mode: str = "0644",
    owner: str = "root",
    group: str = "root",
    validate: Sequence[str] = (),
    then: Sequence[Row] = (),
    pending: str = "",
    secret: bool = False,
) -> Row:
    """A whole file of ours; content None: it must not exist. Missing directories are made (0755, root).

    validate: a command in which %s stands for a temporary copy, run before the file is in place (`visudo -cf %s`).
    """
    return {
        "kind": "file",
        "path": path,
        "content": content,
        "mode": mode,
        "owner": owner,
        "group": group,
        "validate": list(validate),
        "then": list(then),
        "pending": pending,
        "secret": secret,
    }


def access(path: str, *, mode: str = "", owner: str = "", group: str = "", then: Sequence[Row] = ()) -> Row:
    """Mode (octal text), owner and group of what exists; empty: as it is. Nothing is done where it is absent."""
    return {"kind": "access", "path": path, "mode": mode, "owner": owner, "group": group, "then": list(then)}


def unit(
    name: str,
    *,
    enabled: bool | None = None,
    active: bool | None = None,
    masked: bool | None = None,
    then: Sequence[Row] = (),
    pending: str = "",
) -> Row:
    """A systemd unit: whether it starts at boot, runs, is masked; None: as it is.

    A unit that does not exist is an error for what shall run, and nothing to do for what shall not.
    """
    return {
        "kind": "unit",
        "name": name,
        "enabled": enabled,
        "active": active,
        "masked": masked,
        "then": list(then),
        "pending": pending,
    }


def members(group: str, *, add: Sequence[str] = (), remove: Sequence[str] = (), create: bool = False) -> Row:
    """Members of a local group, by name. create: make the group (a system group) where there is none."""
    return {"kind": "members", "group": group, "add": list(add), "remove": list(remove), "create": create, "then": []}


def account(name: str, *, usable: bool) -> Row:
    """A local account; usable False: expired and its password locked (usermod -L -e 1), never deleted."""
    return {"kind": "account", "name": name, "usable": usable, "then": []}


def generated(
    command: Sequence[str],
    *,
    files: Sequence[str],
    holds: Mapping[str, str],
    sources: Sequence[str] = (),
    undo: Sequence[str],
) -> Row:
    """Files that a program of the system writes (pam-auth-update, authselect), and the texts they then have to hold.

    files: everything the command rewrites; kept, and put back byte for byte unless somebody else has written to them
    since: then undo runs instead. sources: files of this plan from which it writes; when they change it runs again.
    """
    return {
        "kind": "generated",
        "command": list(command),
        "files": list(files),
        "holds": dict(holds),
        "sources": list(sources),
        "undo": list(undo),
        "then": [],
    }


def value(path: str, text: str) -> Row:
    """One value the kernel keeps in a file of /proc or /sys, now. Survives a reboot only with a file row beside it."""
    return {"kind": "value", "path": path, "text": text, "then": []}


def nft_table(name: str, sections: Mapping[str, str | None], *, path: str, unit: str, stamp: str) -> Row:
    """Sections of our own nftables table (family inet), in force and after a restart; no other table is touched.

    sections: {name: text of its sets and chains, as inside a table block; None: it goes}. Sections of the table that
    are not named stay as they are. path: the file that holds the whole table. unit: the service that loads it at start,
    whose file is a row before this one. stamp: a file that is touched whenever the table is loaded.
    """
    return {
        "kind": "nft_table",
        "name": name,
        "sections": dict(sections),
        "path": path,
        "unit": unit,
        "stamp": stamp,
        "then": [],
    }


def libvirt_network(name: str, *, autostart: bool | None = None, active: bool | None = None) -> Row:
    """A network of libvirt; None: as it is. One that a running domain is plugged into is never stopped: an error."""
    return {"kind": "libvirt_network", "name": name, "autostart": autostart, "active": active, "then": []}


def access_list(path: str, *, remove: Sequence[str]) -> Row:
    """Named entries that may not be in a POSIX access list: user:alice, group:ops, default:user:alice."""
    return {"kind": "access_list", "path": path, "remove": list(remove), "then": []}


def link(path: str, target: str, *, then: Sequence[Row] = (), pending: str = "") -> Row:
    """A symbolic link and where it points."""
    return {"kind": "link", "path": path, "target": target, "then": list(then), "pending": pending}


def domain(uuid: str, edits: Sequence[Mapping[str, Any]], *, uri: str = "qemu:///system", pending: str = "") -> Row:
    """Edits of a virtual machine's stored definition: never of what runs, never of a machine without one.

    Plan it only for a UUID in situation.allow_vm_changes, with pending "vm_power" where the machine runs
    (plans/machines.py does both). edits: of domain_set() and domain_remove(), in order. The host proves that libvirt
    can start the new definition before it defines it, and several rows about one machine end in one definition.
    """
    return {
        "kind": "domain",
        "uuid": uuid,
        "edits": [dict(edit) for edit in edits],
        "uri": uri,
        "then": [],
        "pending": pending,
    }


def domain_set(path: str, attributes: Mapping[str, str | None] | None = None, *, text: str | None = None) -> Row:
    """An edit: attributes (None takes one away) and text of one element.

    path: names of elements below <domain>, with conditions on attributes where there are several of a name:
    `devices/disk[target/@dev='vda']/iotune/total_iops_sec`. What has no condition is made where it is missing.
    """
    return {"set": path, "attributes": dict(attributes or {}), "text": text}


def domain_remove(path: str) -> Row:
    """An edit: every element at that path goes; nothing to do where there is none. path: see domain_set()."""
    return {"remove": path}


def domain_live(
    uuid: str, command: str, values: Mapping[str, str], *, device: str = "", uri: str = "qemu:///system"
) -> Row:
    """Limits of a virtual machine that runs, now, by `virsh <command> --live`; nothing where it is shut off.

    command: domiftune (values inbound.average, outbound.average …, KiB/s), blkdeviotune (total_iops_sec …), schedinfo
    (vcpu_quota …). device: the interface's MAC or the disk's target. Only beside a domain row that makes it last, only
    where the catalogue says that it may be done live, and only where the operator asked for it.
    """
    return {
        "kind": "domain_live",
        "uuid": uuid,
        "command": command,
        "device": device,
        "values": dict(values),
        "uri": uri,
        "then": [],
    }


def waiting(what: str, pending: str = "reboot") -> Row:
    """Written already, by whomever, and in force only later: what a person has to do to bring it about."""
    return {**by_hand(what), "pending": pending}


def activate(then: Sequence[Row]) -> Row:
    """Nothing is written, something has to be done all the same (a daemon that has not read its files).

    Plan it only where facts say that it is needed: it always counts as a change.
    """
    return {"kind": "activate", "then": list(then)}


def by_hand(what: str, items: Sequence[str] = ()) -> Row:
    """What the platform cannot be made to do, or what a person has to decide; reported, never done.

    items: ids of the items of the check that it is about, so that an exception of one leaves the others to be set.
    """
    return {"kind": "by_hand", "what": what, "then": [], **({"items": list(items)} if items else {})}


def restart(name: str) -> Row:
    """Activation: restart a unit if it runs."""
    return {"restart": name}


def reload(name: str) -> Row:
    """Activation: reload a unit if it runs (restart where it cannot reload)."""
    return {"reload": name}


def run(*argv: str, undo: Sequence[str] = (), touches: Sequence[str] = ()) -> Row:
    """Activation: a command, run when a row it belongs to changed anything; before all restarts, in order.

    A command that fails undoes the whole area. undo: run after the files were put back, instead of argv; a test of what
    was there before the change is nobody's business: `/bin/true`. touches: files
    the command rewrites (update-grub: /boot/grub/grub.cfg); they are saved and put back byte for byte.
    """
    return {"run": list(argv), "undo": list(undo), "touches": list(touches)}
