# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of single areas, keys of the variable hypervisor_options: what an operator allows in one run.

They are no gold settings: what they allow is about the run, and an audit judges the same with and without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest


@dataclass(frozen=True)
class RunOption:
    """One option: Ansible's type and type of elements, default, and the area whose planners read it; no area is the
    run as a whole, once its areas are set."""

    area: str
    type: str
    default: Any
    description: str
    elements: str = ""
    secret: bool = False

    @property
    def documented(self) -> dict[str, Any]:
        """Type, default and type of elements, as documentation has them."""
        spec = {"type": self.type, "default": self.default}
        return {**spec, "elements": self.elements} if self.elements else spec

    @property
    def spec(self) -> dict[str, Any]:
        """As an argument spec has it."""
        return {**self.documented, "no_log": True} if self.secret else self.documented


OPTIONS: dict[str, RunOption] = {
    "appliance_console_confirmed": RunOption(
        area="admin_network",
        type="bool",
        default=False,
        description="Limit who reaches a vCenter (11.4.2) by the firewall of its appliance. A list that leaves "
        "somebody out can be put right at the appliance's console only, so confirm that it can be reached.",
    ),
    "console_confirmed": RunOption(
        area="access_control",
        type="bool",
        default=False,
        description="Put ESXi hosts into strict lockdown mode where C(gold_lockdown_mode) asks for it. It stops their "
        "console: a host that loses its vCenter then has to be installed anew.",
    ),
    "directory_account": RunOption(
        area="identity",
        type="str",
        default="",
        description="Account of the directory that may join hosts to C(gold_directory_domain), as user@domain. With "
        "it, ESXi hosts are joined where C(gold_vsphere_directory_mode) is V(ad).",
    ),
    "directory_password": RunOption(
        area="identity",
        type="str",
        default="",
        description="The password of C(directory_account). Keep it in a vault; the collection keeps it nowhere.",
        secret=True,
    ),
    "install_updates": RunOption(
        area="patching",
        type="bool",
        default=False,
        description="Install the security updates that wait, but for what is on hold and what running machines hang "
        "on. Otherwise they are listed for a person.",
    ),
    "live_vm_changes": RunOption(
        area="resource_governance",
        type="bool",
        default=False,
        description="Set the limits of 11.3.4 and 11.3.10, on vSphere of 11.3.2 too, on running machines as well, of "
        "those that C(hypervisor_allow_vm_changes) names.",
    ),
    "log_authority_present": RunOption(
        area="logging",
        type="bool",
        default=False,
        description="The authority of the log servers' certificates is in the store of every ESXi host. Without it, a "
        "host that is told to check certificates stops sending logs silently, so targets and checking stay as they "
        "are.",
    ),
    "migration_peers_ready": RunOption(
        area="image_library",
        type="list",
        elements="str",
        default=[],
        description="Those of C(gold_migration_peers) to and from which a migration over TLS was seen to work. TLS is "
        "forced once all of them are named.",
    ),
    "recovery_keys_stored": RunOption(
        area="platform_assurance",
        type="bool",
        default=False,
        description="The recovery key of every ESXi host is stored off the host. Without it, a host that requires "
        "secure boot and has its board or TPM changed has to be installed anew, so nothing is required.",
    ),
    "restart_esxi_hosts": RunOption(
        area="",
        type="bool",
        default=False,
        description="Restart the ESXi hosts that wait for it, once all areas are set: in maintenance mode, one at a "
        "time in a cluster, where their machines move away by themselves and admission control holds without them. No "
        "host of another platform is restarted.",
    ),
    "standby_uplinks": RunOption(
        area="network_resilience",
        type="bool",
        default=False,
        description="Give port groups of standard switches the adapters of their switch that they leave unused, as "
        "standby. The physical switches have to carry the VLANs of the port group on them.",
    ),
    "vpxuser_shell_off": RunOption(
        area="access_control",
        type="bool",
        default=False,
        description="Take the shell from vpxuser, as whom vCenter comes to an ESXi host. Neither vCenter nor a revert "
        "can give an account a shell afterwards.",
    ),
}
SPEC: dict[str, dict[str, Any]] = {name: option.spec for name, option in OPTIONS.items()}


def of_area(area: str) -> dict[str, RunOption]:
    """The options that the planners of one area read."""
    return {name: option for name, option in OPTIONS.items() if option.area == area}


def check_names(given: Any) -> None:
    """Refuse a name no area reads: its writer would believe that it holds.

    :raises ValueError: with the name, the nearest valid one, and all there are.
    """
    if not isinstance(given, Mapping):
        return
    for key in given:
        if key not in OPTIONS:
            hint = nearest(key, OPTIONS)
            known = ", ".join(f"{name} ({about.area or 'all'}, {about.type})" for name, about in OPTIONS.items())
            raise ValueError(
                f"hypervisor_options has {str(key)!r}, which no area reads"
                + (f"; did you mean {hint}?" if hint else ".")
                + f" Options: {known}."
            )
