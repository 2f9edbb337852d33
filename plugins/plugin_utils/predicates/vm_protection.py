# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy enforcement on guests' traffic, and anti-malware on the host (11.3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    each_vm,
    entries,
    flag,
    hidden,
    machines,
    text,
    texts,
    whole,
)

# Interfaces that libvirt's filters do not reach (https://libvirt.org/formatnwfilter.html: network and bridge only).
UNFILTERED = ("hostdev", "vdpa", "vhostuser", "direct", "user", "mcast", "server", "client", "udp", "internal")


def network_filter(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every interface has a declared filter that drops something. facts: vms, visibility, networks, nwfilters."""
    networks = {text(entry, "name"): entry for entry in entries(facts, "networks")}
    filters = {text(entry, "name"): entry for entry in entries(facts, "nwfilters")}
    accepted = [str(name) for name in gold["gold_nwfilters"]]

    def judge(vm: Mapping[str, Any]) -> Outcome:
        items = [o.item(text(nic, "id"), _filtered(nic, networks, filters, accepted)) for nic in entries(vm, "nics")]
        return o.combine(items, empty=o.not_applicable("it has no network interface"))

    return each_vm(facts, judge)


def _filtered(
    nic: Mapping[str, Any],
    networks: Mapping[str, Mapping[str, Any]],
    filters: Mapping[str, Mapping[str, Any]],
    accepted: list[str],
) -> Outcome:
    kind, network, name = text(nic, "type"), networks.get(text(nic, "net")), text(nic, "filter")
    port = text(nic, "virtualport") or (text(network, "virtualport") if network is not None else "")
    if (
        kind in UNFILTERED
        or port
        or (network is not None and text(network, "forward") in ("hostdev", "private", "vepa", "passthrough"))
    ):
        return o.manual(
            f"libvirt cannot filter this interface ({port or kind}): show what the switch or the device enforces", name
        )
    if not name:
        return o.failed("none", accepted, "network interface without a filter")
    if name not in accepted:
        return o.failed(name, accepted, f"its filter {name[:80]} is not among gold_nwfilters")
    if name not in filters:
        return o.failed(name, accepted, f"its filter {name[:80]} is not defined on this host")
    if not _drops(name, filters, set()):
        return o.failed(name, accepted, f"its filter {name[:80]} drops nothing")
    return o.passed(name, accepted)


def _drops(name: str, filters: Mapping[str, Mapping[str, Any]], seen: set[str]) -> bool:
    """Whether a filter or one it includes has a rule that drops: a filter can be redefined to let everything pass."""
    if name in seen or name not in filters:
        return False
    seen.add(name)
    return whole(filters[name], "drops") > 0 or any(
        _drops(other, filters, seen) for other in texts(filters[name], "includes")
    )


def anti_malware_updates(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The host's anti-malware fetches signatures by itself and they are fresh. facts: av."""
    return _updates(
        need(facts, "av"), gold["gold_signature_max_age_hours"], "anti-malware scanner", needs_running=False
    )


def intrusion_detection_updates(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Intrusion detection watches the guests' networks with fresh rules. facts: ids, vms, visibility, networks."""
    ids = need(facts, "ids")
    if gold["gold_ids_placement"] == "network" and not text(ids, "engine"):
        message = "intrusion detection is declared to be an appliance on the network: show that it updates its rules"
        return o.manual(message, dict(ids))
    found = _updates(ids, gold["gold_signature_max_age_hours"], "intrusion detection", needs_running=True)
    if found.status == o.PASS:
        watched = set(texts(ids, "interfaces"))
        missing = sorted(guest_networks(facts) - watched)
        if missing:
            message = f"{', '.join(missing[:5])} carries guests and is not watched"
            found = o.failed(sorted(watched), "every bridge of a running guest", message)
    return o.combine([*hidden(facts), o.item("ids", found)], empty=found)


def _updates(engine: Mapping[str, Any], limit: float, what: str, *, needs_running: bool) -> Outcome:
    expected = f"updates by itself, signatures no older than {limit} hours"
    name, actual = text(engine, "engine"), dict(engine)
    if not name:
        return o.failed(actual, expected, f"no known {what} is installed")
    if needs_running and not flag(engine, "running"):
        return o.failed(actual, expected, f"{name} is installed, but it does not run or does not start by itself")
    if not flag(engine, "auto_update"):
        return o.failed(actual, expected, f"{name} does not update its signatures by itself")
    age = need(engine, "sig_age_h")
    if isinstance(age, bool) or not isinstance(age, (int, float)):
        raise MissingFact("the age of the signatures was not read")
    if age < 0 and name in ("clamav", "suricata", "snort"):
        return o.failed(actual, expected, f"{name} has no signatures at all")
    if age < 0:
        return o.manual(f"{name} reports the age of its signatures to its own console: show it", actual, expected)
    if age > limit:
        return o.failed(actual, expected, f"the signatures of {name} are {age:.0f} hours old")
    return o.passed(actual, expected)


def guest_networks(facts: Mapping[str, Any]) -> set[str]:
    """The bridges and devices that carry the interfaces of running guests."""
    bridges = {
        text(entry, "name"): text(entry, "bridge") or text(entry, "forward_dev") for entry in entries(facts, "networks")
    }
    found = set()
    for vm in machines(facts, running=True):
        for nic in entries(vm, "nics"):
            found.add(bridges.get(text(nic, "net"), "") or text(nic, "bridge") or text(nic, "dev"))
    return found - {""}


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vm_network_filter": network_filter,
    "anti_malware_updates": anti_malware_updates,
    "intrusion_detection_updates": intrusion_detection_updates,
}
