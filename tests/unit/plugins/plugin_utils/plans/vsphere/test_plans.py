# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches an ESXi host, and past what: sessions, services, lockdown mode, accounts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    lockdown,
    options,
    planned,
    situation,
    wanted,
)

STANDARD = load_standard()
OFF = lockdown(mode="lockdownDisabled")
NORMAL = {("lockdown", ""): "lockdownNormal"}


def service(name, **values):
    """A service with other values."""
    return lambda facts: next(one for one in facts["remote_access"]["services"] if one["id"] == name).update(values)


@pytest.mark.parametrize("release", ["8.0", "9.0"])
def test_a_host_that_passes_gets_no_row_about_access(release):
    for check in ("11.4.6-services", "11.4.6-ssh-root", "11.4.6-timeouts", "11.2.4-dcui-access", "11.2.5-esx-admins",
                  "11.2.4-lockdown-exceptions", "11.2.5-host-entries", "11.2.5-lockout", "11.4.3-no-bypass",
                  "11.4.6-allowlist", "11.2.5-lockdown", "11.4.1-host-or-vcenter"):  # fmt: skip
        assert wanted(planned(check, release=release)) == {}, check


def test_limits_beyond_gold_are_set_and_stricter_ones_stay():
    rows = planned(
        "11.4.6-timeouts",
        options(UserVars__DcuiTimeOut=0, UserVars__ESXiShellTimeOut=60, UserVars__SuppressShellWarning=1,
                Security__AccountLockFailures=9),
    )  # fmt: skip
    assert wanted(rows) == {
        ("option", "UserVars.DcuiTimeOut"): 600,
        ("option", "Security.AccountLockFailures"): 5,
        ("option", "UserVars.SuppressShellWarning"): 0,
    }


@pytest.mark.parametrize("value", [0, 901, True, "600"])
def test_a_limit_that_limits_nothing_is_refused(value):
    limits = {"DcuiTimeOut": value}
    with pytest.raises(Refusal, match=r"gold_vsphere_timeouts has DcuiTimeOut .* expected 1 to 900"):
        planned("11.4.6-timeouts", gold={"gold_vsphere_timeouts": limits})


def test_services_that_gold_has_off_are_stopped_and_not_started_again():
    change = both(service("snmpd", running=True, policy="on"), service("TSM", policy="automatic"))
    assert wanted(planned("11.4.6-services", change)) == {
        ("service_policy", "TSM"): "off", ("service", "TSM"): False,
        ("service_policy", "snmpd"): "off", ("service", "snmpd"): False,
    }  # fmt: skip
    # YAML turns an unquoted off into a truth value; what is on is nobody's to start.
    gold = {"gold_vsphere_services": {"snmpd": "on", "TSM": False, "ntpd": "on"}}
    assert {name for _kind, name in wanted(planned("11.4.6-services", change, gold))} == {"TSM"}


def test_the_agent_of_the_vcenter_is_never_stopped():
    def agent(facts):
        facts["remote_access"]["services"].append({"id": "vpxa", "running": True, "policy": "on", "rulesets": []})

    with pytest.raises(Refusal, match=r"gold_vsphere_services has vpxa off: .* expected on"):
        planned("11.4.6-services", agent, {"gold_vsphere_services": {"vpxa": "off"}})


def test_root_over_ssh_ends_with_ssh():
    rows = planned("11.4.6-ssh-root", both(service("TSM-SSH", running=True), service("snmpd", running=True)))
    assert wanted(rows) == {("service_policy", "TSM-SSH"): "off", ("service", "TSM-SSH"): False}


def test_root_is_refused_where_somebody_else_has_a_shell():
    def ssh(keyword, shells):
        def change(facts):
            facts["remote_access"]["ssh"] = {"effective_root": {"permitrootlogin": keyword}}
            facts["remote_access"]["shell_accounts"] = shells

        return change

    key = ("esxcli", "system ssh server config.permitrootlogin")
    assert wanted(planned("11.4.6-ssh-root", ssh("yes", ["root", "breakglass"]))) == {key: "no"}
    assert wanted(planned("11.4.6-ssh-root", ssh("yes", ["root", "dcui", "vpxuser"]))) == {}
    assert wanted(planned("11.4.6-ssh-root", ssh("no", ["root", "breakglass"]))) == {}
    # ESXi 7 tells neither.
    assert wanted(planned("11.4.6-ssh-root", release="7.0")) == {}


def shells(**names):
    """Accounts of ESXi's own services, and whether they have a shell."""

    def change(facts):
        for account in facts["accounts"]:
            account["shell"] = names.get(account["name"], account["shell"])

    return change


def test_service_accounts_lose_their_shell_and_vpxuser_last_and_when_asked_for():
    check, both_have = "11.2.4-service-shell", shells(dcui=True, vpxuser=True)
    rows = planned(check, both_have)
    assert wanted(rows) == {("esxcli", "system account.dcui"): False}
    assert "hypervisor_options: {vpxuser_shell_off: true}" in by_hand(rows)
    asked_for = planned(check, both_have, options={"vpxuser_shell_off": True})
    assert list(wanted(asked_for)) == [("esxcli", "system account.dcui"), ("esxcli", "system account.vpxuser")]
    assert planned(check, shells(dcui=True), options={"vpxuser_shell_off": True})[0]["name"] == "system account.dcui"
    assert planned(check) == []


