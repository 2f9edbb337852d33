# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what through libvirt: the access driver, polkit's rules, sockets, consoles (11.2.2 to 11.2.5, 11.4.5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, people, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import polkit_files, qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import access_libvirt, vm_access
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import polkit_policy as policy

NETWORK_PORTS = {"tcp": 16509, "tls": 16514}
GROUP = "libvirt"
TRUE = "1"


def _daemons(situation: Situation, forwarding: bool = True) -> list[Mapping[str, Any]]:
    """The daemons a client can reach.

    :raises Refusal: one of them, or all, could not be read.
    """
    found = (situation.facts.get("libvirt_daemons") or {}).get("daemons") or []
    unread = [str(daemon.get("name")) for daemon in found if "conf" not in daemon]
    if unread or not found:
        raise Refusal(f"the configuration of {', '.join(unread) or 'every libvirt daemon'} could not be read")
    return [
        daemon
        for daemon in found
        if daemon["reachable"] and (forwarding or daemon["name"] not in access_libvirt.FORWARDING)
    ]


def _take_up(situation: Situation, daemon: Mapping[str, Any]) -> list[Row]:
    return qemu_conf.take_up(situation, f"{daemon['name']}.service")


def _texts(situation: Situation) -> dict[str, str]:
    return {
        polkit_files.GRANTS: polkit_files.grants(situation),
        polkit_files.DENIALS: polkit_files.denials(situation),
    }


def _rule_rows(texts: Mapping[str, str]) -> list[Row]:
    return [plan.file(path, text or None) for path, text in sorted(texts.items())]


def access_driver(situation: Situation) -> list[Row]:
    """kvm-11.2.2-access-driver and kvm-11.2.3-capability: the rules first, then the driver that asks them."""
    polkit = situation.facts["rbac"]["polkit"]
    if polkit.get("javascript") is not True:
        raise Refusal(
            f"polkit {polkit.get('version') or 'is not installed, so it'} cannot tell one virtual machine from "
            "another: "
            "0.106 or later is needed, with a newer release of the distribution"
        )
    texts = _texts(situation)
    _nobody_cut_off(situation, polkit_files.proposed(situation, texts))
    rows = _rule_rows(texts)
    for daemon in _daemons(situation, forwarding=False):
        drivers = [str(name) for name in daemon["access_drivers"]]
        if "polkit" in drivers:
            rows += [] if daemon["in_force"] else [plan.activate(_take_up(situation, daemon))]
            continue
        value = ", ".join(f'"{name}"' for name in [*drivers, "polkit"])
        rows.append(
            plan.keys(
                daemon["conf"],
                {"access_drivers": f"[ {value} ]"},
                syntax="libvirt",
                mode="0600",
                then=_take_up(situation, daemon),
            )
        )
    return rows


def _nobody_cut_off(situation: Situation, rules: list[dict[str, Any]]) -> None:
    """With the driver in force a client without a rule is refused every call that changes something.

    :raises Refusal: an administrator, the automation or a service account that uses libvirt would be such a client.
    """
    groups = situation.facts.get("groups") or {}
    found = [
        answer for answer in policy.answers(rules) if answer.grants and answer.certain and answer.touches(policy.API)
    ]

    def may(name: str) -> bool:
        return any(name in answer.users or any(name in groups.get(g, []) for g in answer.groups) for answer in found)

    known = people.accounts(situation)
    names = [*people.administrators(situation), *map(str, situation.gold["gold_automation_accounts"])]
    services = [name for name in groups.get(GROUP, []) if known.get(name, {}).get("human") is False]
    left = [name for name in dict.fromkeys([*names, *services]) if name in known and name != "root" and not may(name)]
    if left:
        raise Refusal(
            f"gold_rbac_matrix grants nothing of libvirt to {', '.join(left)} (administrators, automation, and "
            "services in "
            f"group {GROUP} count); with the access driver they would be refused every call; add an entry with them as "
            "principal, or with a group they are in"
        )


