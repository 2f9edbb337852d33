# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of row there is, those of ESXi hosts and those of a vCenter, in the order in which they are written."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import (
    alarm,
    appliance_settings,
    authorization,
    controller_options,
    host,
    shared,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kind import Kind

# Permissions before roles: who is granted something of his own loses nothing when the role that he shared is cut.
CONTROLLER_KINDS = {
    "controller_option": Kind("%s", (), controller_options.option, controller_options.set_options, together="settings"),
    "alarm": Kind("alarm %s", (), alarm.current, alarm.put, shown=alarm.shown),
    "log_forwarding": Kind("log servers", (), appliance_settings.forwarding, appliance_settings.set_forwarding),
    "library_policy": Kind(
        "security policy of library %s", (), appliance_settings.library_policy, appliance_settings.set_library_policy
    ),
    "admission_control": Kind("admission control of cluster %s", (), shared.admission, shared.set_admission),
    "network_control": Kind("network I/O control of switch %s", (), shared.network_control, shared.set_network_control),
    "distributed_security": Kind("security policy of port group %s", (), shared.security, shared.set_security),
    "distributed_vlan": Kind(
        "VLAN of port group %s",
        (),
        shared.vlan,
        shared.set_vlan,
        shown=lambda found: "that of its switch" if found is None else found,
    ),
    "permission": Kind("permission of %s", (), authorization.permission, authorization.set_permissions),
    "role": Kind("role %s", (), authorization.grants, authorization.set_grants),
    "appliance_firewall": Kind(
        "firewall of the appliance", (), appliance_settings.firewall, appliance_settings.set_firewall
    ),
}
# With these, whoever changes them can cut himself, or a host, off, whatever risk a check states.
CUTTING_OFF = frozenset(("permission", "role", "appliance_firewall", "portgroup_vlan", "distributed_vlan"))
KINDS = {**host.KINDS, **CONTROLLER_KINDS}
