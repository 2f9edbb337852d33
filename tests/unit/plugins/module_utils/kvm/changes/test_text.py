# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of configuration files: what was asked for changes, every other byte stays."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.text import edit_keys, edit_lines

QEMU = '# user = "root"\nuser = "root"\ncgroup_device_acl = [\n    "/dev/null",\n    "/dev/full"\n]\nmax_core = 0\n'


@pytest.mark.parametrize(
    ("text", "values", "syntax", "section", "wanted", "changed"),
    [
        ("", {"Port": "22"}, "sshd", "", "Port 22\n", {"Port": [None, "22"]}),
        ("port 22\n", {"Port": "22"}, "sshd", "", "port 22\n", {}),
        ("Port=23\n", {"Port": "22"}, "sshd", "", "Port 22\n", {"Port": ["23", "22"]}),
        # The first value wins; a later one must not come back when the first goes.
        ("X yes\n#c\nX no\n", {"X": "yes"}, "sshd", "", "X yes\n#c\n", {"X": ["yes (several times)", "yes"]}),
        ("A 1\nMatch all\nB 2\n", {"C": "3"}, "sshd", "", "A 1\nC 3\nMatch all\nB 2\n", {"C": [None, "3"]}),
        ("A 1\n", {"B": "2"}, "sshd", "Match all", "A 1\nMatch all\nB 2\n", {"B": [None, "2"]}),
        ("match  ALL\nB 1\n\nMatch User x\nB 9\n", {"B": "2"}, "sshd", "Match all",
         "match  ALL\nB 2\n\nMatch User x\nB 9\n", {"B": ["1", "2"]}),
        ("Match User x\nB 9\n", {"B": None}, "sshd", "", "Match User x\nB 9\n", {}),
        (QEMU, {"user": '"libvirt-qemu"'}, "libvirt", "", QEMU.replace('\nuser = "root"', '\nuser = "libvirt-qemu"'),
         {"user": ['"root"', '"libvirt-qemu"']}),
        (QEMU, {"cgroup_device_acl": None}, "libvirt", "", '# user = "root"\nuser = "root"\nmax_core = 0\n',
         {"cgroup_device_acl": ['[ "/dev/null", "/dev/full" ]', None]}),
        ("a = 1", {"b": "2"}, "libvirt", "", "a = 1\nb = 2\n", {"b": [None, "2"]}),
        ("[one]\na = 1\n\n[two]\na = 2\n", {"a": "3"}, "ini", "one", "[one]\na = 3\n\n[two]\na = 2\n",
         {"a": ["1", "3"]}),
        ("[one]\n\n[two]\n", {"a": "3"}, "ini", "one", "[one]\na = 3\n\n[two]\n", {"a": [None, "3"]}),
        ("A=1\nB=2\n", {"A": None, "B": "2"}, "equals", "", "B=2\n", {"A": ["1", None]}),
    ],
)  # fmt: skip
def test_edit_keys(text, values, syntax, section, wanted, changed):
    assert edit_keys(text, values, syntax, section) == (wanted, changed)
    assert edit_keys(wanted, values, syntax, section) == (wanted, {})


@pytest.mark.parametrize(
    ("text", "present", "absent", "wanted", "changed"),
    [
        ("a\nb\n", [], ["^b$"], "a\n", [["b", None]]),
        ("a\nb\n", [{"line": "x", "before": "^b"}], [], "a\nx\nb\n", [[None, "x"]]),
        ("a\nb\na\n", [{"line": "x", "after": "^a"}], [], "a\nb\na\nx\n", [[None, "x"]]),
        ("a 1\nb\n", [{"line": "a 2", "match": "^a "}], [], "a 2\nb\n", [["a 1", "a 2"]]),
        ("b\n", [{"line": "a 2", "match": "^a ", "before": "^b"}], [], "a 2\nb\n", [[None, "a 2"]]),
        ("b", [{"line": "c"}], [], "b\nc\n", [[None, "c"]]),
        ("b\n", [{"line": "b"}], [], "b\n", []),
    ],
)
def test_edit_lines(text, present, absent, wanted, changed):
    assert edit_lines(text, present, absent) == (wanted, changed)
    assert edit_lines(wanted, present, absent) == (wanted, [])
