# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall of a KVM host (11.4.9): what comes in, what is forwarded, what is sent. See docs/firewall.md."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import filter_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation


def default_drop(situation: Situation) -> list[Row]:
    """kvm-11.4.9-default-drop."""
    return filter_rows.rows(situation, "firewall", ["input", "forward"])


def allow_list(situation: Situation) -> list[Row]:
    """kvm-11.4.9-allowlist."""
    return filter_rows.rows(situation, "firewall", ["input"])


def egress(situation: Situation) -> list[Row]:
    """kvm-11.4.9-egress."""
    return filter_rows.rows(situation, "firewall", ["output"])


PLANS: dict[str, Planner] = {
    "kvm-11.4.9-default-drop": default_drop,
    "kvm-11.4.9-allowlist": allow_list,
    "kvm-11.4.9-egress": egress,
}
