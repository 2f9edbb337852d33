# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters between guests, and signatures of what protects the host from them (11.3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import vm_protection

HEAD = "# Written by dwp.hypervisor; a later run replaces it.\n"
SYSTEMD = "/etc/systemd/system"
# The updater's unit where ClamAV is installed; EPEL names it alike.
FRESHCLAM = "clamav-freshclam.service"
INSTALL_AV = {"debian": "apt-get install clamav clamav-freshclam", "rhel": "dnf install clamav-freshclam (EPEL)"}
INSTALL_IDS = {"debian": "apt-get install suricata suricata-update", "rhel": "dnf install suricata (EPEL)"}
# Whether it ever was started or not.
STOP = ("/bin/sh", "-c", 'systemctl stop "$1" 2> /dev/null || :', "sh")
UPDATE_SERVICE = f"""\
{HEAD}[Unit]
Description=Fetch new rules for Suricata
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/bin/suricata-update
ExecStartPost=-/usr/bin/suricatasc -c reload-rules
"""
UPDATE_TIMER = f"""\
{HEAD}[Unit]
Description=Fetch new rules for Suricata every day

[Timer]
OnCalendar=daily
RandomizedDelaySec=2h
Persistent=true

[Install]
WantedBy=timers.target
"""


def vm_net_filter(situation: Situation) -> list[Row]:
    """kvm-11.3.5-vm-net-filter: the first of gold_nwfilters on every interface that has none of them."""
    name = _filter(situation)
    rows: list[Row] = []
    for vm in machines.machines(situation):
        macs = {
            nic["mac"]: None
            for version in machines.versions(vm)
            for nic in version["nics"]
            if _judge(situation, version, nic).status == o.FAIL
        }
        if not macs:
            continue
        edits = [
            plan.domain_set(f"devices/interface[mac/@address='{mac}']/filterref", {"filter": name}) for mac in macs
        ]
        what = (
            f"give every interface the filter {name} (virsh edit: <filterref filter='{name}'/>); clean-traffic lets "
            "ARP and IPv4 from the known address through and nothing else, so name a filter of your own for IPv6"
        )
        rows += machines.change(situation, vm, edits, what)
    return rows


def _filter(situation: Situation) -> str:
    accepted = [str(name) for name in situation.gold["gold_nwfilters"]]
    defined = {entry["name"] for entry in situation.facts["nwfilters"]}
    found = next((name for name in accepted if name in defined), "")
    if not found:
        raise Refusal(
            f"none of gold_nwfilters ({', '.join(accepted) or 'empty'}) is defined on this host; found "
            f"{', '.join(sorted(defined))}: define one (virsh nwfilter-define)"
        )
    return found


def _judge(situation: Situation, vm: Mapping[str, Any], nic: Mapping[str, Any]) -> o.Outcome:
    """The audit's own judgement of one interface of one machine."""
    return vm_protection.network_filter(
        {
            "vms": [{**vm, "nics": [nic], "configured": {}}],
            "visibility": situation.facts["libvirt"]["visibility"],
            "networks": situation.facts["networks"],
            "nwfilters": situation.facts["nwfilters"],
        },
        dict(situation.gold),
    )


def av_updates(situation: Situation) -> list[Row]:
    """kvm-11.3.5-av-updates: the updater on; nothing is downloaded by us."""
    av = situation.facts["av"]
    if not av["engine"]:
        return [
            plan.by_hand(
                f"no anti-malware is installed: {INSTALL_AV[situation.family]}, or the site's agent; then enforce this"
            )
        ]
    if av["engine"] != "clamav":
        return [plan.by_hand(f"{av['engine']} is not running or does not start by itself: set it right in its console")]
    rows: list[Row] = [] if av["auto_update"] else [plan.unit(FRESHCLAM, enabled=True, active=True)]
    return rows + _stale(situation, av, "journalctl -u clamav-freshclam")


def ids_updates(situation: Situation) -> list[Row]:
    """kvm-11.3.5-ids-updates: the sensor and its updater on; which bridges it watches is its own configuration."""
    ids = situation.facts["ids"]
    if not ids["engine"]:
        return [
            plan.by_hand(
                f"no intrusion detection is installed: {INSTALL_IDS[situation.family]} and name the guests' bridges in "
                "its af-packet section, or declare an appliance (gold_ids_placement: network) and attest it"
            )
        ]
    rows: list[Row] = []
    if not ids["running"]:
        rows.append(plan.unit(f"{ids['engine']}.service", enabled=True, active=True))
    if not ids["auto_update"] and ids["engine"] == "suricata":
        rows += _update_timer()
    elif not ids["auto_update"]:
        rows.append(plan.by_hand(f"set up the update of {ids['engine']}'s rules (pulledpork) by a timer or cron job"))
    missing = sorted(vm_protection.guest_networks(situation.facts) - set(ids["interfaces"]))
    if missing:
        rows.append(plan.by_hand(f"have {ids['engine']} watch {', '.join(missing)}, which carries guests"))
    return rows + _stale(situation, ids, "suricata-update")


def _update_timer() -> list[Row]:
    timer = "suricata-update.timer"
    start = plan.run("systemctl", "start", timer, undo=[*STOP, timer])
    return [
        plan.file(f"{SYSTEMD}/suricata-update.service", UPDATE_SERVICE),
        plan.file(f"{SYSTEMD}/{timer}", UPDATE_TIMER, then=[start]),
        plan.link(f"{SYSTEMD}/timers.target.wants/{timer}", f"{SYSTEMD}/{timer}", then=[start]),
    ]


def _stale(situation: Situation, engine: Mapping[str, Any], where: str) -> list[Row]:
    limit, age = situation.gold["gold_signature_max_age_hours"], engine["sig_age_h"]
    if 0 <= age <= limit:
        return []
    found = "there are no signatures yet" if age < 0 else f"the signatures are {age:.0f} hours old, {limit} allowed"
    return [plan.by_hand(f"{found}: let the host reach a mirror and see that they arrive ({where})")]


PLANS: dict[str, Planner] = {
    **machines.with_strangers({"kvm-11.3.5-vm-net-filter": vm_net_filter}),
    "kvm-11.3.5-av-updates": av_updates,
    "kvm-11.3.5-ids-updates": ids_updates,
}
