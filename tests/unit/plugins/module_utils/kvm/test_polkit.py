# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""polkit: what a rule file can answer, read from its text alone; the order of files; whether they are in force."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import polkit_rules, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import polkit
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

MANAGE = "org.libvirt.unix.manage"


def rule(body, names="action, subject"):
    return "polkit.addRule(function(%s) {\n%s\n});\n" % (names, body)


def one(text):
    found = polkit_rules.javascript(text)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f'action.id == "{MANAGE}"', {"actions": [MANAGE]}),
        (f"'{MANAGE}' === action.id", {"actions": [MANAGE]}),
        ('action.id.indexOf("org.libvirt.api.") == 0', {"actions": ["org.libvirt.api.*"]}),
        ('action.id.startsWith("org.libvirt.")', {"actions": ["org.libvirt.*"]}),
        (r"action.id.match(/^org\.libvirt\.api\./)", {"actions": ["org.libvirt.api.*"]}),
        (r"/^org\.libvirt\.api\.domain\.start$/.test(action.id)", {"actions": ["org.libvirt.api.domain.start"]}),
        ('["org.libvirt.a", "org.libvirt.b"].indexOf(action.id) >= 0', {"actions": ["org.libvirt.a", "org.libvirt.b"]}),
        ('["org.libvirt.a", "org.libvirt.b"].includes(action.id)', {"actions": ["org.libvirt.a", "org.libvirt.b"]}),
        (
            '(action.id == "org.libvirt.a" || action.id == "org.libvirt.b")',
            {"actions": ["org.libvirt.a", "org.libvirt.b"]},
        ),
        ('subject.user == "oscar"', {"users": ["oscar"]}),
        ('subject.isInGroup("ops")', {"groups": ["ops"]}),
        ('action.lookup("domain_uuid") == "u1"', {"lookups": {"domain_uuid": ["u1"]}}),
        ('["u1","u2"].indexOf(action.lookup("domain_uuid")) != -1', {"lookups": {"domain_uuid": ["u1", "u2"]}}),
    ],
)
def test_conditions_that_are_understood(condition, expected):
    nothing = {"result": "yes", "actions": ["*"], "users": [], "groups": [], "lookups": {}, "exact": True}
    assert one(rule("if (%s) { return polkit.Result.YES; }" % condition)) == {**nothing, **expected}


@pytest.mark.parametrize(
    "condition",
    [
        "subject.active",
        'action.id != "org.x"',
        'subject.user == "a" || subject.active',
        "allowed[action.id]",
        "/libvirt/.test(action.id)",
    ],
)
def test_a_condition_that_is_not_understood_restricts_nothing(condition):
    found = one(rule("if (%s) { return polkit.Result.YES; }" % condition))
    assert found["actions"] == ["*"] and found["exact"] is False


@pytest.mark.parametrize(
    "body",
    [
        "return grants[action.id];",
        'var r = polkit.Result.YES; if (action.id == "org.libvirt.x") { return r; }',
        'switch (action.id) { case "org.libvirt.x": return polkit.Result.YES; }',
        "try { return polkit.Result.YES; } catch (e) { }",
        "action = {id: 1};",
        "return polkit.spawn(['/bin/decide', action.id]);",
        "return (subject.user == 'a') ? polkit.Result.YES : polkit.Result.NO;",
    ],
)
def test_what_is_not_understood_can_be_anything(body):
    assert {entry["result"] for entry in polkit_rules.javascript(rule(body))} == {"unknown"}


@pytest.mark.parametrize(
    "text",
    [
        "polkit.addRule(function(action) {",
        "var a = {};",
        "polkit.addRule(decide);",
        "polkit.addRule(function(a) { return `x`; });",
        '"\\x41";',
        "}{",
    ],
)
def test_a_file_that_cannot_be_parsed_can_grant_everything(text):
    assert polkit_rules.javascript(text) == [
        {"result": "unknown", "actions": ["*"], "users": [], "groups": [], "lookups": {}, "exact": False}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "// polkit.Result.YES\n/* return polkit.Result.YES; */",
        'polkit.addAdminRule(function(a, s) { return ["unix-group:sudo"]; });',
        rule('if (action.id == "org.freedesktop.hostname1.set-hostname") { return polkit.Result.YES; }'),
        rule('if (action.id != "org.x.y") { return polkit.Result.NOT_HANDLED; } return polkit.Result.YES;'),
        rule("return null;"),
    ],
)
def test_files_that_say_nothing_about_libvirt(text):
    assert polkit_rules.javascript(text) == []


@pytest.mark.parametrize("action", ["org.freedesktop.policykit.exec", "org.freedesktop.systemd1.manage-units"])
def test_actions_that_lead_to_root_are_kept(action):
    assert one(rule(f'if (action.id == "{action}" && subject.user == "o") return "yes";'))["actions"] == [action]


