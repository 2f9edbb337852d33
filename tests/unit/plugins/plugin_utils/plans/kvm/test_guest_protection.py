# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for machines that may be changed, and updaters that are installed."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import guest_protection as protection
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.host_side import (
    asked,
    kinds,
    situation,
)

VM1 = "11111111-1111-4111-8111-111111111111"
VM2 = "22222222-2222-4222-8222-222222222222"


def test_an_interface_without_a_filter_gets_the_first_that_is_declared():
    rows = protection.vm_net_filter(situation(allow_vm_changes=frozenset({VM1})))
    assert [(row["kind"], row["uuid"]) for row in rows] == [("domain", VM1)]
    assert rows[0]["edits"][0]["set"] == "devices/interface[mac/@address='52:54:00:00:00:01']/filterref"
    assert rows[0]["edits"][0]["attributes"] == {"filter": "clean-traffic"}
    assert rows[0]["pending"] == "vm_power"


def test_a_machine_nobody_named_is_left_alone():
    rows = protection.vm_net_filter(situation())
    assert kinds(rows) == ["by_hand"]
    assert f"put the UUID {VM1} into hypervisor_allow_vm_changes" in asked(rows)
    # vm2 has its filter.
    assert VM2 not in asked(rows)


@pytest.mark.parametrize("accepted", [["clean-traffic", "site-antispoof"], ["site-antispoof", "clean-traffic"]])
def test_a_declared_filter_of_the_sites_own_is_left_where_it_is(accepted):
    """clean-traffic drops IPv6 and addresses that move; whoever needs them has a filter of their own."""
    found = situation().facts
    own = {"id": "f9", "name": "site-antispoof", "chain": "root", "includes": ["no-mac-spoofing", "no-ip-spoofing"],
           "rules": 0, "drops": 0}  # fmt: skip
    vms = [{**vm, "nics": [{**nic, "filter": "site-antispoof"} for nic in vm["nics"]], "configured": {}}
           for vm in found["vms"]]  # fmt: skip
    changed = {"vms": vms, "nwfilters": [*found["nwfilters"], own]}
    given = {"gold": {"gold_nwfilters": accepted}, "allow_vm_changes": frozenset({VM1, VM2})}
    assert protection.vm_net_filter(situation(changed, **given)) == []
    without = {**changed, "vms": [{**vm, "nics": [{**nic, "filter": ""} for nic in vm["nics"]]} for vm in vms]}
    rows = protection.vm_net_filter(situation(without, **given))
    assert {edit["attributes"]["filter"] for row in rows for edit in row["edits"]} == {accepted[0]}


def test_a_filter_that_is_not_on_the_host_stops_it():
    gold = {"gold_nwfilters": ["our-filter"]}
    with pytest.raises(Refusal, match=r"none of gold_nwfilters \(our-filter\) is defined on this host"):
        protection.vm_net_filter(situation(gold=gold, allow_vm_changes=frozenset({VM1})))


def av(**others):
    return {"av": {"engine": "clamav", "running": False, "auto_update": True, "sig_age_h": 1.0, "source": "", **others}}


def test_the_updater_is_switched_on():
    rows = protection.av_updates(situation(av(auto_update=False)))
    assert [(row["name"], row["enabled"], row["active"]) for row in rows] == [("clamav-freshclam.service", True, True)]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (av(engine=""), "apt-get install clamav clamav-freshclam"),
        ({**av(engine=""), "host.family": "rhel"}, "dnf install clamav-freshclam"),
        (av(engine="CrowdStrike Falcon"), "set it right in its console"),
        (av(sig_age_h=500.0), "the signatures are 500 hours old, 48 allowed"),
        (av(sig_age_h=-1), "there are no signatures yet"),
    ],
)
def test_what_cannot_be_switched_on_is_asked_for(facts, words):
    rows = protection.av_updates(situation(facts))
    assert kinds(rows) == ["by_hand"]
    assert words in asked(rows)


def ids(**others):
    found = {"engine": "suricata", "running": True, "auto_update": True, "sig_age_h": 1.0, "source": "", **others}
    return {"ids": {"interfaces": ["virbr0"], **found}}


def test_the_sensor_runs_and_fetches_its_rules():
    rows = protection.ids_updates(situation(ids(running=False, auto_update=False)))
    assert kinds(rows) == ["unit", "file", "file", "link"]
    assert rows[0]["name"] == "suricata.service"
    assert rows[2]["then"] == rows[3]["then"]
    assert rows[3]["path"].endswith("timers.target.wants/suricata-update.timer")


def test_bridges_nobody_watches_are_named():
    assert "have suricata watch virbr0" in asked(protection.ids_updates(situation(ids(interfaces=[]))))


def test_no_sensor_at_all():
    rows = protection.ids_updates(situation(ids(engine="")))
    assert "apt-get install suricata" in asked(rows)
    assert "gold_ids_placement: network" in asked(rows)
