# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach a KVM host from elsewhere, and how (11.4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.ssh_server import (
    DROP_IN,
    activation,
    refuse_unread,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.ssh_settings import ALGORITHMS, KEY_ALGORITHMS

# The keyword of sshd for each gold list of algorithms; sshd refuses names it does not know, so only what it offers now
# can be kept.
KEYWORDS = {
    "ciphers": "Ciphers",
    "macs": "MACs",
    "kexalgorithms": "KexAlgorithms",
    "hostkeyalgorithms": "HostKeyAlgorithms",
    "pubkeyacceptedalgorithms": "PubkeyAcceptedAlgorithms",
    "casignaturealgorithms": "CASignatureAlgorithms",
}
# sshd_config(5): keywords that a Match block may hold. A Match block overrides what stands outside of all, whatever
# comes first, so what has to hold for everybody stands in a block `Match all` that comes before every other.
IN_MATCH = frozenset(
    "passwordauthentication kbdinteractiveauthentication permitemptypasswords hostbasedauthentication "
    "gssapiauthentication kerberosauthentication ignorerhosts x11forwarding allowtcpforwarding allowagentforwarding "
    "allowstreamlocalforwarding gatewayports permittunnel disableforwarding maxauthtries clientaliveinterval "
    "clientalivecountmax maxsessions requiredrsasize permitrootlogin allowusers pubkeyacceptedalgorithms".split()
)

# A libvirt daemon keeps a socket that systemd has handed to it, until it is restarted; its guests go on running.
HOLDERS = {
    f"{daemon}-{transport}.socket": f"{daemon}.service"
    for daemon in ("libvirtd", "virtproxyd")
    for transport in ("tcp", "tls")
}


def ssh_root(situation: Situation) -> list[Row]:
    """kvm-11.4.6-ssh-root: not where it may be how machines leave the host (amendments.md, migration)."""
    if situation.account == "root":
        raise Refusal(
            "the controller logs in as root: PermitRootLogin no would lock it out; "
            "set ansible_user to a named administrator of gold_remote_admins and ansible_become to true"
        )
    if situation.gold["gold_migration_transport"] == "ssh" and _may_have_key(situation, "root"):
        return [
            plan.by_hand(
                "root keeps its way in, as it has or may have a key and virtual machines migrate over ssh "
                "(gold_migration_transport): let peers migrate as an account of gold_remote_admins or over tls, take "
                "the key away, then enforce this again"
            )
        ]
    return _sshd(situation, {"PermitRootLogin": "no"})


def _may_have_key(situation: Situation, account: str) -> bool:
    found: Mapping[str, Any] = next((e for e in situation.facts.get("accounts") or () if e["name"] == account), {})
    return found.get("keys") is not False


def ssh_allow_list(situation: Situation) -> list[Row]:
    """kvm-11.4.6-ssh-allowlist: names, not groups, so that nobody joins by a group that somebody else keeps."""
    admins = [str(name) for name in situation.gold["gold_remote_admins"]]
    if not admins:
        raise Refusal("gold_remote_admins is empty: an empty AllowUsers would lock everybody out; name the accounts")
    if situation.account not in admins:
        raise Refusal(
            f"gold_remote_admins does not name {situation.account}, the account this run logs in as; found "
            f"{', '.join(admins)}; add it or log in as one of them"
        )
    return _sshd(situation, {"AllowUsers": " ".join(admins)})


def ssh_hardening(situation: Situation) -> list[Row]:
    """kvm-11.4.6-ssh-hardening."""
    values = {str(key): _word(value) for key, value in situation.gold["gold_ssh_settings"].items()}
    for keyword, names in _algorithms(situation).items():
        values[keyword] = ",".join(names)
    return _sshd(situation, values)


def _algorithms(situation: Situation) -> dict[str, list[str]]:
    ssh = situation.facts["remote_access"]["ssh"]
    refuse_unread(situation)
    offered: dict[str, list[str]] = {}
    for server in ssh["servers"]:
        for keyword in ALGORITHMS:
            offered.setdefault(keyword, server["algorithms"][keyword])
    for keyword in KEY_ALGORITHMS:
        offered[keyword] = ssh["effective"][keyword]
    kept = {}
    for keyword, names in offered.items():
        allowed = situation.gold[ALGORITHMS.get(keyword, "gold_ssh_key_algorithms")]
        kept[KEYWORDS[keyword]] = [name for name in allowed if name in names]
        if not kept[KEYWORDS[keyword]]:
            raise Refusal(
                f"{KEYWORDS[keyword]}: the server offers {', '.join(names)}, and none of it is in "
                f"{ALGORITHMS.get(keyword, 'gold_ssh_key_algorithms')}; nobody could connect any more"
            )
    return kept


def ssh_in_force(situation: Situation) -> list[Row]:
    """kvm-11.4.6-ssh-in-force: have the servers read the configuration they were given."""
    behind = [server for server in situation.facts["remote_access"]["ssh"]["servers"] if server["in_force"] is False]
    replaced = any(server["program_replaced"] for server in behind)
    return [plan.activate(activation(situation, restart=replaced))] if behind else []


def disableable(situation: Situation) -> list[Row]:
    """kvm-11.4.6-disableable: the units of every protocol that is not declared enabled, off and masked."""
    wanted = situation.gold["gold_remote_protocols"]
    rows: list[Row] = []
    for protocol in situation.facts["remote_access"]["protocols"]:
        name = protocol["name"]
        if wanted.get(name, "disabled") == "enabled" or not _answers(protocol):
            continue
        if name == "ssh" and situation.source is not None:
            raise Refusal(
                "gold_remote_protocols disables ssh, over which this run comes in; switch it off at the console"
            )
        units = [unit for unit in protocol["units"] if unit.endswith((".service", ".socket"))]
        for unit in units:
            then = qemu_conf.take_up(situation, HOLDERS[unit]) if unit in HOLDERS else []
            rows.append(plan.unit(unit, enabled=False, active=False, masked=True, then=then))
        if not units:
            ends = ", ".join(protocol["listen"]) or "a socket"
            rows.append(plan.by_hand(f"{name} answers on {ends} and no unit of it is known: stop what listens there"))
    return rows


def _answers(protocol: dict[str, Any]) -> bool:
    return any(protocol[key] is True for key in ("enabled", "active", "listening"))


def _sshd(situation: Situation, values: dict[str, str]) -> list[Row]:
    refuse_unread(situation)
    then = activation(situation)
    rows = []
    for section, chosen in (
        ("", {key: value for key, value in values.items() if key.lower() not in IN_MATCH}),
        ("Match all", {key: value for key, value in values.items() if key.lower() in IN_MATCH}),
    ):
        if chosen:
            rows.append(plan.keys(DROP_IN, chosen, syntax="sshd", section=section, mode="0600", then=then))
    return rows


def _word(value: Any) -> str:
    """YAML turns an unquoted yes and no into a truth value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


PLANS: dict[str, Planner] = {
    "kvm-11.4.6-disableable": disableable,
    "kvm-11.4.6-ssh-root": ssh_root,
    "kvm-11.4.6-ssh-allowlist": ssh_allow_list,
    "kvm-11.4.6-ssh-hardening": ssh_hardening,
    "kvm-11.4.6-ssh-in-force": ssh_in_force,
}
