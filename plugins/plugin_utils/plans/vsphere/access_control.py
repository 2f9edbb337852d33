# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who administers an ESXi host, who may do what at its vCenter, and consoles of machines (11.2.2-5, 11.4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    host_rows,
    lockdown_mode,
    permissions,
    role_edits,
    virtual_machines,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import privileges
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import roles as role_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.access import (
    DEFAULT_GROUP,
    SYSTEM_ACCOUNTS,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.vms import ISOLATION, switched_off

FAILURES, UNLOCK = "Security.AccountLockFailures", "Security.AccountUnlockTime"
SERVICES = ("dcui", "vpxuser")
HOSTSVC = "Config.HostAgent.plugins.hostsvc."


def lockdown_exceptions(situation: Situation) -> list[Row]:
    """vsphere-11.2.4-lockdown-exceptions."""
    return lockdown_mode.narrowed_exempt(situation, situation.gold["gold_lockdown_exceptions"])[0]


def service_shells(situation: Situation) -> list[Row]:
    """vsphere-11.2.4-service-shell: dcui's, and vpxuser's last and only when asked for (pitfall P4)."""
    shells = {entry["name"]: entry["shell"] for entry in situation.facts["accounts"] if entry["name"] in SERVICES}
    rows = [host_rows.esxcli("system account.dcui", False)] if shells.get("dcui") else []
    if shells.get("vpxuser"):
        if situation.options.get("vpxuser_shell_off"):
            rows.append(host_rows.esxcli("system account.vpxuser", False))
        else:
            rows.append(
                plan.by_hand(
                    "vpxuser has a shell. Without it vCenter can give no account a shell any more, nor can a revert: "
                    "make sure of another way in, then allow it by hypervisor_options: {vpxuser_shell_off: true}",
                    ["vpxuser"],
                )
            )
    return rows


def console_access(situation: Situation) -> list[Row]:
    """vsphere-11.2.4-dcui-access."""
    return lockdown_mode.narrowed_console(situation, ["root"])[0]


def lockdown(situation: Situation) -> list[Row]:
    """vsphere-11.2.5-lockdown."""
    return lockdown_mode.on(
        situation,
        situation.gold["gold_lockdown_mode"],
        exempt=lockdown_mode.exempt(situation),
        console=lockdown_mode.console(situation),
    )


def default_group(situation: Situation) -> list[Row]:
    """vsphere-11.2.5-esx-admins: the group gold names, or none (CVE-2024-37085)."""
    options, wanted = situation.facts["advanced_options"], situation.gold["gold_esx_admins_group"]
    group, auto, rows = f"{HOSTSVC}esxAdminsGroup", f"{HOSTSVC}esxAdminsGroupAutoAdd", []
    now = str(options[group]).casefold()
    if now == DEFAULT_GROUP.casefold() or (wanted and now != wanted.casefold()):
        rows.append(host_rows.option(group, wanted))
    if options[auto] is not False:
        rows.append(host_rows.option(auto, False))
    return rows


def host_entries(situation: Situation) -> list[Row]:
    """vsphere-11.2.5-host-entries."""
    allowed = {str(name).casefold() for name in (*SYSTEM_ACCOUNTS, *situation.gold["gold_host_admin_principals"])}
    extra = [
        entry
        for entry in situation.facts["remote_access"]["access_entries"]
        if entry["mode"] == "accessAdmin" and str(entry["principal"]).casefold() not in allowed
    ]
    for entry in extra:
        if _is_own(situation, entry):
            raise Refusal(
                f"{situation.account}, the account this run logs in as, administers the host as {entry['principal']}, "
                "which is not in gold_host_admin_principals; add it, or log in as another"
            )
    return [host_rows.no_access(f"{'%' if entry['group'] else ''}{entry['principal']}") for entry in extra]


def _is_own(situation: Situation, entry: Mapping[str, Any]) -> bool:
    """Whether an entry may be that of the run's account: on a host without a vCenter nobody else could bring it back.

    Groups there are a directory's, and nobody tells who is in them.
    """
    if situation.facts["host"]["controller"]:
        return bool(entry["principal"] == situation.account)
    domain, name = role_rules.split(situation.account)
    return bool(domain) if entry["group"] else role_rules.split(str(entry["principal"]))[1] == name


def lockout(situation: Situation) -> list[Row]:
    """vsphere-11.2.5-lockout. gold_vsphere_timeouts (11.4.6) limits the same failures: the lower of both holds."""
    options, gold, rows = situation.facts["advanced_options"], situation.gold, []
    most = min(gold["gold_lockout_attempts"], gold["gold_vsphere_timeouts"]["AccountLockFailures"])
    if not 1 <= options[FAILURES] <= gold["gold_lockout_attempts"]:
        rows.append(host_rows.option(FAILURES, most))
    if options[UNLOCK] < gold["gold_lockout_seconds"]:
        rows.append(host_rows.option(UNLOCK, gold["gold_lockout_seconds"]))
    return rows


def consoles(situation: Situation) -> list[Row]:
    """vsphere-11.4.5-isolation: settings that open the clipboard go, so that ESXi's own default holds."""
    return virtual_machines.each(situation, _console)


def _console(situation: Situation, vm: Vm) -> list[Row]:
    most = situation.gold["gold_max_console"]
    opened = switched_off(vm["extra_config"], *ISOLATION)
    edits = [virtual_machines.option(vm, key, None) for key in opened]
    if not 1 <= vm["max_console"] <= most:
        edits.append(virtual_machines.setting(vm, "machine_consoles", most))
    if vm["autolock"] is not True:
        edits.append(virtual_machines.setting(vm, "machine_autolock", True))
    by_hand = f"close its clipboard, lock it when its console closes, and admit {most} to the console at once"
    return virtual_machines.change(situation, vm, edits, by_hand) if edits else []


PLANS: dict[str, Planner] = {
    "vsphere-11.2.2-custom-roles": controller_rows.at_vcenter(permissions.declared),
    "vsphere-11.2.3-noaccess": controller_rows.at_vcenter(permissions.denied),
    "vsphere-11.2.4-lockdown-exceptions": lockdown_exceptions,
    "vsphere-11.2.4-dcui-access": console_access,
    "vsphere-11.2.4-service-shell": service_shells,
    "vsphere-11.2.5-lockdown": lockdown,
    "vsphere-11.2.5-esx-admins": default_group,
    "vsphere-11.2.5-host-entries": host_entries,
    "vsphere-11.2.5-crypto-priv": role_edits.without(privileges.uses_keys, "gold_crypto_admins"),
    "vsphere-11.2.5-lockout": lockout,
    "vsphere-11.4.5-guest-ops": role_edits.without(privileges.enters_guests, "gold_guest_access_principals"),
    "vsphere-11.4.5-isolation": consoles,
}
