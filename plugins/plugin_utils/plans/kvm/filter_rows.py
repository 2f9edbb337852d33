# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that bring sections of our table to a host: first they observe, then they drop (gold_firewall_mode)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets import filter_table as nft
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.filter_table import Section
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import GoldFault, inside
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import filter_sections, firewalld_zones
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.filter_preflight import cuts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation

DIRECTORY = "/etc/dwp-hypervisor"
# Loads one of our tables and nothing else, before the network is up. nftables.service flushes every table when it is
# started, reloaded or stopped, so ours follow it. Files that a rollback puts back at a start are read after that.
UNIT_TEXT = """\
[Unit]
Description=Packet filter of dwp.hypervisor, {area} (its own table only)
Documentation=file:{path}
DefaultDependencies=no
ConditionPathExists={path}
RequiresMountsFor=/etc /usr /run
Wants=network-pre.target
After=local-fs.target nftables.service dwp-hypervisor-rollback-files.service
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {path}
ExecStart=/usr/bin/touch {stamp}
ExecReload=/usr/sbin/nft -f {path}
ExecReload=/usr/bin/touch {stamp}
ExecStop=-/usr/sbin/nft delete table inet {table}

[Install]
WantedBy=sysinit.target
"""
OBSERVING, ENFORCING, ABSENT = "observing", "enforcing", "absent"
SHOWN = 20


def rows(situation: Situation, area: str, names: Sequence[str]) -> list[Row]:
    """The rows for these sections (filter_sections.py) of an area's table.

    :raises Refusal: gold cannot be right, the controller is left out, facts are lacking, or something in use would be
        cut.
    """
    _refuse_unread(situation)
    try:
        sections = [filter_sections.build(name, situation) for name in names]
        if any(section.hook == "input" for section in sections):
            _refuse_without_controller(situation)
    except GoldFault as fault:
        raise Refusal(str(fault)) from None
    drops = {section.name: _enforces(situation, section.name) for section in sections}
    cut = cuts(situation, sections)
    if cut and (situation.gold["gold_firewall_mode"] == "enforce" or ENFORCING in _states(situation, names)):
        raise Refusal(
            f"{', '.join(names)}: the rules would cut what is in use now: {'; '.join(cut[:SHOWN])}. Declare it in "
            "gold_firewall_services, gold_firewall_egress or gold_firewall_forward, stop it, or name what nobody "
            "outside shall reach in gold_firewall_closed"
        )
    if cut:
        drops = dict.fromkeys(drops, False)
    planned = _load(situation, area, sections, drops)
    watched = [name for name in names if not drops[name]]
    return planned + (_report(situation, watched, cut) if watched else []) + _idle(situation, names)


def _load(situation: Situation, area: str, sections: Sequence[Section], drops: Mapping[str, bool]) -> list[Row]:
    if firewalld_zones.rules(situation) and all(drops.values()) and any(each.closed for each in sections):
        # Observing needs a table of its own; dropping is firewalld's, where it rules.
        texts: dict[str, str | None] = {section.name: None for section in sections}
        found = firewalld_zones.rows(situation, [section.name for section in sections])
        return found + (_table(area, texts) if ABSENT not in _states(situation, list(texts)) else [])
    return _table(area, {section.name: section.text(drops[section.name]) for section in sections})


def _table(area: str, texts: Mapping[str, str | None]) -> list[Row]:
    unit, path, stamp = f"dwp-hypervisor-{area}.service", f"{DIRECTORY}/{area}.nft", f"/run/dwp-hypervisor-{area}"
    table = nft.TABLES[area]
    return [
        plan.file(f"/etc/systemd/system/{unit}", UNIT_TEXT.format(area=area, path=path, stamp=stamp, table=table)),
        plan.nft_table(table, texts, path=path, unit=unit, stamp=stamp),
    ]


def live(situation: Situation, name: str) -> str:
    """Whether a section runs, and how: ABSENT, OBSERVING or ENFORCING."""
    for table in filter(nft.is_ours, situation.facts["firewall"]["ruleset"]):
        refused = table["chains"].get(name + nft.REFUSED)
        if name in table["chains"]:
            return ENFORCING if refused is not None and ["drop"] in refused["rules"] else OBSERVING
    return ABSENT


def _states(situation: Situation, names: Iterable[str]) -> list[str]:
    return [live(situation, name) for name in names]


