# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sudoers as sudo reads it (compared with `cvtsudoers -e` of sudo 1.9.13), and what `sudo -l -U` prints."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import sudoers
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import sudo
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

BASE = {
    "/proc/sys/kernel/hostname": "kvm1.corp.example\n",
    "/etc/passwd": "root:x:0:0::/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "/etc/group": "root:x:0:\nsudo:x:27:alice\nalice:x:1000:\n",
    "/etc/nsswitch.conf": "passwd: files sss\nsudoers: files sss [NOTFOUND=return]\n",
}
VERSION = {"sudo -V": (0, "Sudo version 1.9.13p3\nSudoers policy plugin version 1.9.13p3\n", "")}
LISTED = """Matching Defaults entries for alice on kvm1:
    env_reset, use_pty

User alice may run the following commands on kvm1:
    (ALL : ALL) NOPASSWD: ALL
    (root) /usr/bin/less, NOEXEC: /usr/bin/man
"""


def tree(text, **files):
    return sudoers.read_tree(FakeHost(files={"/etc/sudoers": text, "/proc/sys/kernel/hostname": "kvm1\n", **files}))


def brief(rule):
    return rule["users"], rule["hosts"], rule["runas"], rule["nopasswd"], rule["commands"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("root ALL=(ALL:ALL) ALL", (["root"], ["ALL"], ["ALL"], False, ["ALL"])),
        ("%sudo\tALL=(ALL:ALL) NOPASSWD:ALL", (["%sudo"], ["ALL"], ["ALL"], True, ["ALL"])),
        (r"%domain\ admins ALL=ALL", (["%domain admins"], ["ALL"], ["root"], False, ["ALL"])),
        ('"domain user" ALL = ALL', (["domain user"], ["ALL"], ["root"], False, ["ALL"])),
        ("alice, !bob ALL = /bin/a, /bin/b", (["alice", "!bob"], ["ALL"], ["root"], False, ["/bin/a", "/bin/b"])),
        ("#1000 ALL = /bin/true", (["#1000"], ["ALL"], ["root"], False, ["/bin/true"])),
        ("bob ALL = sha256:Abc= /bin/x", (["bob"], ["ALL"], ["root"], False, ["/bin/x"])),
        (r"bob ALL = /bin/x a\,b\:c", (["bob"], ["ALL"], ["root"], False, ["/bin/x a,b:c"])),
        ("bob ALL = CWD=/tmp TIMEOUT=5 /bin/x", (["bob"], ["ALL"], ["root"], False, ["/bin/x"])),
        ("bob ALL = ALL # everything", (["bob"], ["ALL"], ["root"], False, ["ALL"])),
        ("bob \\\n ALL = \\\n ALL", (["bob"], ["ALL"], ["root"], False, ["ALL"])),
    ],
)
def test_one_rule(line, expected):
    found = tree(line + "\n")
    assert [brief(rule) for rule in found.rules] == [expected]
    assert found.unparsed == []


def test_tags_hold_until_changed_and_a_colon_begins_another_host():
    rules = tree("bob k1 = (www) NOPASSWD: /bin/a, PASSWD: /bin/b, NOEXEC:SETENV: /bin/c : k2 = /bin/d\n").rules
    assert [(r["hosts"], r["runas"], r["nopasswd"], r["noexec"], r["setenv"], r["commands"]) for r in rules] == [
        (["k1"], ["www"], True, False, False, ["/bin/a"]),
        (["k1"], ["www"], False, False, False, ["/bin/b"]),
        (["k1"], ["www"], False, True, True, ["/bin/c"]),
        (["k2"], ["root"], False, False, False, ["/bin/d"]),
    ]


def test_aliases_are_expanded_and_negations_turned_over():
    rules = tree(
        "User_Alias OPS = oscar, ADMINS : ADMINS = alice, %wheel\nCmnd_Alias SH = /bin/sh, !/usr/bin/su\n"
        "Runas_Alias R = root, #0\n"
        "OPS ALL = (R) ALL, !SH\n"
    ).rules
    assert brief(rules[0]) == (
        ["oscar", "alice", "%wheel"], ["ALL"], ["root", "#0"], False, ["ALL", "!/bin/sh", "/usr/bin/su"],
    )  # fmt: skip


