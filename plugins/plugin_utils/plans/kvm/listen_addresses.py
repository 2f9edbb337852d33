# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Management daemons on the management address only (kvm-11.4.12-services-bound)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import (
    ADMINISTRATION,
    GoldFault,
    networks,
    ports,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.ssh_server import (
    UNITS,
    activation,
    refuse_unread,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import segments

SSH = "/etc/ssh/sshd_config.d/00-dwp-hypervisor-listen.conf"
DROP_IN = "dwp-hypervisor-listen.conf"
# A daemon that binds to one address fails when it starts before that address is there.
WAIT = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n"
# Protocols whose ports systemd holds: each has a socket unit.
SOCKETS = ("ssh", "cockpit", "libvirt_tcp", "libvirt_tls")
# systemd starts no socket under a daemon that runs. Asked to restart both, it lets the daemon come first when somebody
# connects in between; and another socket of the same daemon may wake it, so this is tried again. $1 socket, then its
# services: those that ran run again, and a socket that somebody has switched off stays off.
REOPEN = """\
socket=$1; shift
systemctl -q is-active "$socket" || systemctl -q is-failed "$socket" || systemctl -q is-enabled "$socket" || exit 0
ran=
for unit; do
  systemctl -q is-active "$unit" && ran="$ran $unit"
done
for try in 1 2 3 4 5; do
  systemctl stop "$socket" "$@"
  systemctl reset-failed "$socket" "$@" 2> /dev/null
  systemctl start "$socket" && break
  [ "$try" = 5 ] && exit 1
done
[ -z "$ran" ] || systemctl start $ran
"""


def rows(situation: Situation) -> list[Row]:
    """kvm-11.4.12-services-bound."""
    try:
        segment = networks("gold_mgmt_cidrs", situation.gold["gold_mgmt_cidrs"])
        found = segments.management_addresses(situation.facts["network"]["interfaces"], segment)
    except GoldFault as fault:
        raise Refusal(str(fault)) from None
    own = sorted(address for address in found if not ipaddress.ip_address(address).is_link_local)
    if not own:
        raise Refusal(
            f"no address of this host lies in gold_mgmt_cidrs ({', '.join(situation.gold['gold_mgmt_cidrs'])}); "
            "bound to nothing, management would be gone"
        )
    planned = _migration(situation, segment, own)
    held = {unit for protocol in _protocols(situation) for unit in _sockets(protocol)}
    for process, ends in sorted(_wrong(situation, segment).items()):
        if process == "sshd" and "ssh.socket" not in held:
            planned += _sshd(situation, own)
        elif not any(_is_served(protocol, ends) for protocol in _protocols(situation)):
            what = (
                "in the machine's definition (graphics, serial consoles)" if process.startswith("qemu") else "by hand"
            )
            planned.append(
                plan.by_hand(f"{process} listens on {', '.join(ends)}: bind it to {' or '.join(own)} {what}")
            )
    for protocol in _protocols(situation):
        if any(_end_is_wrong(end, segment) for end in protocol["listen"]):
            planned += _socket(situation, protocol, own)
    return planned


def _wrong(situation: Situation, segment: Any) -> dict[str, list[str]]:
    """{process: [address:port]} of management daemons that listen elsewhere."""
    wanted = [ports(text) for text in situation.gold["gold_mgmt_ports"]]
    found: dict[str, list[str]] = {}
    for entry in situation.facts["firewall"]["listeners"]:
        declared = any(entry["proto"] == each and low <= entry["port"] <= high for each, low, high in wanted)
        if (declared or ADMINISTRATION.match(entry["process"])) and not _is_bound(entry["addr"], segment):
            found.setdefault(entry["process"] or entry["unit"] or "a process", []).append(
                f"{entry['addr']}:{entry['port']}"
            )
    return found


def _is_bound(address: str, segment: Any) -> bool:
    try:
        return segments.bound(address, segment).status == outcome.PASS
    except MissingFact:
        return False


def _protocols(situation: Situation) -> list[Mapping[str, Any]]:
    """The protocols that are reached through a socket unit that runs or starts with the host."""
    return [
        protocol
        for protocol in situation.facts["remote_access"]["protocols"]
        if protocol["name"] in SOCKETS and _sockets(protocol)
    ]


def _sockets(protocol: Mapping[str, Any]) -> list[str]:
    return [
        unit for unit, state in protocol["units"].items() if unit.endswith(".socket") and state.endswith(", active")
    ]


def _is_served(protocol: Mapping[str, Any], ends: Sequence[str]) -> bool:
    numbers = {end.rpartition(":")[2] for end in protocol["listen"]}
    return {end.rpartition(":")[2] for end in ends} <= numbers


def _end_is_wrong(end: str, segment: Any) -> bool:
    return not _is_bound(end.rpartition(":")[0].strip("[]"), segment)


def _sshd(situation: Situation, own: Sequence[str]) -> list[Row]:
    """A file of ours, and no ListenAddress anywhere else: sshd listens on all it finds."""
    refuse_unread(situation)
    _refuse_cut(situation, own)
    then = activation(situation)
    unit = UNITS[situation.family]
    files = {
        path
        for server in situation.facts["remote_access"]["ssh"]["servers"]
        for path in server["config_files"]
        if path != SSH
    }
    return [
        plan.file(SSH, "".join(f"ListenAddress {address}\n" for address in own), mode="0600", then=then),
        *(plan.lines(path, absent=[r"(?i)^\s*ListenAddress\b"], then=then) for path in sorted(files)),
        plan.file(f"/etc/systemd/system/{unit}.d/{DROP_IN}", WAIT),
    ]


def _socket(situation: Situation, protocol: Mapping[str, Any], own: Sequence[str]) -> list[Row]:
    if protocol["name"] == "ssh":
        _refuse_cut(situation, own)
    numbers = sorted({end.rpartition(":")[2] for end in protocol["listen"]})
    listen = "".join(f"ListenStream={_end(address, port)}\n" for address in own for port in numbers)
    found = []
    for unit in _sockets(protocol):
        # FreeBind: the socket need not wait for the address. An empty ListenStream takes back the unit's own.
        text = f"[Socket]\nListenStream=\n{listen}FreeBind=yes\n"
        services = [name for name in protocol["units"] if name.endswith(".service")]
        if protocol["name"].startswith("libvirt"):
            services = [f"{unit.rpartition('-')[0]}.service"]
        reopen = plan.run("/bin/sh", "-c", REOPEN, "sh", unit, *services)
        then = [plan.run("systemctl", "daemon-reload"), reopen]
        found.append(plan.file(f"/etc/systemd/system/{unit}.d/{DROP_IN}", text, then=then))
    return found


def _end(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _migration(situation: Situation, segment: Any, own: Sequence[str]) -> list[Row]:
    current = situation.facts["network"]["migration_address"]
    if current is None:
        raise Refusal(f"{qemu_conf.QEMU_CONF} could not be read")
    if _is_bound(current or "0.0.0.0", segment):
        return []
    address = {"migration_address": f'"{own[0]}"'}
    then = qemu_conf.take_up(situation)
    return [plan.keys(qemu_conf.QEMU_CONF, address, syntax="libvirt", mode="0600", then=then)]


def _refuse_cut(situation: Situation, own: Sequence[str]) -> None:
    """The controller has to find ssh where it has come to."""
    reached = {
        str(entry["local_address"]).partition("%")[0]
        for entry in situation.inbound
        if entry["peer"] == situation.source and entry["local_port"] == situation.controller_port
    }
    outside = sorted(address for address in reached if address not in own)
    if situation.source is not None and outside:
        raise Refusal(
            f"this run reached the host at {', '.join(outside)}, outside gold_mgmt_cidrs; found {', '.join(own)}"
            "; run it against one of these (ansible_host), or correct gold_mgmt_cidrs"
        )
