# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter's own settings: events, alarm, log servers, roles and permissions; and what hosts ask of it."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import principals
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.config_drift import ALARM
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    by_hand,
    options,
    planned,
    situation,
    wanted,
)

MACHINE = "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f09"


def of_vcenter(check, *arguments, **more):
    """The rows of one check on a vCenter."""
    return planned(check, *arguments, release="vcenter", **more)


def holds(principal, role, entity="prod-vms", root=False):
    """One more permission; a group has a leading %."""
    entry = {"principal": principal.lstrip("%"), "group": principal.startswith("%"), "role": role, "entity": entity,
             "entity_id": "group-v42", "entity_type": "Folder", "root": root, "propagate": True}  # fmt: skip
    return lambda facts: facts["rbac"]["permissions"].append(entry)


def role(name, *privileges, system=False):
    """One more role."""
    return lambda facts: facts["rbac"]["roles"].append(
        {"id": 9, "name": name, "system": system, "privileges": ["System.Read", *privileges]}
    )


def with_all(*changes):
    def change(facts):
        for one in changes:
            one(facts)

    return change


def test_events_are_kept_and_sent():
    rows = of_vcenter("11.3.7-events", options(event__maxAge=7, vpxd__event__syslog__enabled=False))
    assert wanted(rows) == {
        ("controller_option", "vpxd.event.syslog.enabled"): True,
        ("controller_option", "event.maxAge"): 30,
    }
    assert wanted(of_vcenter("11.3.7-events", options(task__maxAge=7, task__maxAgeEnabled=False))) == {}


def test_an_alarm_tells_those_who_are_named():
    rows = of_vcenter("11.3.7-alarm", gold={"gold_notify": {"target": "soc@example.test, duty@example.test"}})
    mail = "soc@example.test,duty@example.test"
    assert wanted(rows) == {("alarm", ALARM): {"enabled": True, "mail": mail, "trap": False}}
    assert "mail server" in by_hand(rows)
    rows = of_vcenter("11.3.7-alarm", gold={"gold_notify": {"target": "SNMP"}})
    assert wanted(rows)["alarm", ALARM]["trap"] is True


@pytest.mark.parametrize("notify", [{}, {"target": "rule 12"}])
def test_without_anybody_to_tell_the_alarm_is_for_a_person(notify):
    rows = of_vcenter("11.3.7-alarm", gold={"gold_notify": notify})
    assert wanted(rows) == {}
    assert "set gold_notify.target to mail addresses" in by_hand(rows)


def forwarded(*targets):
    """Log servers of the appliance."""
    found = [dict(zip(("host", "port", "protocol"), target)) for target in targets]
    return lambda facts: facts["logging"].update(forwarding=found)


def test_the_appliance_sends_to_named_servers_over_tls_and_nowhere_else():
    servers = {"gold_log_servers": ["Log1.example.test", "log2.example.test"]}
    now = forwarded(("log1.example.test", 7000, "TLS"), ("old.example.test", 514, "UDP"))
    rows = of_vcenter("11.4.11-vcenter", now, gold=servers)
    assert wanted(rows) == {("log_forwarding", ""): ["TLS Log1.example.test:7000", "TLS log2.example.test:6514"]}
    assert "see that the vCenter's logs arrive" in by_hand(rows)


def test_only_what_is_missing_is_set():
    rows = of_vcenter("11.4.11-vcenter", options(vpxd__event__syslog__enabled=False))
    assert wanted(rows) == {("controller_option", "vpxd.event.syslog.enabled"): True}


def test_log_servers_have_to_be_named_and_at_most_three():
    with pytest.raises(Refusal, match="gold_log_servers is empty"):
        of_vcenter("11.4.11-vcenter", forwarded(), gold={"gold_log_servers": []})
    many = {"gold_log_servers": [f"log{number}.example.test" for number in range(4)]}
    assert "names 4 servers" in by_hand(of_vcenter("11.4.11-vcenter", forwarded(), gold=many))


TOO_MUCH = with_all(role("operator", "ContentLibrary.AddLibraryItem", "VirtualMachine.Interact.PowerOn"),
                    holds("%DWP\\operators", "operator"))  # fmt: skip


IMAGES = {"gold_image_admins": ["%DWP\\images"]}


def test_a_role_loses_what_nobody_who_holds_it_may_hold():
    rows = of_vcenter("11.2.8-privileges", TOO_MUCH, gold=IMAGES)
    assert wanted(rows) == {("role", "operator grants ContentLibrary.AddLibraryItem"): False}
    assert rows[0]["items"] == ["%DWP\\operators on prod-vms"]


def test_as_long_as_nobody_is_named_no_role_is_cut():
    rows = of_vcenter("11.2.8-privileges", TOO_MUCH)
    assert wanted(rows) == {}
    assert (
        r"gold_image_admins is empty: say there who of %DWP\operators needs ContentLibrary.AddLibraryItem"
        in by_hand(rows)
    )


