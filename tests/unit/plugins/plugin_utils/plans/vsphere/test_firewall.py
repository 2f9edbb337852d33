# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall of an ESXi host and who may use its rule sets; what it executes and how it starts."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    options,
    planned,
    wanted,
)

USUAL = {"required": False, "service": "", "direction": "inbound", "all_ip": False, "allowed": ["192.0.2.0/25"],
         "user_controllable": True, "ip_list_configurable": True, "enabled": True}  # fmt: skip
VCENTER = ({"id": "vSphereClient"}, {"id": "vpxHeartbeats", "direction": "outbound", "service": "vpxa"})
ADMIN = ["192.0.2.0/25", "192.0.2.5/32"]
BOTH = ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.5/32", "198.51.100.0/24"]


def rulesets(*entries):
    """These rule sets and no others, with what USUAL says unless they say otherwise."""

    def change(facts):
        facts["firewall"]["rulesets"] = [{**USUAL, **entry} for entry in entries]

    return change


def policy(**values):
    return lambda facts: facts["firewall"].update(values)


def test_what_no_rule_set_allows_is_blocked():
    change = both(rulesets(*VCENTER), policy(incoming_blocked=False, outgoing_blocked=False))
    assert wanted(planned("11.4.9-default-block", change)) == {
        ("firewall_default", "incoming"): True, ("firewall_default", "outgoing"): True,
    }  # fmt: skip


def test_nothing_is_blocked_while_vcenter_would_lose_the_host():
    change = both(rulesets(VCENTER[0], {**VCENTER[1], "enabled": False}), policy(outgoing_blocked=False))
    with pytest.raises(Refusal, match=r"vpxHeartbeats is not enabled: .* the host would be lost"):
        planned("11.4.9-default-block", change)


def test_a_single_host_keeps_the_way_of_this_run_and_has_no_heartbeats():
    def alone(facts):
        facts["host"].update(controller="")

    closed = both(alone, policy(incoming_blocked=False), rulesets({**VCENTER[0], "enabled": False}))
    with pytest.raises(Refusal, match="vSphereClient is not enabled"):
        planned("11.4.9-default-block", closed)
    assert wanted(planned("11.4.9-default-block", both(closed, rulesets(VCENTER[0]))))


def test_a_firewall_that_is_off_is_switched_on():
    off = policy(enabled=False, loaded=False)
    assert list(wanted(planned("11.4.9-default-block", both(rulesets(*VCENTER), off)))) == [
        ("esxcli", "network firewall.loaded"), ("esxcli", "network firewall.enabled"),
    ]  # fmt: skip
    with pytest.raises(Refusal, match="vpxHeartbeats is not enabled"):
        planned("11.4.9-default-block", both(rulesets(VCENTER[0]), off))


@pytest.mark.parametrize(
    ("lax", "row"),
    [
        ({"enabled": False}, ("esxcli", "network firewall.enabled")),
        ({"outgoing_blocked": False}, ("firewall_default", "outgoing")),
    ],
)
def test_nothing_is_blocked_over_a_datastore(lax, row):
    def mounted(facts):
        facts["storage"]["datastores"].append({"id": "images", "kind": "NFS41"})

    closed = both(mounted, policy(**lax), rulesets(*VCENTER))
    left = planned("11.4.9-default-block", closed)
    assert wanted(left) == {} and "comes over NFS41, and the rule set nfs41Client is not enabled" in by_hand(left)
    opened = both(mounted, policy(**lax), rulesets(*VCENTER, {"id": "nfs41Client"}))
    assert wanted(planned("11.4.9-default-block", opened)) == {row: True}


def test_nothing_is_blocked_over_a_datastore_that_may_come_over_the_network():
    def hidden(facts):
        facts["storage"]["datastores"].append({"id": "images"})

    left = planned("11.4.9-default-block", both(hidden, policy(enabled=False), rulesets(*VCENTER)))
    assert wanted(left) == {} and "how the datastore images is reached was not read" in by_hand(left)


def test_rule_sets_that_nobody_declared_are_disabled():
    change = rulesets(
        *VCENTER,
        {"id": "snmp"},
        {"id": "ntpClient", "service": "ntpd"},
        {"id": "owned", "user_controllable": False},
        {"id": "needed", "required": True},
        {"id": "off", "enabled": False},
    )
    assert wanted(planned("11.4.9-rulesets", change)) == {("ruleset", "snmp"): False}
    stopped = both(change, lambda facts: facts["remote_access"]["services"][3].update(running=False))

    def follows_nothing(facts):
        facts["logging"]["time_sync"]["active"] = False

    assert wanted(planned("11.4.9-rulesets", both(stopped, follows_nothing))) == {
        ("ruleset", "snmp"): False, ("ruleset", "ntpClient"): False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("syslog", {}, "the logs of this host leave by it"),
        ("ntpClient", {}, "its clock follows its servers by it"),
        ("activeDirectoryAll", {"joined": True}, "it asks the directory by it"),
    ],
)
def test_what_other_areas_enable_is_not_disabled_by_this_one(name, change, why):
    """The two would take turns, run by run, and leave a host without logs or time for as long."""
    changed = both(rulesets(*VCENTER, {"id": name}), lambda facts: facts["identity"].update(change))
    rows = planned("11.4.9-rulesets", changed, {"gold_vsphere_rulesets": ["vSphereClient", "vpxHeartbeats"]})
    assert wanted(rows) == {} and f"{name} stays enabled, as {why}" in by_hand(rows)