def polkit_rules(situation: Situation) -> list[Row]:
    """kvm-11.2.2-polkit-rules."""
    texts = _texts(situation)
    rules = polkit_files.proposed(situation, texts)
    polkit = {**situation.facts["rbac"]["polkit"], "in_force": True}
    verdict = access_libvirt.policy_deployed({"polkit": polkit, "rules": rules}, dict(situation.gold))
    _no_stranger_let_in(situation, rules)
    rows = _rule_rows(texts)
    for item in verdict.items:
        if item.status == o.FAIL and item.id not in {rule["path"] for rule in rules} | {"polkit"}:
            raise Refusal(f"gold_rbac_matrix: {item.id}: the rule written for it would not grant it; {item.message}")
        if item.status in (o.FAIL, o.UNKNOWN):
            rows.append(plan.by_hand(f"{item.id}: {item.message}; remove it or list it in gold_polkit_rule_files"))
    return rows


def _no_stranger_let_in(situation: Situation, rules: list[dict[str, Any]]) -> None:
    """The matrix and the lists of people are two settings; a matrix that lets in somebody else would undo the lists.

    :raises Refusal: it does.
    """
    facts = situation.facts
    verdict = access_libvirt.no_blanket_group(
        {"groups": facts["groups"], "accounts": facts["accounts"], "driver": "polkit",
         "rules": [rule for rule in rules if rule["path"] == polkit_files.GRANTS]},
        dict(situation.gold),
    )  # fmt: skip
    strangers = [item.id for item in verdict.items if item.status == o.FAIL and not item.id.startswith(f"%{GROUP}: ")]
    if strangers:
        raise Refusal(
            f"gold_rbac_matrix lets {', '.join(strangers)} connect to libvirt, who is neither in "
            "gold_hypervisor_admins nor "
            "in gold_hypervisor_operators: name accounts or a group of declared people as principal"
        )


def deny_rules(situation: Situation) -> list[Row]:
    """kvm-11.2.3-deny-rules."""
    text = polkit_files.denials(situation)
    rules = polkit_files.proposed(situation, {polkit_files.DENIALS: text})
    verdict = access_libvirt.explicit_deny({"rules": rules}, dict(situation.gold))
    rows = _rule_rows({polkit_files.DENIALS: text})
    return rows + [
        plan.by_hand(f"{item.id}: {item.message}; complete gold_deny_map")
        for item in verdict.items
        if item.status != o.PASS
    ]


def rule_order(situation: Situation) -> list[Row]:
    """kvm-11.2.3-rule-order: ours sort first; a file of somebody else's is not renamed behind their back."""
    text = polkit_files.denials(situation)
    rules = polkit_files.proposed(situation, {polkit_files.DENIALS: text})
    verdict = access_libvirt.deny_precedes_allow({"rules": rules}, dict(situation.gold))
    rows = _rule_rows({polkit_files.DENIALS: text}) if text else []
    if verdict.status in (o.FAIL, o.UNKNOWN):
        rows.append(
            plan.by_hand(f"{verdict.message}: give the file that grants a name that sorts after the one that denies")
        )
    return rows


def guest_permissions(situation: Situation) -> list[Row]:
    """kvm-11.4.5-guest-permissions: the driver, and no rule that opens guests to whoever administers the host."""
    rows = [] if situation.facts["rbac"]["driver"] == "polkit" else access_driver(situation)
    rules = polkit_files.proposed(situation, _texts(situation) if situation.gold["gold_rbac_matrix"] else {})
    verdict = vm_access.guest_permissions({"driver": "polkit", "rules": rules}, dict(situation.gold))
    for item in verdict.items:
        if item.status == o.PASS:
            continue
        where = "gold_rbac_matrix" if item.id == polkit_files.GRANTS else item.id
        rows.append(
            plan.by_hand(
                f"{where} {item.message}: name single actions instead, or name them in gold_guest_access_principals "
                "if that "
                "is their task"
            )
        )
    return rows


def no_blanket_group(situation: Situation) -> list[Row]:
    """kvm-11.2.2-no-blanket-group: people without the right leave the group; service accounts stay."""
    people.administrators(situation)
    facts = situation.facts
    verdict = access_libvirt.no_blanket_group(
        {"groups": facts["groups"], "accounts": facts["accounts"], "rules": facts["rbac"]["rules"],
         "driver": facts["rbac"]["driver"]},
        dict(situation.gold),
    )  # fmt: skip
    leave, rows = [], []
    for item in verdict.items:
        if item.status == o.PASS:
            continue
        if item.status == o.FAIL and item.id.startswith(f"%{GROUP}: "):
            leave.append(item.id.partition(": ")[2])
        else:
            rows.append(plan.by_hand(f"{item.id}: {item.message}"))
    if situation.account in leave:
        raise Refusal(
            f"{situation.account}, the account this run logs in as, would leave group {GROUP}: name it in "
            "gold_hypervisor_admins, or take it out yourself"
        )
    return [*([plan.members(GROUP, remove=leave)] if leave else []), *rows]


