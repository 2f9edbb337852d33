# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach an ESXi host from elsewhere, and how (11.4.6), and past which second factor (11.4.3, 11.4.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, vsphere_lockdown, vsphere_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.remote_access_platforms import (
    SHELL_SERVICES,
    TIMEOUT_LIMITS,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere_access import SYSTEM_ACCOUNTS

# Where the names of gold_vsphere_timeouts live; the rest of them is below UserVars.
ELSEWHERE = {"AccountLockFailures": "Security.AccountLockFailures"}
SHELL_WARNING = "UserVars.SuppressShellWarning"


def timeouts(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-timeouts: zero is no limit (pitfall P5); a stricter limit stays."""
    options, rows = situation.facts["advanced_options"], []
    for name, limit in situation.gold["gold_vsphere_timeouts"].items():
        most = TIMEOUT_LIMITS.get(name, 900)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
            raise Refusal(f"gold_vsphere_timeouts has {name} {limit!r}, expected 1 to {most}")
        option = ELSEWHERE.get(name, f"UserVars.{name}")
        if not 1 <= options[option] <= limit:
            rows.append(vsphere_rows.option(option, limit))
    if options[SHELL_WARNING] != 0:
        rows.append(vsphere_rows.option(SHELL_WARNING, 0))
    return rows


def services(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-services: what gold declares off, of what the host has; nothing is ever started."""
    # YAML turns an unquoted off into a truth value.
    off = {name for name, value in situation.gold["gold_vsphere_services"].items() if value in ("off", False)}
    return _off(situation, off)


def root_over_ssh(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-ssh-root: by switching ssh off.

    permitrootlogin is set by esxcli with arguments, and gold_vsphere_services never lets ssh run anyway.
    """
    return _off(situation, {"TSM-SSH"})


def _off(situation: Situation, names: set[str]) -> list[Row]:
    found = {service["id"]: service for service in situation.facts["remote_access"]["services"]}
    rows: list[Row] = []
    for name in sorted(names & set(found)):
        if found[name]["running"] or found[name]["policy"] != "off":
            rows += vsphere_rows.service_off(name)
    return rows


def allow_list(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-allowlist: who is exempt and who has the console, and lockdown mode last."""
    admins = [str(name) for name in situation.gold["gold_remote_admins"]]
    if not admins:
        raise Refusal("gold_remote_admins is empty: nobody would be authorised to log in; name the accounts")
    exempt, stay = vsphere_lockdown.narrowed_exempt(situation, admins)
    console, keys = vsphere_lockdown.narrowed_console(situation, [*admins, "root"])
    return [*console, *exempt, *vsphere_lockdown.on(situation, exempt=stay, console=keys)]


def no_bypass(situation: Situation) -> list[Row]:
    """vsphere-11.4.3-no-bypass: nobody gets round vCenter and its identity provider."""
    exempt, stay = vsphere_lockdown.narrowed_exempt(situation, SYSTEM_ACCOUNTS)
    console = vsphere_lockdown.console(situation)
    return [
        *_off(situation, set(SHELL_SERVICES)),
        *exempt,
        *vsphere_lockdown.on(situation, exempt=stay, console=console),
    ]


def directory(situation: Situation) -> list[Row]:
    """vsphere-11.4.1-host-or-vcenter: through vCenter alone by lockdown mode. Joining takes a directory's password."""
    if situation.gold["gold_vsphere_directory_mode"] != "vcenter":
        return [
            plan.by_hand(
                "join the host to gold_directory_domain (host, Configure, Authentication services): it takes the "
                "password of an account of the directory, which an enforcement never asks for"
            )
        ]
    if situation.facts["identity"]["joined"]:
        domain = str(situation.facts["identity"]["domain"])[:80]
        return [
            plan.by_hand(
                f"the host is joined to {domain}, and gold_vsphere_directory_mode is vcenter: make sure that nobody "
                "depends on it, then leave the domain"
            )
        ]
    return vsphere_lockdown.on(
        situation, exempt=vsphere_lockdown.exempt(situation), console=vsphere_lockdown.console(situation)
    )


PLANS: dict[str, Planner] = {
    "vsphere-11.4.6-services": services,
    "vsphere-11.4.6-ssh-root": root_over_ssh,
    "vsphere-11.4.6-allowlist": allow_list,
    "vsphere-11.4.6-timeouts": timeouts,
    "vsphere-11.4.3-no-bypass": no_bypass,
    "vsphere-11.4.1-host-or-vcenter": directory,
}
