# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every named predicate a measure file may use as `test`.

A predicate is `def name(facts: dict, gold: dict) -> Outcome`: `facts` holds exactly the facts the check names (never
null
unless its path ends in `?`), `gold` the effective values of the gold settings it names. It raises MissingFact for a
null
inside; anything else it raises is reported as `unknown` by the engine, never as a verdict.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome

Predicate = Callable[[dict[str, Any], dict[str, Any]], Outcome]

SHARED = (
    "access", "drivers", "logging", "mfa", "network", "patching", "platform", "remote_access", "storage", "vms",
)  # fmt: skip
OF_PLATFORM = {
    "vsphere": (
        "access", "capacity", "firewall", "library", "logging", "network", "platform", "privileges", "roles", "vms",
    ),
}  # fmt: skip


@lru_cache(maxsize=None)
def predicates(platform: str) -> dict[str, Predicate]:
    """{name: predicate} of the checks of a platform. A platform's own are read only where one of its checks is judged:
    Python compiles a collection's files in every run."""
    names = [*SHARED, *(f"{platform}.{name}" for name in OF_PLATFORM.get(platform, ()))]
    modules = [importlib.import_module(f"{__package__}.{name}") for name in names]
    return {name: test for module in modules for name, test in module.PREDICATES.items()}