def remote_bypass(situation: Situation) -> list[Row]:
    """kvm-11.2.2-remote-bypass: the network sockets off, unless machines migrate over TLS between named hosts."""
    tls = situation.gold["gold_migration_transport"] == "tls"
    rows: list[Row] = []
    for daemon in _daemons(situation):
        closed = [s for s in daemon["sockets"] if s["kind"] == "tcp" or (s["kind"] == "tls" and not tls)]
        closed = [socket for socket in closed if socket["active"] or socket["enabled"]]
        rows += [plan.unit(socket["unit"], enabled=False, active=False, masked=True) for socket in closed]
        # The daemon keeps the socket it was handed until it starts again.
        rows += [plan.activate(_take_up(situation, daemon))] if closed and daemon["running"] else []
        for kind in [] if not daemon["listen_argument"] else ("tcp",) if tls else ("tcp", "tls"):
            if str(daemon[f"listen_{kind}"]) == TRUE:
                rows.append(
                    plan.keys(
                        daemon["conf"], {f"listen_{kind}": "0"}, syntax="libvirt", then=_take_up(situation, daemon)
                    )
                )
    peers = [str(connection["peer"]) for connection in situation.inbound if connection.get("local_port") in _ports(tls)]
    if rows and peers:
        raise Refusal(
            f"{', '.join(peers[:5])} is connected to libvirt over the network now, and would be cut off: move it to "
            "qemu+ssh first, or declare gold_migration_transport tls with gold_migration_peers"
        )
    if tls:
        rows += _tls_by_hand(situation)
    return rows


def _ports(tls: bool) -> list[int]:
    return [NETWORK_PORTS["tcp"]] if tls else list(NETWORK_PORTS.values())


def _tls_by_hand(situation: Situation) -> list[Row]:
    verdict = access_libvirt.identity_available({"daemons": _daemons(situation)}, dict(situation.gold))
    return [
        plan.by_hand(
            f"{item.id}: {item.message}; set tls_allowed_dn_list to the names of the peers' certificates as "
            "virt-pki-query-dn prints them, and gold_migration_peers to their common names"
        )
        for item in verdict.items
        if item.status != o.PASS and item.id.endswith(" tls")
    ]


def unix_socket(situation: Situation) -> list[Row]:
    """kvm-11.2.5-unix-socket: polkit asks who connects; the mode of the socket alone knows no names."""
    if not situation.facts["rbac"]["polkit"].get("version"):
        raise Refusal("polkit is not installed, so it cannot be asked who connects: install polkitd first")
    rows = []
    for daemon in _daemons(situation):
        if daemon["auth_unix_rw"] in ("polkit", "sasl"):
            rows += [] if daemon["in_force"] else [plan.activate(_take_up(situation, daemon))]
        else:
            rows.append(
                plan.keys(
                    daemon["conf"], {"auth_unix_rw": '"polkit"'}, syntax="libvirt", then=_take_up(situation, daemon)
                )
            )
    return rows


def readonly_socket(situation: Situation) -> list[Row]:
    """kvm-11.2.5-ro-socket: for the group from now on, and for the socket file that is there."""
    rows = []
    for daemon in _daemons(situation):
        for socket in daemon["sockets"]:
            if socket["kind"] != "ro" or not socket["mode"]:
                continue
            rows.append(
                plan.file(
                    f"/etc/systemd/system/{socket['unit']}.d/dwp-hypervisor.conf",
                    f"# Written by dwp.hypervisor (measure 11.2.5).\n[Socket]\nSocketMode=0660\nSocketGroup={GROUP}\n",
                )
            )
            if not socket["active"]:
                # A daemon that makes its own sockets reads their mode from its own file.
                values = {"unix_sock_group": f'"{GROUP}"', "unix_sock_ro_perms": '"0660"'}
                rows.append(plan.keys(daemon["conf"], values, syntax="libvirt", then=_take_up(situation, daemon)))
            # systemd cannot restart the socket of a daemon that runs; what is there is changed in place.
            rows += [plan.access(path, mode="0660", group=GROUP) for path in socket["listen"] if path.startswith("/")]
    return rows