def test_a_role_that_somebody_holds_rightly_stays():
    rows = of_vcenter("11.2.8-privileges", with_all(TOO_MUCH, holds("%DWP\\images", "operator")),
                      gold={"gold_image_admins": ["%dwp\\images"]})  # fmt: skip
    assert wanted(rows) == {}
    assert r"held rightly by %DWP\images: give %DWP\operators another one" in by_hand(rows)


def test_a_role_that_is_held_globally_stays():
    def everywhere(facts):
        entry = {"principal": "DWP\\backup", "group": False, "role": "operator"}
        facts["rbac"]["global_permissions"] = [entry, {**entry, "role": "Admin"}]

    rows = of_vcenter("11.2.8-privileges", with_all(TOO_MUCH, everywhere), gold=IMAGES)
    assert wanted(rows) == {}
    assert r"DWP\backup holds operator as a global permission" in by_hand(rows)


def test_who_holds_a_role_globally_alone_is_for_a_person():
    def everywhere(facts):
        facts["rbac"]["global_permissions"] = [{"principal": "DWP\\backup", "group": False, "role": "operator"}]

    change = with_all(role("operator", "ContentLibrary.AddLibraryItem"), everywhere)
    (row,) = of_vcenter("11.2.8-privileges", change, gold=IMAGES)
    assert row["kind"] == "by_hand" and row["items"] == ["DWP\\backup on everything"]
    assert of_vcenter("11.2.8-privileges", change, gold={"gold_image_admins": ["dwp\\backup"]}) == []


def test_a_role_of_the_product_is_never_edited():
    gold = {"gold_log_admins": ["%DWP\\logs"]}
    rows = of_vcenter("11.4.4-role-privs", holds("%DWP\\operators", "NoCryptoAdmin"), gold=gold)
    assert wanted(rows) == {}
    assert "comes with the product" in by_hand(rows)


@pytest.mark.parametrize(
    ("account", "principal", "own"),
    [
        ("svc@vsphere.local", "VSPHERE.LOCAL\\Svc", True),
        ("svc@dwp.example", "DWP\\svc", True),
        ("svc@dwp.example", "DWP\\other", False),
        ("svc@vsphere.local", "%DWP\\operators", False),
        ("svc@dwp.example", "%DWP\\operators", True),
        ("svc@dwp.example", "%OTHER\\operators", False),
        ("svc@dwp.example", "%VSPHERE.LOCAL\\operators", True),
        ("svc", "%DWP\\operators", True),
    ],
)
def test_who_may_be_the_account_of_the_run(account, principal, own):
    assert principals.may_be_own(situation(release="vcenter", account=account), principal) is own


def test_the_server_knows_the_account_by_another_domain():
    # Its user principal name ends in mail.example, and its directory is called DWP.
    asked = situation(release="vcenter", account="first.last@mail.example", known_as="DWP\\flast")
    for principal in ("%DWP\\operators", "DWP\\FLast"):
        assert principals.may_be_own(asked, principal)
    assert not principals.may_be_own(asked, "%OTHER\\operators")


def test_what_the_account_of_the_run_may_hold_is_for_a_person():
    rows = of_vcenter("11.2.8-privileges", TOO_MUCH, account="svc@dwp.example", gold=IMAGES)
    assert wanted(rows) == {}
    assert "with another account" in by_hand(rows)
    rows = of_vcenter("11.2.3-noaccess", gold={"gold_deny_map": [{"principal": "DWP\\svc", "domain_uuid": MACHINE}]},
                      account="svc@dwp.example")  # fmt: skip
    assert wanted(rows) == {}
    assert "could not take that back" in by_hand(rows)


DECLARED = [{"principal": "%DWP\\vm-operators", "role": "vm-operator", "objects": ["prod-vms"]}]


def test_permissions_are_those_declared_and_grants_come_first():
    more = [*DECLARED, {"principal": "%DWP\\backup", "role": "vm-operator", "objects": ["prod-vms"]}]
    rows = of_vcenter("11.2.2-custom-roles", holds("DWP\\mallory", "vm-operator"),
                      gold={"gold_vsphere_permissions": more})  # fmt: skip
    assert list(wanted(rows).items()) == [
        (("permission", "%DWP\\backup on prod-vms"), {"role": "vm-operator", "propagate": True}),
        (("permission", "DWP\\mallory on prod-vms"), None),
    ]


def test_another_role_on_the_same_object_replaces_the_old_one():
    rows = of_vcenter("11.2.2-custom-roles", gold={"gold_vsphere_permissions": [{**DECLARED[0], "role": "ReadOnly"}]})
    assert wanted(rows) == {("permission", "%DWP\\vm-operators on prod-vms"): {"role": "ReadOnly", "propagate": True}}


