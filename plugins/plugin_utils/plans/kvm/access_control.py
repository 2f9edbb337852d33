# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every planner of the area access_control (11.2.2 to 11.2.5, 11.4.5), gathered from the files beside this one."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import (
    access_accounts,
    access_libvirt,
    access_sessions,
    access_sudo,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner

PLANS: dict[str, Planner] = {
    **access_accounts.PLANS,
    **access_libvirt.PLANS,
    **access_sessions.PLANS,
    **access_sudo.PLANS,
}
