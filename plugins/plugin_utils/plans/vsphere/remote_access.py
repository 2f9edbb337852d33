# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach an ESXi host from elsewhere, and how (11.4.6)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, lockdown_mode
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.remote_access_platforms import TIMEOUT_LIMITS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.access import SYSTEM_ACCOUNTS

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
            # 11.2.5 limits the same failures by a setting of its own: the lower of both holds.
            least = min(limit, situation.gold["gold_lockout_attempts"]) if name in ELSEWHERE else limit
            rows.append(host_rows.option(option, least))
    if options[SHELL_WARNING] != 0:
        rows.append(host_rows.option(SHELL_WARNING, 0))
    return rows


def services(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-services: what gold declares off, of what the host has; nothing is ever started."""
    # YAML turns an unquoted off into a truth value.
    off = {name for name, value in situation.gold["gold_vsphere_services"].items() if value in ("off", False)}
    return host_rows.services_off(situation.facts, off)


def root_over_ssh(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-ssh-root: ssh is off, as gold_vsphere_services wants it, and refuses root should it be on again.

    The latter from ESXi 8 on, and where somebody else has a shell: in an emergency nobody could log in otherwise.
    """
    remote, rows = situation.facts["remote_access"], []
    now = remote.get("ssh", {}).get("effective_root", {}).get("permitrootlogin")
    wanted = situation.gold["gold_ssh_permit_root"]
    if now not in (None, wanted) and set(remote.get("shell_accounts") or ()) - set(SYSTEM_ACCOUNTS):
        rows.append(host_rows.esxcli("system ssh server config.permitrootlogin", wanted))
    return [*rows, *host_rows.services_off(situation.facts, {"TSM-SSH"})]


def allow_list(situation: Situation) -> list[Row]:
    """vsphere-11.4.6-allowlist: who is exempt and who has the console, and lockdown mode last."""
    admins = [str(name) for name in situation.gold["gold_remote_admins"]]
    if not admins:
        raise Refusal("gold_remote_admins is empty: nobody would be authorised to log in; name the accounts")
    exempt, stay = lockdown_mode.narrowed_exempt(situation, admins)
    console, keys = lockdown_mode.narrowed_console(situation, [*admins, "root"])
    return [*console, *exempt, *lockdown_mode.on(situation, exempt=stay, console=keys)]


PLANS: dict[str, Planner] = {
    "vsphere-11.4.6-services": services,
    "vsphere-11.4.6-ssh-root": root_over_ssh,
    "vsphere-11.4.6-allowlist": allow_list,
    "vsphere-11.4.6-timeouts": timeouts,
}