def _enforces(situation: Situation, name: str) -> bool:
    mode, found = situation.gold["gold_firewall_mode"], live(situation, name)
    if mode != "staged":
        return bool(mode == "enforce")
    if found == ENFORCING or (firewalld_zones.rules(situation) and firewalld_zones.is_set(situation, name)):
        return True
    if _seen(situation, name):
        return False
    hours = situation.gold["gold_firewall_observe_hours"]
    since = _since(situation, name)
    return found == OBSERVING and since is not None and _now(situation) - since >= dt.timedelta(hours=hours)


def _own(situation: Situation) -> Mapping[str, Any]:
    return situation.facts["firewall"].get("own") or {"since": {}, "seen": []}


def _loaded(situation: Situation, name: str) -> str:
    """When the table that holds a section was loaded, "" when nobody knows."""
    for table in filter(nft.is_ours, situation.facts["firewall"]["ruleset"]):
        if name in table["chains"]:
            return str(_own(situation)["since"].get(table["name"], ""))
    return ""


def _since(situation: Situation, name: str) -> dt.datetime | None:
    text = _loaded(situation, name)
    return _moment(text) if text else None


def _now(situation: Situation) -> dt.datetime:
    return _moment(situation.facts["host"]["collected_at"])


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _seen(situation: Situation, name: str) -> list[Mapping[str, Any]]:
    return [entry for entry in _own(situation)["seen"] if entry["section"] == name]


def _report(situation: Situation, names: Sequence[str], cut: Sequence[str]) -> list[Row]:
    """What a person has to know while rules only observe."""
    found = []
    for name in names:
        if live(situation, name) == ABSENT:
            said = "its rules are new: they count and log what they would drop, and drop nothing"
        else:
            seen = [_words(entry) for entry in _seen(situation, name)]
            more = f" and {len(seen) - SHOWN} more" if len(seen) > SHOWN else ""
            said = f"since {_loaded(situation, name) or 'an unknown time'} it would have dropped " + (
                "; ".join(seen[:SHOWN]) + more if seen else "nothing"
            )
        found.append(f"firewall, {name}: observing only; {said}")
    if cut:
        found.append(f"firewall: enforcing would be refused, it would cut what is in use: {'; '.join(cut[:SHOWN])}")
    steps = "declare what has to live on, then run again with gold_firewall_mode: enforce"
    if situation.gold["gold_firewall_mode"] == "staged" and not cut:
        steps += (
            f" (or let a run come after {situation.gold['gold_firewall_observe_hours']} hours in which nothing would "
            "have been dropped)"
        )
    return [plan.by_hand(f"{'. '.join(found)}. Next: {steps}")]


def _words(entry: Mapping[str, Any]) -> str:
    port = f"/{entry['port']}" if entry["port"] else ""
    way = " to ".join(filter(None, (entry["in"], entry["out"])))
    direction = "to" if entry["section"] == "output" else "from"
    return f"{entry['packets']} x {entry['protocol']}{port} {direction} {entry['peer']} ({way})"


def _idle(situation: Situation, names: Sequence[str]) -> list[Row]:
    if not {"input", "admin_address"} & set(names):
        return []
    idle = filter_sections.opened(situation)[1]
    return [
        plan.by_hand(
            f"gold_firewall_services: {service.name} ({service.ports}) is not opened, as nothing listens there; "
            "start it, mark it on_demand or take it out"
        )
        for service in idle
    ]


def _refuse_unread(situation: Situation) -> None:
    firewall, network = situation.facts.get("firewall") or {}, situation.facts.get("network") or {}
    lacking = [
        path
        for path, value in (
            ("firewall.ruleset", firewall.get("ruleset")),
            ("firewall.listeners", firewall.get("listeners")),
            ("firewall.firewalld", firewall.get("firewalld")),
            ("network.interfaces", network.get("interfaces")),
            ("network.forwarding", network.get("forwarding")),
            ("networks", situation.facts.get("networks")),
        )
        if value is None
    ]
    if lacking:
        errors = situation.facts.get("collector", {}).get("errors", [])
        reasons = [entry["reason"] for entry in errors if entry["path"] in lacking]
        raise Refusal(
            f"{', '.join(lacking)} could not be read ({'; '.join(reasons[:3]) or 'no reason given'}): nobody can tell "
            "what the rules would cut"
        )


def _refuse_without_controller(situation: Situation) -> None:
    allowed = filter_sections.admin(situation)
    if situation.source is None or ipaddress.ip_address(situation.source.partition("%")[0]).is_loopback:
        return
    if not inside(allowed, situation.source):
        raise Refusal(
            f"gold_admin_cidrs does not hold {situation.source}, the address this run comes from; found "
            f"{', '.join(situation.gold['gold_admin_cidrs'])}; add its network, or run from one of these"
        )