def test_the_rule_set_of_a_time_service_that_is_to_be_started_stays():
    def stopped(facts):
        facts["remote_access"]["services"][3].update(running=False)
        facts["logging"]["time_sync"].update(active=False, sources=[])

    changed = both(rulesets(*VCENTER, {"id": "ntpClient", "service": "ntpd"}, {"id": "syslog"}), stopped)
    gold = {"gold_time_servers": ["192.0.2.53", "192.0.2.54"]}
    rows = planned("11.4.9-rulesets", changed, gold)
    assert wanted(rows) == {} and "ntpClient is enabled while ntpd is stopped" in by_hand(rows)
    assert ("service", "ntpd") in wanted(planned("11.4.10-level-filter", changed, gold))


@pytest.mark.parametrize("name", ["nfsClient", "iSCSI", "dhcp", "HBR", "iofiltervp", "faultTolerance", "DVSSync"])
def test_what_somebody_may_need_unseen_is_left_to_a_person(name):
    rows = planned("11.4.9-rulesets", rulesets(*VCENTER, {"id": name, "user_controllable": None}))
    assert wanted(rows) == {} and f"disable the rule set {name} if" in by_hand(rows)


def test_the_way_of_vcenter_is_never_disabled():
    rows = planned("11.4.9-rulesets", rulesets(*VCENTER), {"gold_vsphere_rulesets": []})
    assert wanted(rows) == {} and "the host is administered by way of vSphereClient" in by_hand(rows)


def test_rule_sets_of_administration_admit_its_networks_and_the_vcenter():
    change = rulesets(
        {"id": "vSphereClient", "all_ip": True, "allowed": []},
        {"id": "sshServer", "allowed": ["203.0.113.0/24"]},
        {"id": "webAccess", "allowed": ["192.0.2.7"]},
        {"id": "snmp", "all_ip": True, "enabled": False},
        {"id": "vMotion", "all_ip": True},
    )
    assert wanted(planned("11.4.2-allowed-ips", change)) == {
        ("ruleset_sources", "vSphereClient"): ADMIN, ("ruleset_sources", "sshServer"): ADMIN,
    }  # fmt: skip
    # The segment's check sets rule sets of administration alike, and the hosts' own networks may use the others.
    assert wanted(planned("11.4.12-source-limits", change)) == {
        ("ruleset_sources", "vSphereClient"): ADMIN, ("ruleset_sources", "sshServer"): ADMIN,
        ("ruleset_sources", "vMotion"): BOTH,
    }  # fmt: skip


@pytest.mark.parametrize("check", ["11.4.2-allowed-ips", "11.4.12-source-limits"])
def test_what_would_lock_somebody_out_is_refused(check):
    opened = rulesets({"id": "vSphereClient", "all_ip": True})
    with pytest.raises(Refusal, match="gold_admin_cidrs is empty"):
        planned(check, opened, {"gold_admin_cidrs": []})
    with pytest.raises(Refusal, match=r"gold_admin_cidrs.*10\.0\.0\.0/8"):
        planned(check, opened, {"gold_admin_cidrs": ["10.0.0.0/8"]})
    with pytest.raises(Refusal, match=r"the address of the vCenter .* was not read"):
        planned(check, both(opened, lambda facts: facts["host"].update(controller_address="")))


def test_a_run_against_a_single_host_does_not_lock_itself_out():
    def alone(facts):
        facts["host"].update(controller="", controller_address="")

    change = both(rulesets({"id": "vSphereClient", "all_ip": True}), alone)
    assert wanted(planned("11.4.2-allowed-ips", change)) == {("ruleset_sources", "vSphereClient"): ["192.0.2.0/25"]}
    # What is left of a vCenter's address admits nobody.
    stale = both(change, lambda facts: facts["host"].update(controller_address="203.0.113.5"))
    with pytest.raises(Refusal, match="it would lock itself out"):
        planned("11.4.2-allowed-ips", stale, source="203.0.113.7")
    for source, named in (("203.0.113.7", "203.0.113.7"), (None, "an address the host did not tell")):
        with pytest.raises(Refusal, match=f"this run comes from {named}, which is not in 192.0.2.0/25"):
            planned("11.4.2-allowed-ips", change, source=source)