def test_parameters_may_have_other_names():
    assert one(rule('if (a.id == "org.libvirt.x" && s.user == "o") return "no";', "a, s"))["users"] == ["o"]


def test_else_and_what_follows_a_return_are_not_exact():
    body = 'if (action.id == "org.libvirt.x") { if (subject.user == "b") return "no"; else return "yes"; }'
    assert [(e["result"], e["exact"]) for e in polkit_rules.javascript(rule(body))] == [("no", True), ("yes", False)]


def test_user_and_group_together_are_not_worked_out():
    assert one(rule('if (subject.user == "a" && subject.isInGroup("g")) return polkit.Result.YES;'))["exact"] is False


def test_authority_file():
    text = "[ops]\nIdentity=unix-group:ops;unix-user:oscar\n"
    text += "Action=org.libvirt.*\nResultAny=no\nResultActive=auth_self_keep\n"
    assert polkit_rules.authority_file(text) == [
        {
            "result": "self",
            "actions": ["org.libvirt.*"],
            "users": ["oscar"],
            "groups": ["ops"],
            "lookups": {},
            "exact": True,
        }
    ]
    assert polkit_rules.authority_file("[a]\nIdentity=unix-user:*\nAction=org.other\nResultAny=yes\n") == []
    assert polkit_rules.authority_file("no section")[0]["result"] == "unknown"


def collect(host):
    notes = []
    return polkit.PART.collect(host, lambda path, reason: notes.append((path, reason)))["rbac"], notes


def files(**more):
    return {
        "/usr/share/polkit-1/rules.d/50-b.rules": rule("return polkit.Result.YES;"),
        "/etc/polkit-1/rules.d/50-b.rules": "",
        "/etc/polkit-1/rules.d/90-z.rules": "",
        "/run/polkit-1/rules.d/10-a.rules": "",
        "/etc/polkit-1/rules.d/readme": "not a rule",
        "/proc/uptime": "1000.00 1.0\n",
        **more,
    }


def show(pid):
    return {
        " ".join(systemd.command(polkit.UNITS)): (
            0,
            f"MainPID={pid}\nId=polkit.service\nLoadState=loaded\nActiveState=active\n\n"
            "MainPID=0\nId=polkitd.service\nLoadState=not-found\nActiveState=inactive\n",
            "",
        ),
        "pkaction --version": (0, "pkaction version 122\n", ""),
    }  # fmt: skip


def test_order_is_by_name_then_by_directory():
    facts, notes = collect(FakeHost(files=files(), commands=show(0)))
    assert [entry["path"] for entry in facts["rules"]] == [
        "/run/polkit-1/rules.d/10-a.rules",
        "/etc/polkit-1/rules.d/50-b.rules",
        "/usr/share/polkit-1/rules.d/50-b.rules",
        "/etc/polkit-1/rules.d/90-z.rules",
    ]
    assert facts["polkit"]["running"] is False and facts["polkit"]["in_force"] is True
    assert notes == []


@pytest.mark.parametrize(
    ("log", "in_force"), [("Finished loading, compiling and executing 5 rules\n", True), ("", False)]
)
def test_a_rule_newer_than_the_daemon_needs_a_reload_on_record(log, in_force):
    # Boot at 1,799,999,000; the daemon began 100 s later; a rule changed 500 s after boot.
    stat = "77 (polkitd) S " + " ".join(["0"] * 18) + " 10000 0"
    host = FakeHost(
        files=files(**{"/proc/77/stat": stat}),
        stats={"/etc/polkit-1/rules.d/90-z.rules": {"mtime": 1799999500.0}},
        commands={**show(77), "journalctl --no-pager -q -o cat -n 50 --since=@1799999500 _PID=77": (0, log, "")},
    )
    facts, _notes = collect(host)
    assert facts["polkit"]["in_force"] is in_force
    assert facts["polkit"]["newest"] == "/etc/polkit-1/rules.d/90-z.rules"


@pytest.mark.parametrize(("version", "javascript"), [("0.105", False), ("0.106", True), ("0.120", True), ("122", True)])
def test_versions(version, javascript):
    commands = {**show(0), "pkaction --version": (0, f"pkaction version {version}\n", "")}
    assert collect(FakeHost(files=files(), commands=commands))[0]["polkit"]["javascript"] is javascript


def test_rules_nobody_may_read_are_noted():
    host = FakeHost(files=files(), commands=show(0), dirs={"/etc/polkit-1/rules.d": Unreadable("Permission denied")})
    facts, notes = collect(host)
    assert facts["rules"] is None
    assert ("rbac.rules", "Permission denied") in notes
    assert {path for path, _reason in notes} >= {"rbac.polkit.running", "rbac.polkit.in_force", "rbac.polkit.newest"}
