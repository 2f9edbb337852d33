# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of virtual machines are events that a vCenter keeps, sends on and tells somebody of (11.3.7)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows

EVENTS = "vpxd.event.syslog.enabled"
ALARM = "SS-009 11.3.7: virtual machine reconfigured"
# In gold_notify.target, for the receivers that the vCenter knows already.
TRAP = "snmp"


def events(situation: Situation) -> list[Row]:
    """vsphere-11.3.7-events."""
    options, least, rows = situation.facts["advanced_options"], situation.gold["gold_event_retention_days"], []
    if options[EVENTS] is not True:
        rows.append(controller_rows.option(EVENTS, True))
    for kind in ("event", "task"):
        # Without a limit they are kept for ever.
        if options[f"{kind}.maxAgeEnabled"] is not False and options[f"{kind}.maxAge"] < least:
            rows.append(controller_rows.option(f"{kind}.maxAge", least))
    return rows


def alarm(situation: Situation) -> list[Row]:
    """vsphere-11.3.7-alarm: one of our own; those of people stay as they are."""
    target = str(situation.gold["gold_notify"].get("target") or "").strip()
    mail = ",".join(part.strip() for part in target.split(",") if "@" in part)
    if not mail and target.casefold() != TRAP:
        return [
            plan.by_hand(
                f"nobody is named to be told: set gold_notify.target to mail addresses (with commas), or to {TRAP} for "
                "the receivers of traps that the vCenter knows, then enforce this again"
            )
        ]
    way = "mail server and sender (vCenter, Configure, General, Mail)" if mail else "receivers of SNMP traps"
    return [
        controller_rows.alarm(ALARM, mail=mail, trap=not mail),
        plan.by_hand(f"set the vCenter's {way} where that has not been done, and test that the alarm arrives"),
    ]


PLANS: dict[str, Planner] = {"vsphere-11.3.7-events": events, "vsphere-11.3.7-alarm": controller_rows.at_vcenter(alarm)}