def test_other_hosts_of_the_segment_are_not_cut_off():
    with pytest.raises(Refusal, match=r"vmk1 has the address 198\.51\.100\.11, which is in neither"):
        planned(
            "11.4.12-source-limits",
            rulesets({"id": "vMotion", "all_ip": True}),
            {"gold_mgmt_cidrs": ["192.0.2.0/24"]},
        )


def test_a_list_that_also_says_whom_the_host_may_ask_is_left_to_a_person():
    rows = planned("11.4.12-source-limits", rulesets({"id": "dns", "direction": "both", "all_ip": True}))
    assert wanted(rows) == {} and "limit the addresses of the rule set dns by hand" in by_hand(rows)
    fixed = rulesets({"id": "dns", "direction": "both", "all_ip": True, "ip_list_configurable": False})
    assert planned("11.4.12-source-limits", fixed) == []


def test_the_acceptance_level_follows_the_packages():
    def community(facts):
        facts["software"]["acceptance_level"] = "community"

    assert wanted(planned("11.2.1-acceptance", community)) == {("acceptance", ""): "partner"}
    assert wanted(planned("11.2.1-acceptance", community, {"gold_acceptance_levels": ["vmware_certified"]})) in (
        {("acceptance", ""): "vmware_certified"}, {},
    )  # fmt: skip

    def unsigned(facts):
        community(facts)
        facts["software"]["packages"].append({"name": "tool", "acceptance": "community"})

    rows = planned("11.2.1-acceptance", unsigned)
    assert wanted(rows) == {} and "remove tool first" in by_hand(rows)
    assert planned("11.2.1-acceptance") == []


def test_what_waits_for_a_restart_says_so():
    (boot,) = planned("11.2.1-exec-boot", options(VMkernel__Boot__execInstalledOnly=False))
    (iommu,) = planned("11.1.2-iommu", options(VMkernel__Boot__noIOMMU=True))
    assert (boot["value"], boot["pending"]) == (True, "reboot")
    assert (iommu["value"], iommu["pending"]) == (False, "reboot")
    assert planned("11.2.1-exec-boot") == []
    assert planned("11.1.2-iommu") == []


def test_options_that_are_in_force_at_once():
    (now,) = planned("11.2.1-exec-runtime", options(User__execInstalledOnly=0))
    (salt,) = planned("11.3.1-pressure", options(Mem__ShareForceSalting=0))
    assert [(row["name"], row["value"], row["pending"]) for row in (now, salt)] == [
        ("User.execInstalledOnly", 1, ""), ("Mem.ShareForceSalting", 2, ""),
    ]  # fmt: skip
    assert planned("11.2.1-exec-runtime") == []
    assert "move machines" in by_hand(planned("11.3.1-pressure"))


VM = {"id": "5486d512-aaaa-4bbb-8ccc-000000000001", "name": "web01", "system": "", "active": True, "extra_config": {},
      "migrate_encryption": "required"}  # fmt: skip
EDIT = "isolation.device.connectable.disable"


def machines(*changed):
    """These machines, like VM but for what is changed, and one that vSphere made itself."""

    def change(facts):
        facts["vms"] = [{**VM, **one} for one in changed]
        facts["vms"].append({**VM, "system": "vCLS", "migrate_encryption": "disabled", "extra_config": {EDIT: "FALSE"}})

    return change


def test_machines_are_changed_only_where_they_are_named():
    opened = machines({"extra_config": {EDIT: "false"}, "migrate_encryption": "opportunistic"})
    for check in ("11.2.7-device-edit", "11.2.10-vmotion"):
        rows = planned(check, opened)
        assert wanted(rows) == {} and "put its UUID into hypervisor_allow_vm_changes" in by_hand(rows)
        assert planned(check, machines({})) == []
    allowed = {"allow_vm_changes": frozenset([VM["id"]])}
    (edit,) = planned("11.2.7-device-edit", opened, **allowed)
    assert (edit["name"], edit["value"], edit["pending"]) == (f"{VM['id']} {EDIT}", "TRUE", "vm_power")
    assert wanted(planned("11.2.10-vmotion", opened, **allowed)) == {("machine_migration", VM["id"]): "required"}
    template = machines({"migrate_encryption": "disabled", "template": True})
    rows = planned("11.2.10-vmotion", template, **allowed)
    assert wanted(rows) == {} and "is a template: make it a machine first" in by_hand(rows)


def test_a_network_filter_nobody_declared_is_left_to_a_person():
    rows = planned("11.2.7-device-edit", machines({"extra_config": {"ethernet0.filter1.name": "spy"}}))
    assert wanted(rows) == {} and "remove the network filter spy" in by_hand(rows)
