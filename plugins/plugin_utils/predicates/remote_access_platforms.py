# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote access to ESXi and Hyper-V hosts (11.4.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import mappings, texts

SHELL_SERVICES = ("TSM", "TSM-SSH")
# Highest value the gold configuration may ask for; each counts as switched off at 0 (pitfall P5).
TIMEOUT_LIMITS = {
    "ESXiShellTimeOut": 900,
    "ESXiShellInteractiveTimeOut": 900,
    "DcuiTimeOut": 900,
    "HostClientSessionTimeout": 900,
    "AccountLockFailures": 10,
}
# What a setting must equal, and the lowest number of the others; gold may not be weaker.
WINRM_EQUAL = {"AllowUnencrypted": False, "Basic": False, "CredSSP": False, "TrustedHosts": ""}
WINRM_AT_LEAST = {"rdp_nla": 1, "rdp_security_layer": 2, "rdp_min_encryption": 3}


def services_declared(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`services`: [{id, running, policy}] of an ESXi host; what gold calls off is stopped, and stays so at start."""
    wanted = {name: _on_off(value) for name, value in gold["gold_vsphere_services"].items()}
    faults = [
        f"{name} is {value!r}, expected on or off" for name, value in wanted.items() if value not in ("on", "off")
    ]
    faults += [f"{name} may not be on" for name in SHELL_SERVICES if wanted.get(name) == "on"]
    if faults:
        return o.failed(None, wanted, "gold_vsphere_services: " + "; ".join(faults))
    found = {need(service, "id"): service for service in mappings(facts["services"])}
    items = []
    for name in SHELL_SERVICES:
        if name not in found:
            items.append(o.item(name, o.unknown(f"the host does not list the service {name}")))
    for name, service in found.items():
        if name in wanted:
            items.append(o.item(name, _service(name, service, wanted[name])))
    return o.combine(items, empty=o.unknown("no service was examined"), expected=wanted)


def _service(name: str, service: Mapping[str, Any], wanted: str) -> Outcome:
    running, policy = service.get("running"), service.get("policy")
    state = {"running": running, "policy": policy}
    if wanted == "on":
        return o.passed(state, wanted)
    if running is True:
        return o.failed(state, wanted, f"{name} is running", persistent=policy != "off")
    if policy is not None and policy != "off":
        # automatic: started as soon as one of the service's firewall ports is opened.
        return o.failed(state, wanted, f"{name} is stopped but its policy is {policy}", persistent=False)
    if running is None or policy is None:
        return o.unknown(f"the state of {name} was not read", state)
    return o.passed(state, wanted, persistent=True)


def vsphere_root_denied(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`services`, `permitrootlogin`, `shell_accounts` of an ESXi host: ssh refuses root, and somebody else can work."""
    ssh = next((service for service in mappings(facts["services"]) if service.get("id") == "TSM-SSH"), None)
    if ssh is None:
        raise MissingFact("the host does not list the service TSM-SSH")
    if need(ssh, "running") is False and need(ssh, "policy") == "off":
        return o.not_applicable(
            "ssh is stopped and not started with the host", {"TSM-SSH": {"running": False, "policy": "off"}}
        )
    found = facts["permitrootlogin"]
    if found is None:
        raise MissingFact("permitrootlogin was not read")
    wanted = gold["gold_ssh_permit_root"]
    if found != wanted:
        return o.failed(found, wanted, f"permitrootlogin is {found}")
    named = [name for name in texts(facts["shell_accounts"], "shell_accounts") if name != "root"]
    if not named:
        return o.failed(
            [], "a named account with a shell", "no account but root has a shell: nobody could log in by name"
        )
    return o.passed({"permitrootlogin": found, "shell_accounts": named}, wanted)


def vsphere_allow_list(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`lockdown`: {mode, exceptions, console_access}. Lockdown is on and its exceptions are named administrators."""
    admins = [str(name) for name in gold["gold_remote_admins"]]
    if not admins:
        return o.failed(
            None, "named administrators", "gold_remote_admins is empty: nobody is authorised to log in from elsewhere"
        )
    mode = need(facts["lockdown"], "mode")
    if mode not in ("lockdownNormal", "lockdownStrict"):
        return o.failed(
            mode, "lockdownNormal or lockdownStrict", f"lockdown mode is {mode}: every account of the host may log in"
        )
    items = [
        o.item("lockdown exceptions", _within(texts(need(facts["lockdown"], "exceptions"), "exceptions"), admins)),
        o.item(
            "DCUI.Access",
            _within(texts(need(facts["lockdown"], "console_access"), "console_access"), [*admins, "root"]),
        ),
    ]
    return o.combine(items, empty=o.unknown("nothing was examined"), expected=admins)


def vsphere_timeouts(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`timeouts`: {option: number}, each between 1 and the gold value; `options`: an open shell is not hidden."""
    wanted = gold["gold_vsphere_timeouts"]
    limits = {name: TIMEOUT_LIMITS.get(name, 900) for name in wanted}
    faults = [f"{name} {value} is not between 1 and {limits[name]}" for name, value in wanted.items()
              if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limits[name]]  # fmt: skip
    if faults:
        return o.failed(None, wanted, "gold_vsphere_timeouts: " + "; ".join(faults))
    items = []
    for name, limit in wanted.items():
        found = facts["timeouts"].get(name)
        if not isinstance(found, (int, float)) or isinstance(found, bool):
            items.append(o.item(name, o.unknown(f"{name} was not read")))
        elif 1 <= found <= limit:
            items.append(o.item(name, o.passed(found, f"between 1 and {limit}")))
        else:
            off = " (switched off)" if found == 0 else ""
            items.append(
                o.item(
                    name,
                    o.failed(
                        found, f"between 1 and {limit}", f"{name} is {found}{off}, expected between 1 and {limit}"
                    ),
                )
            )
    hidden = need(facts["options"], "UserVars.SuppressShellWarning", what="advanced option")
    shown = o.passed(hidden, 0) if hidden == 0 else o.failed(hidden, 0, "the warning of an open shell is suppressed")
    items.append(o.item("SuppressShellWarning", shown))
    return o.combine(items, empty=o.unknown("no option was examined"), expected=wanted)


def hyperv_administrator_denied(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """`builtin`: {enabled, deny_network, deny_remote_desktop} of the account with RID 500."""
    builtin = facts["builtin"]
    if need(builtin, "enabled") is False:
        return o.passed({"enabled": False}, "disabled, or refused over the network and Remote Desktop")
    expected = "disabled, or refused over the network and Remote Desktop"
    rights = {key: need(builtin, key) for key in ("deny_network", "deny_remote_desktop")}
    open_ways = [key for key, value in rights.items() if value is not True]
    if open_ways:
        return o.failed(
            {**rights, "enabled": True},
            expected,
            f"the built-in Administrator is enabled without {' and '.join(open_ways)}",
        )
    return o.passed({**rights, "enabled": True}, expected)


def principals_named(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`principals`: [names] who may log in from elsewhere; all of them are named administrators."""
    admins = [str(name) for name in gold["gold_remote_admins"]]
    if not admins:
        return o.failed(
            None, "named administrators", "gold_remote_admins is empty: nobody is authorised to log in from elsewhere"
        )
    found = texts(facts["principals"], "principals")
    if not found:
        raise MissingFact("no principal was read")
    return _within(found, admins)


def hyperv_hardening(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`winrm`: {AllowUnencrypted, Basic, CredSSP, TrustedHosts, rdp_nla, rdp_security_layer, rdp_min_encryption}."""
    wanted = gold["gold_winrm_settings"]
    faults = [f"{name} has to be {value!r}" for name, value in WINRM_EQUAL.items() if wanted.get(name) != value]
    faults += [
        f"{name} has to be at least {value}"
        for name, value in WINRM_AT_LEAST.items()
        if not _at_least(wanted.get(name), value)
    ]
    if faults:
        return o.failed(None, wanted, "gold_winrm_settings: " + "; ".join(faults))
    items = []
    for name in (*WINRM_EQUAL, *WINRM_AT_LEAST):
        found = facts["winrm"].get(name)
        good = found == wanted[name] if name in WINRM_EQUAL else _at_least(found, wanted[name])
        if found is None or isinstance(found, (list, dict)):
            items.append(o.item(name, o.unknown(f"{name} was not read")))
        elif good:
            items.append(o.item(name, o.passed(found, wanted[name])))
        else:
            items.append(o.item(name, o.failed(found, wanted[name], f"{name} is {found!r}, expected {wanted[name]!r}")))
    return o.combine(items, empty=o.unknown("nothing was examined"), expected=wanted)


def _at_least(found: Any, wanted: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and found >= wanted


def _on_off(value: Any) -> Any:
    """YAML turns an unquoted on and off into a truth value."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def _within(found: list[str], allowed: list[str]) -> Outcome:
    known = {name.lower() for name in allowed}
    extra = [name for name in found if name.lower() not in known]
    if extra:
        return o.failed(extra, allowed, f"{', '.join(extra[:10])} is not a named administrator")
    return o.passed(found, allowed)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "services_declared": services_declared,
    "vsphere_root_denied": vsphere_root_denied,
    "vsphere_allow_list": vsphere_allow_list,
    "vsphere_timeouts": vsphere_timeouts,
    "hyperv_administrator_denied": hyperv_administrator_denied,
    "principals_named": principals_named,
    "hyperv_hardening": hyperv_hardening,
}
