# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on multi-factor authentication (11.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome

PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {}