@pytest.mark.parametrize("check", ["11.2.5-lockdown", "11.4.6-allowlist", "11.4.3-no-bypass", "11.4.1-host-or-vcenter"])
def test_lockdown_mode_wherever_it_is_asked_for(check):
    assert wanted(planned(check, OFF)) == NORMAL
    # As strict or stricter stays.
    assert planned(check, lockdown(mode="lockdownStrict")) == []


@pytest.mark.parametrize("check", ["11.2.5-lockdown", "11.4.6-allowlist", "11.4.3-no-bypass", "11.4.1-host-or-vcenter"])
def test_a_host_without_a_vcenter_is_never_put_into_lockdown_mode(check):
    def alone(facts):
        facts["host"].update(controller="", controller_address="")

    rows = planned(check, both(OFF, alone))
    assert wanted(rows) == {}
    assert "this host has no vCenter" in by_hand(rows)


@pytest.mark.parametrize("check", ["11.2.5-lockdown", "11.4.3-no-bypass", "11.4.1-host-or-vcenter"])
@pytest.mark.parametrize("console", [[], ["dcui"]])
@pytest.mark.parametrize("exceptions", [[], ["vpxuser"]])
def test_lockdown_mode_needs_another_way_in(check, console, exceptions):
    """Nobody logs in as vCenter's own account or as the console's."""
    with pytest.raises(
        Refusal, match=r"nobody would be exempt from lockdown mode and DCUI.Access names nobody who logs in"
    ):
        planned(check, lockdown(mode="lockdownDisabled", console_access=console, exceptions=exceptions))


def test_strict_mode_only_where_the_console_was_confirmed():
    gold = {"gold_lockdown_mode": "lockdownStrict"}
    rows = planned("11.2.5-lockdown", gold=gold)
    assert wanted(rows) == {} and "console_confirmed: true" in by_hand(rows)
    confirmed = planned("11.2.5-lockdown", gold=gold, options={"console_confirmed": True})
    assert wanted(confirmed) == {("lockdown", ""): "lockdownStrict"}
    # Areas that only need lockdown mode to be on do not make it strict.
    assert wanted(planned("11.4.3-no-bypass", OFF, gold, options={"console_confirmed": True})) == NORMAL


def test_a_mode_nobody_knows_is_refused():
    with pytest.raises(Refusal, match="lockdown mode is 'lockdownOdd', expected one of lockdownDisabled"):
        planned("11.2.5-lockdown", lockdown(mode="lockdownOdd"))


def test_who_is_exempt_and_has_the_console_comes_before_lockdown_mode():
    rows = planned(
        "11.4.6-allowlist",
        lockdown(mode="lockdownDisabled", exceptions=["ALICE", "mallory"], console_access=["root", "mallory"]),
    )
    assert [(row["kind"], row.get("value", row.get("remove"))) for row in rows] == [
        ("console", ["mallory"]), ("lockdown_exceptions", ["mallory"]), ("lockdown", "lockdownNormal"),
    ]  # fmt: skip


def test_nobody_authorised_is_refused():
    with pytest.raises(Refusal, match="gold_remote_admins is empty"):
        planned("11.4.6-allowlist", OFF, {"gold_remote_admins": []})


def test_exceptions_and_the_console_are_narrowed():
    change = lockdown(exceptions=["backup", "mallory"], console_access=["mallory"])
    gold = {"gold_lockdown_exceptions": ["backup"]}
    assert wanted(planned("11.2.4-lockdown-exceptions", change, gold)) == {("lockdown_exceptions", ""): ["mallory"]}
    assert wanted(planned("11.2.4-dcui-access", change)) == {("console", "DCUI.Access"): ["root"]}
    more = lockdown(console_access=["root", "mallory"])
    assert wanted(planned("11.2.4-dcui-access", more)) == {("console", "DCUI.Access"): ["mallory"]}
    # Nobody logs in as vCenter's agent; root is one more who needs a password alone.
    assert wanted(planned("11.4.3-no-bypass", lockdown(exceptions=["vpxuser", "root", "bob"]))) == {
        ("lockdown_exceptions", ""): ["root", "bob"]
    }


@pytest.mark.parametrize("check", ["11.2.4-lockdown-exceptions", "11.4.3-no-bypass", "11.4.6-allowlist"])
def test_the_last_way_in_of_a_strict_host_stays_unless_confirmed(check):
    change = lockdown(mode="lockdownStrict", exceptions=["mallory"])
    with pytest.raises(Refusal, match="lockdown mode is strict, and nobody would be exempt"):
        planned(check, change)
    assert planned(check, change, options={"console_confirmed": True})