def test_a_role_that_is_not_there_is_for_a_person_and_nothing_declared_takes_nothing_away():
    rows = of_vcenter("11.2.2-custom-roles", gold={"gold_vsphere_permissions": [{**DECLARED[0], "role": "backup"}]})
    assert wanted(rows) == {}
    assert "make the role backup" in by_hand(rows)
    for entries in ([], [{"principal": "x"}]):
        rows = of_vcenter("11.2.2-custom-roles", gold={"gold_vsphere_permissions": entries})
        assert wanted(rows) == {} and "every other permission is then taken away" in by_hand(rows)


def test_who_is_denied_a_machine_gets_no_access_on_it():
    deny = [{"principal": "DWP\\Mallory", "domain_uuid": MACHINE}, {"principal": "%DWP\\vm-operators",
                                                                    "domain_uuid": MACHINE}]  # fmt: skip
    rows = of_vcenter("11.2.3-noaccess", gold={"gold_deny_map": deny, "gold_sensitive_vms": [MACHINE, "other"]})
    assert wanted(rows) == {("permission", f"%DWP\\vm-operators on {MACHINE}"): {"role": "NoAccess", "propagate": True}}
    assert "to whom other is denied" in by_hand(rows)


def test_a_cluster_keeps_a_reserve():
    rows = planned("11.3.1-pressure", lambda facts: facts["cluster"].update(ha=True, admission_control=False))
    assert wanted(rows) == {("admission_control", "prod (domain-c8)"): True}


FIREWALL = {"gold_admin_cidrs": ["192.0.2.0/25"], "gold_mgmt_cidrs": ["198.51.100.0/24"]}
CONFIRMED = {"appliance_console_confirmed": True}


def test_the_appliance_admits_administration_and_hosts_and_nobody_else():
    rows = of_vcenter("11.4.2-vcenter-fw", gold=FIREWALL, options=CONFIRMED)
    rules = "ACCEPT 192.0.2.0/25; ACCEPT 198.51.100.0/24; REJECT 0.0.0.0/0; REJECT ::/0"
    assert wanted(rows) == {("appliance_firewall", ""): rules}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "confirm that the appliance's console can be reached"),
        ({"options": CONFIRMED, "source": "203.0.113.9"}, "this run comes from 203.0.113.9"),
        ({"options": CONFIRMED, "source": None}, "an address the vCenter did not tell"),
        ({"options": CONFIRMED, "gold": {**FIREWALL, "gold_mgmt_cidrs": []}}, "name the networks of gold_mgmt_cidrs"),
    ],
)
def test_a_list_that_could_lock_somebody_out_is_for_a_person(more, why):
    rows = of_vcenter("11.4.2-vcenter-fw", **{"gold": FIREWALL, **more})
    assert wanted(rows) == {}
    assert why in by_hand(rows)


def unsigned(facts):
    facts["storage"]["library"]["libraries"][0]["security_policy"] = ""


def test_a_library_gets_the_policy_once_all_its_templates_are_signed():
    rows = of_vcenter("11.3.9-signature", unsigned)
    assert wanted(rows) == {("library_policy", "local 8a9b-1 golden"): "OVF default policy"}
    assert rows[0]["items"] == ["1f-22"]

    def with_another(facts):
        unsigned(facts)
        facts["storage"]["library"]["items"] += [
            {"id": "1f-23", "name": "old", "library": "golden", "kind": "ovf", "certificate_status": "NOT_AVAILABLE"},
            {"id": "1f-24", "name": "rescue", "library": "golden", "kind": "iso", "certificate_status": ""},
        ]

    rows = of_vcenter("11.3.9-signature", with_another)
    assert wanted(rows) == {}
    assert "golden: under the policy OVF default policy old could not be used any more" in by_hand(rows)
    assert "note them in gold_image_manifest" in by_hand(rows)


@pytest.mark.parametrize("check", ["11.2.2-custom-roles", "11.2.3-noaccess", "11.2.8-privileges", "11.3.7-alarm"])
def test_a_host_without_a_vcenter_keeps_its_own_roles_and_alarms(check):
    rows = planned(check)
    assert wanted(rows) == {}
    assert "this host has no vCenter" in by_hand(rows)


def test_an_excepted_holder_keeps_the_role_as_it_is_and_other_roles_are_edited():
    two = with_all(TOO_MUCH, role("backup", "ContentLibrary.AddLibraryItem"), holds("%DWP\\backups", "backup"))
    check = "vsphere-11.2.8-privileges"
    asked = situation(two, IMAGES, "vcenter", excepted={check: frozenset({"%DWP\\operators on prod-vms"})})
    asked = proposal.replace(asked, checks=frozenset([check]))
    found = proposal.propose("image_library", asked, load_standard(), "vsphere")
    assert [row["name"] for row in found.rows] == ["backup grants ContentLibrary.AddLibraryItem"]
