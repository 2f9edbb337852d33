# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons to refuse an area that lie with the host: who owns its settings, and who could still get in."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm.enforcement import refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

AREAS = proposal.areas(load_standard())
ROWS = ({**plan.access("/x", mode="0600"), "checks": ["c"]},)


def access(*orchestrators: str, able: bool = True) -> dict:
    """What the host says of itself and of its people."""
    why = "" if able else "its shell is /usr/sbin/nologin"
    people = [{"name": name, "why": why} for name in ("alice", "bob")]
    return {"orchestrators": list(orchestrators), "people": people, "break_glass": [{"name": "glass", "why": ""}],
            "guests": {}, "answering": [], "networks": [], "peers": {}}  # fmt: skip


@pytest.mark.parametrize("area", AREAS)
def test_an_orchestrated_host_is_left_to_its_owner_area_by_area(area):
    found = proposal.Proposal(area, ("c",), ROWS)
    told = refusal([], area, found, access("oVirt", "Pacemaker"))
    assert told.startswith("oVirt, Pacemaker runs on this host and owns its settings")
    assert f"add {area} to hypervisor_allow_orchestrated" in told
    others = [name for name in AREAS if name != area]
    assert refusal(others, area, found, access("oVirt")) == told.replace("oVirt, Pacemaker", "oVirt")
    assert refusal([area], area, found, access("oVirt")) == ""
    assert refusal([], area, found, access()) == ""


def test_an_owner_that_is_allowed_does_not_spare_the_proof_of_people():
    found = proposal.Proposal("remote_access", ("c",), ROWS, lockout=3)
    told = refusal(["remote_access"], "remote_access", found,
                                 access("oVirt", able=False))  # fmt: skip
    assert told.startswith("only 0 of at least 2 administrators")


def test_nothing_to_set_is_nothing_to_refuse():
    found = proposal.Proposal("remote_access", ())
    assert refusal([], "remote_access", found, None) == ""
