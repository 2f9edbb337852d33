# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named entries of an access list, with a getfacl and setfacl that are made up."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import access_lists, engine
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan

ACL = """# file: /srv
# owner: root
user::rwx
user:alice:rwx\t#effective:r-x
user:libvirt-qemu:--x
group::--x
mask::r-x
other::--x
default:user::rwx
default:user:alice:rwx
default:group::--x
default:mask::rwx
default:other::--x
"""


@pytest.fixture
def calls(monkeypatch):
    made = []

    def succeed(argv, stdin=""):
        made.append(argv)
        return ACL if argv[0] == "getfacl" else ""

    monkeypatch.setattr(engine.World, "succeed", staticmethod(succeed))
    return made


def test_only_the_named_entries_go(calls, tmp_path):
    world = engine.World()
    row = plan.access_list(str(tmp_path), remove=["user:alice", "default:user:alice", "user:nobody"])
    changed = access_lists.access_list(row, world)
    assert changed == {
        "%s: user:alice" % tmp_path: ["rwx", None],
        "%s: default:user:alice" % tmp_path: ["rwx", None],
    }
    (step,) = world.steps
    step[1]()
    # The mask of what is left stays; nothing is left of the default list, so its mask goes.
    assert calls[-1][:2] == ["setfacl", "--no-mask"]
    assert [word for word in calls[-1] if word not in ("--remove",)][2:-2] == [
        "user:alice",
        "default:user:alice",
        "default:mask",
    ]


def test_a_second_run_finds_nothing(calls, tmp_path):
    world = engine.World()
    assert access_lists.access_list(plan.access_list(str(tmp_path), remove=["user:bob"]), world) == {}
    assert world.steps == []


def test_what_is_not_there_has_no_access_list(calls, tmp_path):
    row = plan.access_list(str(tmp_path / "gone"), remove=["user:alice"])
    assert access_lists.access_list(row, engine.World()) == {} and calls == []
