# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that tests of several plugin kinds share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import load

CASES = Path(__file__).parents[1] / "checks" / "cases" / "11.4.6.yml"


@pytest.fixture
def root_may_log_in():
    """Facts on which kvm-11.4.6-ssh-root fails: its own first failing case, which the check's author keeps."""
    checks = {entry["check"]: entry["cases"] for entry in load(CASES)}
    facts = next(case["facts"] for case in checks["kvm-11.4.6-ssh-root"] if case["expect"] == "fail")
    return {**facts, "host": {"name": "what-it-calls-itself", "platform": "kvm", "product": "Debian GNU/Linux 12"}}
