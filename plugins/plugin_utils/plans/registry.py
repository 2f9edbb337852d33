# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check that can be enforced, and the function that plans it: <platform>/<area>.py has those of a role in PLANS.

A platform's are read only where it is enforced: Python compiles a collection's files in every run.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner

# The catalogue's order: logs before anything, accounts before the ways in, what needs a restart of the host last.
SAFE_ORDER = (
    "logging",
    "identity",
    "access_control",
    "remote_access",
    "mfa",
    "admin_network",
    "firewall",
    "device_isolation",
    "image_library",
    "resource_governance",
    "guest_protection",
    "config_drift",
    "network_resilience",
    "patching",
    "platform_assurance",
    "driver_signing",
)


@lru_cache(maxsize=None)
def planners(platform: str) -> dict[str, Planner]:
    """{check: planner} of a platform."""
    folder = Path(__file__).parent / platform
    names = [area for area in SAFE_ORDER if (folder / f"{area}.py").exists()]
    modules = [importlib.import_module(f"{__package__}.{platform}.{name}") for name in names]
    return {check: planner for module in modules for check, planner in module.PLANS.items()}
