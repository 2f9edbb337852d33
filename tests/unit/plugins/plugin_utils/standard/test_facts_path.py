# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import Errors, PathError, lookup, steps

FACTS = {"vms": [{"id": "u1", "label": None}], "boot": {"tpm": {"version": "2"}}}


def test_keys_and_indexes_are_followed():
    assert lookup(FACTS, "boot.tpm.version") == "2"
    assert lookup(FACTS, "vms[0].id") == "u1"
    assert steps("vms[0].id") == ("vms", 0, "id")


@pytest.mark.parametrize("path", ["boot.tpm.absent", "vms[3].id", "boot.tpm.version.deeper", "vms.id"])
def test_what_is_missing_is_none(path):
    assert lookup(FACTS, path) is None


@pytest.mark.parametrize(
    "path", ["vms[].label", "vms[*].id", "vms[?id=='u1']", "length(vms)", "boot | tpm", "{a: boot}"]
)
def test_what_could_turn_unknown_into_pass_is_refused(path):
    with pytest.raises(PathError):
        steps(path)


def test_an_error_counts_at_above_and_below_the_path():
    errors = Errors([{"path": "boot.tpm", "reason": "denied"}])
    assert errors.reason("boot.tpm") == "boot.tpm: denied"
    assert errors.reason("boot.tpm.version") == "boot.tpm: denied"
    assert errors.reason("boot") == "boot.tpm: denied"
    assert errors.reason("boot.tpmx") is None
    assert errors.reason("cpu") is None


def test_an_error_of_one_item_leaves_the_others_alone():
    errors = Errors([{"path": "vms[u1.x].security", "reason": "gone"}])
    assert errors.reason("vms.security.label", "u1.x") == "vms[u1.x].security: gone"
    assert errors.reason("vms.security.label", "u2") is None
    assert errors.reason("vms") is None
