# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument spec and README of the roles that enforce: what each sets, with which settings, and what it risks."""

from __future__ import annotations

import json
from typing import Any

from markdown_text import plain, table

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal, run_options
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import GoldSetting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard

# area: (the first line of its README)
AREAS = {
    "logging": "Logs leave the host, are complete, and cannot be altered by those they are about",
    "identity": "Accounts come from the enterprise directory, and its filter names who may log in",
    "access_control": "Who may do what with which virtual machines, who may become root, and when sessions end",
    "remote_access": "Who may reach the host from elsewhere, and over what",
    "mfa": "Two factors on every path an administrator can take",
    "admin_network": "Management answers the administration network only",
    "firewall": "The packet filter lets through only what enabled services need",
    "device_isolation": "Guests' processes are confined and reach their own devices only",
    "image_library": "Who may reach images, and how they travel",
    "resource_governance": "No guest takes what the others need",
    "guest_protection": "Guests cannot spoof, and signatures on the host are current",
    "network_resilience": "Behind every guest stand several working adapters",
    "config_drift": "Changes of the configuration are noticed",
    "patching": "Security updates are installed where the operator allows it",
    "platform_assurance": "The host is a hypervisor and nothing else, started the way it should be",
    "driver_signing": "The kernel loads signed modules only",
}
RUN_VARIABLES: dict[str, dict[str, Any]] = {
    "hypervisor_platform": {
        "type": "str",
        "required": True,
        "choices": ["kvm"],
        "description": "What the host is; V(vsphere) is a vCenter, or an ESXi host without one.",
    },
    "hypervisor_enforce": {
        "type": "str",
        "choices": ["drift", "always"],
        "default": "drift",
        "description": "V(drift) sets what the audit finds failing; V(always) also what passes with another value.",
    },
    "hypervisor_measures": {
        "type": "list",
        "elements": "str",
        "description": "Ids of the measures to enforce, for example V(11.4.6). All when not given.",
    },
    "hypervisor_exceptions_file": {
        "type": "path",
        "description": "Register of exceptions on the controller. What is excepted is not enforced.",
    },
    "hypervisor_allowed_signers": {
        "type": "path",
        "description": "File of the keys that may sign the register, as ssh-keygen reads it.",
    },
    "hypervisor_run_id": {
        "type": "str",
        "description": "Name of the run, kept with each change. The UTC time when not given.",
    },
    "hypervisor_rollback_seconds": {
        "type": "int",
        "default": 180,
        "description": "After this time the host takes back a change that could lock somebody out and was not "
        "confirmed; of platform V(vsphere), the controller puts the old values back.",
    },
    "hypervisor_allow_vm_changes": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "UUIDs of the virtual machines whose stored definition may be changed. None by default.",
    },
    "hypervisor_allow_orchestrated": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Areas that may be enforced although an orchestrator (oVirt, OpenStack, Proxmox VE, Pacemaker, "
        "KubeVirt) runs on the host.",
    },
    "hypervisor_libvirt_uri": {
        "type": "str",
        "default": "qemu:///system",
        "description": "Where libvirt is asked on the host.",
    },
    "hypervisor_time_limit": {
        "type": "int",
        "default": 60,
        "description": "Seconds for the collection on the host; of platform V(vsphere), for one call to the server.",
    },
}
# Read for hosts of platform vsphere only.
VSPHERE_VARIABLES: dict[str, dict[str, Any]] = {
    "hypervisor_esxi_hosts": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "Names of the ESXi hosts to change, or patterns of them (V(esx1-*)). All when not given; "
        "otherwise the vCenter and what hosts share stay as they are.",
    },
    "hypervisor_state_dir": {
        "type": "path",
        "default": "hypervisor-state",
        "description": "Directory on the controller in which old values of ESXi hosts are kept before a change.",
    },
    "hypervisor_port": {"type": "int", "default": 443, "description": "The port of the vSphere API."},
    "hypervisor_validate_certs": {
        "type": "bool",
        "default": True,
        "description": "Whether the certificate has to be signed by a known authority and name the host.",
    },
    "hypervisor_ca_file": {
        "type": "path",
        "description": "PEM file of the authorities to trust, on the controller. The system's own when not given.",
    },
    "hypervisor_certificate_sha256": {
        "type": "str",
        "description": "SHA-256 fingerprint of the one certificate to accept, whoever signed it.",
    },
}
# Settings a planner reads besides those its checks are judged by: who has to stay able to get in, and what to set up.
PLANNED_WITH = {
    "driver_signing": ("gold_allowed_out_of_tree",),
    "firewall": ("gold_time_servers",),
    "identity": ("gold_breakglass_accounts",),
    "logging": ("gold_config_watch_paths", "gold_log_port", "gold_time_servers"),
    "admin_network": ("gold_mgmt_cidrs",),
    "access_control": ("gold_vsphere_timeouts",),
    "remote_access": ("gold_migration_transport", "gold_lockout_attempts"),
    "mfa": (
        "gold_mfa_variant",
        "gold_mfa_pam_factor",
        "gold_mfa_enrolled",
        "gold_hypervisor_admins",
        "gold_hypervisor_operators",
        "gold_remote_admins",
        "gold_automation_accounts",
        "gold_breakglass_accounts",
        "gold_authorised_accounts",
        "gold_remote_protocols",
        "gold_ssh_key_algorithms",
    ),
}
WAITS = {"reboot": "restart of the host", "maintenance": "maintenance", "vm_power": "power cycle of machines"}