def test_includes():
    found = tree(
        "@includedir /etc/sudoers.d\n#include sudoers.%h\n#includedir /etc/none.d\n",
        **{
            "/etc/sudoers.d/10-a": "zoe ALL = ALL\n",
            "/etc/sudoers.d/b.bak": "mallory ALL = ALL\n",
            "/etc/sudoers.d/c~": "mallory ALL = ALL\n",
            "/etc/sudoers.kvm1": "kim ALL = ALL\n",
        },
    )
    assert [rule["users"] for rule in found.rules] == [["zoe"], ["kim"]]
    assert found.files == ["/etc/sudoers", "/etc/sudoers.d/10-a", "/etc/sudoers.kvm1"]
    assert found.unparsed == []


@pytest.mark.parametrize(
    "text", ["bob ALL\n", "bob\n", "bob ALL =\n", "User_Alias = x\n", "@include /etc/none\n", "Defaults =x\n"]
)
def test_what_is_not_understood_is_listed(text):
    assert len(tree("root ALL=ALL\n" + text).unparsed) == 1


def test_an_include_that_never_ends():
    assert any("too many includes" in line for line in tree("@include /etc/sudoers\n").unparsed)


def test_defaults():
    found = tree(
        'Defaults !authenticate, timestamp_timeout=5\nDefaults:alice,%ops targetpw\nDefaults secure_path="/a:/b"\n'
    ).defaults
    assert [(d["scope"], d["of"], d["name"], d["value"]) for d in found] == [
        ("all", [], "authenticate", False),
        ("all", [], "timestamp_timeout", "5"),
        ("user", ["alice", "%ops"], "targetpw", True),
        ("all", [], "secure_path", "/a:/b"),
    ]


def collect(sudoers_text, commands, uid=0):
    notes = []
    host = FakeHost(files={**BASE, "/etc/sudoers": sudoers_text}, commands={**VERSION, **commands}, uid=uid)
    return sudo.PART.collect(host, lambda path, reason: notes.append((path, reason)))["sudo"], notes


def test_part():
    facts, notes = collect("%sudo ALL=(ALL:ALL) ALL\nbob kvm2 = ALL\n", {
        "sudo -n -l -U alice": (0, LISTED, ""),
        "sudo -n -l -U bob": (0, "User bob is not allowed to run sudo on kvm1.\n", ""),
    })  # fmt: skip
    assert facts["version"] == "1.9.13p3"
    assert facts["sources"] == ["files", "sss"]
    assert [rule["applies"] for rule in facts["rules"]] == [True, False]
    assert [(g["runas"], g["nopasswd"], g["noexec"], g["commands"]) for g in facts["effective"]["alice"]] == [
        (["ALL"], True, False, ["ALL"]),
        (["root"], False, False, ["/usr/bin/less"]),
        (["root"], False, True, ["/usr/bin/man"]),
    ]
    assert facts["effective"]["bob"] == []
    assert notes == []


def test_groups_of_the_directory_are_looked_up():
    answers = {
        "getent group domain admins": (0, "domain admins:*:70000:dana,dora\n", ""),
        "getent group empty": (2, "", ""),
    }
    listing = {f"sudo -n -l -U {name}": (1, "", f"sudo: unknown user: {name}\n") for name in ("alice", "dana", "dora")}
    facts, notes = collect("%domain\\ admins ALL=ALL\n%empty ALL=ALL\n", {**answers, **listing})
    assert facts["groups"] == {"domain admins": ["dana", "dora"], "empty": []}
    assert set(facts["effective"]) == {"alice", "dana", "dora"}
    assert notes == []


def test_an_answer_in_another_language_is_noted():
    facts, notes = collect(
        "root ALL=ALL\n", {"sudo -n -l -U alice": (0, "Der Benutzer alice darf Folgendes ausfuehren\n", "")}
    )
    assert "alice" not in facts["effective"]
    assert notes[0][0] == "sudo.effective"


def test_without_root_the_part_fails_as_a_whole():
    files = {**BASE, "/etc/sudoers": Unreadable("/etc/sudoers: Permission denied")}
    with pytest.raises(Unreadable):
        sudo.PART.collect(FakeHost(files=files, commands=VERSION, uid=1000), lambda *_: None)


def test_no_sudo():
    assert sudo.PART.collect(FakeHost(files=BASE), lambda *_: None)["sudo"]["installed"] is False