def test_the_default_group_goes():
    prefix = "Config__HostAgent__plugins__hostsvc__esxAdminsGroup"
    group, auto = prefix.replace("__", "."), f"{prefix}AutoAdd".replace("__", ".")
    rows = planned("11.2.5-esx-admins", options(**{prefix: "esx admins", f"{prefix}AutoAdd": True}))
    assert wanted(rows) == {("option", group): "", ("option", auto): False}
    other = planned("11.2.5-esx-admins", gold={"gold_esx_admins_group": "Host admins"})
    assert wanted(other) == {("option", group): "Host admins"}


def entries(*found):
    """Principals with access of their own, besides those of ESXi."""
    return lambda facts: facts["remote_access"]["access_entries"].extend(
        {"principal": name, "group": group, "mode": mode} for name, group, mode in found
    )


def test_principals_nobody_declared_lose_their_access_to_the_host():
    change = entries(("mallory", False, "accessAdmin"), ("LAB\\ops", True, "accessAdmin"),
                     ("auditor", False, "accessReadOnly"))  # fmt: skip
    assert wanted(planned("11.2.5-host-entries", change)) == {
        ("access", "mallory"): "accessNone", ("access", "%LAB\\ops"): "accessNone",
    }  # fmt: skip
    assert planned("11.2.5-host-entries", change, {"gold_host_admin_principals": ["Mallory", "LAB\\ops"]}) == []
    with pytest.raises(Refusal, match="mallory, the account this run logs in as"):
        planned("11.2.5-host-entries", change, account="mallory")


def test_a_single_host_keeps_the_access_that_the_run_may_have():
    def alone(facts):
        facts["host"].update(controller="", controller_address="")

    group, person = entries(("LAB\\ops", True, "accessAdmin")), entries(("LAB\\Svc", False, "accessAdmin"))
    for change, account in ((group, "svc@lab.example.test"), (person, "svc@lab.example.test"), (person, "LAB\\svc")):
        with pytest.raises(Refusal, match="the account this run logs in as, administers the host as"):
            planned("11.2.5-host-entries", both(alone, change), account=account)
    # A local account is in no group of a directory.
    assert wanted(planned("11.2.5-host-entries", both(alone, group, person), account="root")) == {
        ("access", "%LAB\\ops"): "accessNone", ("access", "LAB\\Svc"): "accessNone",
    }  # fmt: skip


def test_accounts_lock_and_stay_locked_as_the_stricter_setting_says():
    rows = planned("11.2.5-lockout", options(Security__AccountLockFailures=0, Security__AccountUnlockTime=60))
    assert wanted(rows) == {
        ("option", "Security.AccountLockFailures"): 5, ("option", "Security.AccountUnlockTime"): 300,
    }  # fmt: skip
    assert planned("11.2.5-lockout", options(Security__AccountLockFailures=3)) == []
    gold = {"gold_lockout_attempts": 3}
    off = options(Security__AccountLockFailures=0)
    for check in ("11.2.5-lockout", "11.4.6-timeouts"):
        assert wanted(planned(check, off, gold)) == {("option", "Security.AccountLockFailures"): 3}


def test_a_host_that_people_reach_through_vcenter_leaves_its_domain_by_a_person():
    joined = planned("11.4.1-host-or-vcenter", lambda facts: facts["identity"].update(joined=True, domain="corp.test"))
    assert wanted(joined) == {} and "joined to corp.test" in by_hand(joined)


def test_what_an_exception_covers_stays_as_it_is():
    check = "vsphere-11.4.6-services"
    change = both(service("snmpd", running=True), service("TSM", running=True))

    def rows(items):
        asked = situation(change, excepted={check: frozenset(items)})
        asked = proposal.replace(asked, checks=frozenset([check]))
        return list(proposal.propose("remote_access", asked, STANDARD, "vsphere").rows)

    assert {name for _kind, name in wanted(rows(["snmpd"]))} == {"TSM"}
    # What cannot be told apart from the rest is left to a person, whole.
    assert wanted(rows(["something else"])) == {}
    assert "an exception covers something else" in by_hand(rows(["something else"]))


def test_an_exception_for_one_shell_leaves_the_other_to_be_taken():
    check = "vsphere-11.2.4-service-shell"
    asked = situation(shells(dcui=True, vpxuser=True), excepted={check: frozenset(["vpxuser"])})
    asked = proposal.replace(asked, checks=frozenset([check]))
    (row,) = proposal.propose("access_control", asked, STANDARD, "vsphere").rows
    assert row["name"] == "system account.dcui"


@pytest.mark.parametrize("area", proposal.areas(STANDARD, "vsphere"))
def test_facts_that_lack_everything_refuse_the_area(area):
    empty = situation(lambda facts: facts.clear())
    assert proposal.propose(area, empty, STANDARD, "vsphere").refusal


def test_the_guide_says_of_every_check_whether_it_is_set():
    page = (Path(__file__).parents[6] / "docs" / "vsphere.md").read_text(encoding="utf-8")
    table = page.split("### What is set, and what is for a person")[1].split("###")[0]
    named = set(re.findall(r"`(vsphere-[\d.]+-[a-z0-9-]+)`", table))
    assert named == set(planners("vsphere"))