def consoles(situation: Situation) -> list[Row]:
    """kvm-11.4.5-console: qemu.conf and the definitions of machines that say where to listen."""
    conf = situation.facts["qemu"]["conf"]
    values: dict[str, Any] = {}
    for kind in ("vnc", "spice"):
        settings = conf.get("settings") or {}
        if not _local(str(settings.get(f"{kind}_listen", "127.0.0.1"))) and str(settings.get(f"{kind}_tls", 0)) != TRUE:
            values[f"{kind}_listen"] = '"127.0.0.1"'
    rows: list[Row] = []
    if values:
        names = [daemon for daemon in _daemons(situation) if daemon["name"] in ("libvirtd", "virtqemud")]
        then = [row for daemon in names for row in _take_up(situation, daemon)]
        rows.append(plan.keys(qemu_conf.QEMU_CONF, values, syntax="libvirt", then=then, pending="vm_power"))
    changed = {**conf, "settings": {**(conf.get("settings") or {}), **dict.fromkeys(values, "127.0.0.1")}}
    # Judged as if every machine were started again: what is left is written in its own definition.
    stopped = [{**vm, "active": False} for vm in situation.facts["vms"] or []]
    verdict = vm_access.consoles(
        {"vms": stopped, "visibility": situation.facts["libvirt"]["visibility"], "conf": changed, "processes": [],
         "sasl": situation.facts["qemu"]["sasl"]},
        dict(situation.gold),
    )  # fmt: skip
    left = {item.id: item for item in verdict.items if item.status == o.FAIL}
    known = {vm["id"]: vm for vm in machines.machines(situation)}
    for uuid, item in left.items():
        rows += _closed(situation, known[uuid], item.message) if uuid in known else [plan.by_hand(item.message)]
    return rows + ([] if values else _still_open(situation, left))


def _closed(situation: Situation, vm: machines.Vm, why: str) -> list[Row]:
    """A machine whose definition names the address: the stored definition, where the operator allowed it."""
    kinds = {console["type"] for console in machines.defined(vm)["consoles"]}
    advice = f"{why}: set listen to 127.0.0.1 in its definition (virsh edit), then power it off and on"
    if not kinds <= {"vnc", "spice", *vm_access.LOCAL_DISPLAYS}:
        return [plan.by_hand(f"{machines.called(vm)}: {advice}")]
    edits = []
    for kind in sorted(kinds & {"vnc", "spice"}):
        place = f"devices/graphics[@type='{kind}']"
        # libvirt refuses a definition whose attribute and element differ.
        edits += [
            plan.domain_remove(f"{place}/listen"),
            plan.domain_set(place, {"listen": "127.0.0.1"}),
        ]
    return machines.change(situation, vm, edits, advice)


def _still_open(situation: Situation, left: Collection[str]) -> list[Row]:
    """Machines whose definition is right and whose process was started before."""
    qemu = situation.facts["qemu"]
    now = vm_access.consoles(
        {"vms": situation.facts["vms"], "visibility": situation.facts["libvirt"]["visibility"], "conf": qemu["conf"],
         "processes": qemu["processes"], "sasl": qemu["sasl"]},
        dict(situation.gold),
    )  # fmt: skip
    return [
        plan.by_hand(f"machine {item.id}: {item.message}; its definition is right: power it off and on")
        for item in now.items
        if item.status == o.FAIL and item.id not in left
    ]


def _local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip()).is_loopback
    except ValueError:
        return address.strip() == "localhost"


PLANS: dict[str, Planner] = {
    "kvm-11.2.2-access-driver": access_driver,
    "kvm-11.2.2-polkit-rules": polkit_rules,
    "kvm-11.2.2-no-blanket-group": no_blanket_group,
    "kvm-11.2.2-remote-bypass": remote_bypass,
    "kvm-11.2.3-capability": access_driver,
    "kvm-11.2.3-deny-rules": deny_rules,
    "kvm-11.2.3-rule-order": rule_order,
    "kvm-11.2.5-unix-socket": unix_socket,
    "kvm-11.2.5-ro-socket": readonly_socket,
    "kvm-11.4.5-console": consoles,
    "kvm-11.4.5-guest-permissions": guest_permissions,
}
