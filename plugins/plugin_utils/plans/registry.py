# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check that can be enforced, and the function that plans it. Its id says of which platform it is."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import (
    access_control,
    admin_network,
    config_drift,
    device_isolation,
    driver_signing,
    firewall,
    guest_protection,
    identity,
    image_library,
    logging,
    mfa,
    patching,
    platform_assurance,
    remote_access,
    resource_governance,
    vsphere_access_control,
    vsphere_admin_network,
    vsphere_device_isolation,
    vsphere_driver_signing,
    vsphere_firewall,
    vsphere_identity,
    vsphere_image_library,
    vsphere_logging,
    vsphere_mfa,
    vsphere_platform,
    vsphere_remote_access,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner

_MODULES = (
    access_control,
    admin_network,
    config_drift,
    device_isolation,
    driver_signing,
    firewall,
    guest_protection,
    identity,
    image_library,
    logging,
    mfa,
    patching,
    platform_assurance,
    remote_access,
    resource_governance,
    vsphere_access_control,
    vsphere_admin_network,
    vsphere_device_isolation,
    vsphere_driver_signing,
    vsphere_firewall,
    vsphere_identity,
    vsphere_image_library,
    vsphere_logging,
    vsphere_mfa,
    vsphere_platform,
    vsphere_remote_access,
)

PLANS: dict[str, Planner] = {check: planner for module in _MODULES for check, planner in module.PLANS.items()}
