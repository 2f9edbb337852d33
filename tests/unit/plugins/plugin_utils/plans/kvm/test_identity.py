# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of the directory: joining is a person's, whom it lets in is not."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.people_side import (
    account,
    by_hand,
    facts,
    plan_of,
)

JOINED, FILTER = "kvm-11.4.1-joined", "kvm-11.4.1-access-filter"
GOLD = {"gold_directory_domain": "corp.example", "gold_authorised_groups": ["kvm-admins"]}
DOMAIN = {
    "name": "corp.example", "id_provider": "ad", "auth_provider": "ad", "access_provider": "permit",
    "simple_allow_users": ["carol"], "simple_allow_groups": [], "krb5_realm": "CORP.EXAMPLE", "online": "online",
    "ldap_uri": [], "ldap_id_use_start_tls": "false", "ldap_tls_reqcert": "hard",
}  # fmt: skip


def joined(**changes):
    found = facts()
    found["identity"].update(
        joined=True, domain="corp.example", access={"users": [], "groups": {"kvm-admins": ["dana", "erik"]}},
        sssd={"configured": True, "active": True, "in_force": True, "services": ["nss", "pam"],
              "domains": [{**DOMAIN, **changes}]},
        krb5={"default_realm": "CORP.EXAMPLE", "principals": ["host/kvm1@CORP.EXAMPLE"]},
    )  # fmt: skip
    return found


def test_joining_is_told_with_the_exact_command():
    told = by_hand(plan_of(JOINED, facts(), GOLD))[0]
    assert "realm join --one-time-password=<password> corp.example" in told and "apt-get install realmd" in told
    found = facts()
    found["host"]["family"] = "rhel"
    assert "dnf install realmd" in by_hand(plan_of(JOINED, found, GOLD))[0]
    with pytest.raises(Refusal, match="gold_directory_domain is empty"):
        plan_of(JOINED, facts())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"id_provider": "ldap", "ldap_uri": ["ldap://dc1"]}, "ldap://dc1 is clear text"),
        ({"id_provider": "ldap", "ldap_uri": ["ldaps://dc1"], "ldap_tls_reqcert": "never"}, "ldap_tls_reqcert demand"),
        ({"online": "offline"}, "cannot reach corp.example"),
        ({"name": "other.example", "krb5_realm": "OTHER"}, "not to corp.example"),
    ],
)
def test_a_bad_channel_is_a_persons(changes, text):
    assert text in by_hand(plan_of(JOINED, joined(**changes), GOLD))[0]


def test_a_configuration_that_is_not_in_force_is_read_again():
    found = joined()
    found["identity"]["sssd"]["in_force"] = False
    rows = plan_of(JOINED, found, GOLD)
    assert rows[0]["mode"] == "0600" and rows[1]["then"][1] == {"restart": "sssd.service"}


def test_the_list_names_groups_and_declared_people_of_the_directory():
    found = joined(simple_allow_users=["carol", "dana"])
    rows = plan_of(FILTER, found, {**GOLD, "gold_authorised_accounts": ["dana"]})
    assert rows[0]["section"] == "domain/corp.example" and rows[0]["syntax"] == "ini"
    assert rows[0]["values"] == {
        "access_provider": "simple", "simple_allow_groups": "kvm-admins", "simple_allow_users": "dana"
    }  # fmt: skip
    assert rows[0]["secret"] is True, "sssd.conf may hold a password"
    assert rows[-1] == {**rows[-1], "kind": "access", "mode": "0600"}


def test_nobody_is_locked_out():
    with pytest.raises(Refusal, match="nobody of the directory could log in"):
        plan_of(FILTER, joined(), {**GOLD, "gold_authorised_groups": [], "gold_hypervisor_admins": []})
    found = joined()
    account(found, "ansible", source="directory", groups=["robots"])
    with pytest.raises(Refusal, match="ansible, the account this run logs in as, comes from the directory"):
        plan_of(FILTER, found, {**GOLD, "gold_automation_accounts": []})
    account(found, "ansible", groups=["kvm-admins"])
    assert plan_of(FILTER, found, {**GOLD, "gold_automation_accounts": []})
    with pytest.raises(Refusal, match="only alice of gold_hypervisor_admins"):
        plan_of(FILTER, joined(), {**GOLD, "gold_hypervisor_admins": ["alice", "zoe"]})


def test_administrators_of_the_directory_count_as_people():
    assert plan_of(FILTER, joined(), {**GOLD, "gold_hypervisor_admins": ["dana", "erik"]})
