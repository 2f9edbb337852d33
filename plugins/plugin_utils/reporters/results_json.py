# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.json: the run document itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import encode


def render(run: Mapping[str, Any]) -> bytes:
    """The run document as JSON.

    A line for each result, which the verification script can name. ASCII only, so that lone surrogates and
    bidirectional controls in a VM's name stay visible escapes in every reader.
    """
    return encode(run)
