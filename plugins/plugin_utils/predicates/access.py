# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on who may administer what (11.2.2 to 11.2.5, 11.4.1, 11.4.4), gathered from the files beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import (
    access_accounts,
    access_libvirt,
    access_sessions,
)

PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    **access_accounts.PREDICATES,
    **access_libvirt.PREDICATES,
    **access_sessions.PREDICATES,
}
