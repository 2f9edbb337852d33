# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer rights give unknown, never another verdict."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.tests.integration.kvm import seen
from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost


def test_without_root_every_verdict_is_the_same_or_unknown(kvm_host: BootedHost) -> None:
    as_root = {result["check"]: result for result in kvm_host.audit()["results"]}
    seen.BOOTED.how = "audit without rights"
    try:
        document = kvm_host.audit(user="bob", become=False)
    finally:
        seen.BOOTED.how = "audit"
    wrong = [
        f"{result['check']}: {result['measured']} ({result['message']}), as root {as_root[result['check']]['measured']}"
        for result in document["results"]
        if result["measured"] not in ("unknown", as_root[result["check"]]["measured"])
    ]
    assert not wrong, "\n".join(wrong)
    unknown = [result for result in document["results"] if result["measured"] == "unknown"]
    assert unknown
    assert all(result["message"] for result in unknown), [r["check"] for r in unknown if not r["message"]]


def test_two_variants_are_told_apart_by_nothing_but_their_daemons(
    kvm_host: BootedHost, modular_host: BootedHost
) -> None:
    """A check that the monolithic host passes may not be unknown on the modular one: that would be a missing path."""
    monolithic = {result["check"]: result["measured"] for result in kvm_host.audit()["results"]}
    lost = [
        f"{result['check']}: {result['message']}"
        for result in modular_host.audit()["results"]
        if result["measured"] == "unknown" and monolithic[result["check"]] == "pass"
    ]
    assert not lost, "\n".join(lost)
