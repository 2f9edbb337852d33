# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of remote access: who must not lose the way in, and what may not be closed yet."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.people_side import (
    account,
    by_hand,
    facts,
    plan_of,
)

ROOT, ALLOWED = "kvm-11.4.6-ssh-root", "kvm-11.4.6-ssh-allowlist"


def sets(rows):
    return [row["values"] for row in rows if row["kind"] == "keys"]


@pytest.mark.parametrize(
    ("transport", "keys", "refused"),
    [("ssh", True, False), ("ssh", None, False), ("ssh", False, True), ("tls", True, True), ("none", True, True)],
)
def test_root_keeps_the_way_by_which_machines_may_leave_the_host(transport, keys, refused):
    found = facts()
    account(found, "root", keys=keys)
    rows = plan_of(ROOT, found, {"gold_migration_transport": transport})
    assert sets(rows) == ([{"PermitRootLogin": "no"}] if refused else [])
    assert any("virtual machines migrate over ssh" in what for what in by_hand(rows)) is not refused


@pytest.mark.parametrize(
    ("check", "gold", "how", "text"),
    [
        (ROOT, {}, {"account": "root"}, "the controller logs in as root"),
        (ALLOWED, {"gold_remote_admins": []}, {}, "gold_remote_admins is empty"),
        (ALLOWED, {"gold_remote_admins": ["alice"]}, {}, "does not name ansible, the account this run logs in as"),
    ],
)
def test_what_would_lock_the_controller_out_is_refused(check, gold, how, text):
    with pytest.raises(Refusal, match=text):
        plan_of(check, facts(), gold, **how)
