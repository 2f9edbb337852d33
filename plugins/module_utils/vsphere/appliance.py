# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the vSphere Automation API (REST) of a vCenter tells."""

from __future__ import annotations


def fill(facts, session, inventory, fleet):
    """Put what the API tells."""
