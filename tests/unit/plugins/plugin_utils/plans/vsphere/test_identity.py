# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joining an ESXi host to the directory: with an account for it, and never while a group's name gives rights."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    planned,
    wanted,
)

CHECK, ADMINS = "11.4.1-host-or-vcenter", "Config.HostAgent.plugins.hostsvc.esxAdminsGroup"
GOLD = {"gold_vsphere_directory_mode": "ad", "gold_directory_domain": "Corp.Example"}
ACCOUNT = {"directory_account": "joiner@corp.example", "directory_password": "***"}
JOIN = {("directory", ""): "corp.example"}


def identity(**values):
    return lambda facts: facts["identity"].update(values)


def admins(group, auto):
    """Whom joining gives rights."""
    return lambda facts: facts["advanced_options"].update({ADMINS: group, f"{ADMINS}AutoAdd": auto})


ALONE = identity(joined=False, domain="", membership_status="")
SAFE = both(ALONE, admins("", False))


def test_a_host_is_joined_with_the_account_of_the_run():
    assert wanted(planned(CHECK, SAFE, GOLD, options=ACCOUNT)) == JOIN


@pytest.mark.parametrize("given", [{}, {"directory_account": "joiner@corp.example"}, {"directory_password": "***"}])
def test_without_account_and_password_it_is_for_a_person(given):
    rows = planned(CHECK, SAFE, GOLD, options=given)
    assert wanted(rows) == {} and "hypervisor_options: {directory_account" in by_hand(rows)


@pytest.mark.parametrize("group", ["ESX Admins", ""])
def test_nobody_gets_rights_by_the_name_of_a_group(group):
    """CVE-2024-37085: the options are set in the same change, and before."""
    rows = planned(CHECK, both(ALONE, admins(group, True)), GOLD, options=ACCOUNT)
    other = {("option", ADMINS): ""} if group else {}
    assert wanted(rows) == {**other, ("option", f"{ADMINS}AutoAdd"): False, **JOIN}
    assert [row["kind"] for row in rows][-1] == "directory"


def test_an_exception_for_that_group_leaves_joining_to_a_person():
    excepted = {"vsphere-11.2.5-esx-admins": frozenset("*")}
    rows = planned(CHECK, both(ALONE, admins("ESX Admins", True)), GOLD, options=ACCOUNT, excepted=excepted)
    assert wanted(rows) == {} and "has an exception" in by_hand(rows)
    # Where the options are right all the same there is nothing to fear.
    assert wanted(planned(CHECK, SAFE, GOLD, options=ACCOUNT, excepted=excepted)) == JOIN


@pytest.mark.parametrize(("domain", "state"), [("OTHER.EXAMPLE", "ok"), ("CORP.EXAMPLE", "clientTrustBroken")])
def test_a_host_in_a_domain_is_never_taken_out_of_it(domain, state):
    joined = identity(joined=True, domain=domain, membership_status=state)
    rows = planned(CHECK, both(joined, admins("", False)), GOLD, options=ACCOUNT)
    assert wanted(rows) == {} and f"joined to {domain} and its membership is {state}" in by_hand(rows)


def test_gold_has_to_name_the_domain():
    rows = planned(CHECK, SAFE, {**GOLD, "gold_directory_domain": ""}, options=ACCOUNT)
    assert wanted(rows) == {} and "set gold_directory_domain" in by_hand(rows)