def specs(standard: Standard) -> dict[str, dict[str, Any]]:
    """{role: the document of meta/argument_specs.yml}."""
    return {area: _spec(standard, area) for area in AREAS}


def _platforms(standard: Standard, area: str) -> list[str]:
    return [platform for platform in proposal.PLATFORMS if area in proposal.areas(standard, platform)]


def _spec(standard: Standard, area: str) -> dict[str, Any]:
    checks, platforms = _checks(standard, area), _platforms(standard, area)
    where: dict[str, list[str]] = {}
    for platform in platforms:
        measures = ", ".join(dict.fromkeys(check.measure for check in checks if check.platform == platform))
        where.setdefault(measures, []).append(proposal.PLATFORMS[platform])
    what = [f"{measures} on {' and '.join(names)}" for measures, names in where.items()]
    options = {**RUN_VARIABLES, **(VSPHERE_VARIABLES if "vsphere" in platforms else {}), **_run_options(area)}
    options["hypervisor_platform"] = {**options["hypervisor_platform"], "choices": platforms}
    options[f"{area}_checks"] = {
        "type": "list",
        "elements": "str",
        "description": "Ids of the checks to enforce. All of the role's when not given.",
    }
    judged = [name for check in checks for name in check.gold]
    for name in dict.fromkeys([*judged, *PLANNED_WITH.get(area, ())]):
        options[name] = _gold_option(standard.gold[name])
    return {
        "argument_specs": {
            "main": {
                "short_description": AREAS[area],
                "description": [
                    f"Enforces {', and '.join(what)}. Reads the host, sets what fails, changes nothing that passes.",
                    "Can be used alone: what the settings below do not name is left as it is. Everything a change "
                    "replaces is kept, on a KVM host itself and for an ESXi host on the controller; "
                    "dwp.hypervisor.revert takes it back.",
                ],
                "options": options,
            }
        }
    }


def _run_options(area: str) -> dict[str, Any]:
    """The variable hypervisor_options, for a role that reads some of it.

    Its keys are not part of the spec: ansible-core would refuse those of other roles, which one run enforces too.
    """
    found = run_options.of_area(area)
    words = [
        f"C({name}) ({option.type}{f' of {option.elements}' if option.elements else ''}, "
        f"V({json.dumps(option.default)}) when not given) - {option.description}"
        for name, option in found.items()
    ]
    about = "What this run is allowed to. A name that no role of the collection reads is refused. This role reads:"
    return {"hypervisor_options": {"type": "dict", "default": {}, "description": [about, *words]}} if found else {}


def _gold_option(setting: GoldSetting) -> dict[str, Any]:
    option: dict[str, Any] = {"type": setting.type}
    if setting.elements:
        option["elements"] = setting.elements
    if setting.choices:
        option["choices"] = list(setting.choices)
    # A setting may name another, which need not be an option of this role.
    words = " ".join(setting.description.split()).replace("O(", "C(")
    return {**option, "default": setting.default, "description": words}


def _checks(standard: Standard, area: str) -> list[Check]:
    return [
        standard.checks[check]
        for platform in _platforms(standard, area)
        for check in proposal.area_checks(standard, area, platform)
    ]


def what_is_set(standard: Standard, role: str) -> list[str]:
    """The README's table of what an enforcing role sets; nothing for other roles."""
    if role not in AREAS:
        return []
    rows = [
        [
            f"[{check.measure}](../../docs/measures/{check.measure}.md)",
            f"`{check.id}`",
            plain(check.title),
            plain(str(check.setting or "")),
            ", ".join(words for key, words in WAITS.items() if check.disruption[key]) or "at once",
            str(check.disruption["lockout"]),
        ]
        for check in _checks(standard, role)
    ]
    head = ["measure", "check", "what is asked", "setting", "in force", "lock-out risk"]
    return [
        "",
        "## What it sets",
        "",
        "From lock-out risk 2 on, a KVM host takes a change back by itself unless a new connection has proved that two",
        "named administrators and a break-glass account can still get in; an ESXi host gets its old values back unless",
        "a new login and its connection to vCenter are proved ([how](../../docs/enforcement.md)).",
        "",
        *table(head, rows),
        "",
        "## Variables",
    ]


def enforced_elsewhere(standard: Standard) -> set[str]:
    """Checks that the standard's data calls enforced and no planner knows; a test wants it to be empty."""
    return {
        check.id
        for check in standard.checks.values()
        if check.platform in proposal.PLATFORMS
        and check.data.get("enforced")
        and check.id not in planners(check.platform)
    }
