# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of access control: what is written, who is never touched, and what is refused (amendments.md)."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.text import edit_lines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import polkit_files
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import access_libvirt
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.people_side import (
    SITE,
    account,
    by_hand,
    facts,
    paths,
    plan_of,
    situation,
)

DRIVER, RULES, GROUP = "kvm-11.2.2-access-driver", "kvm-11.2.2-polkit-rules", "kvm-11.2.2-no-blanket-group"
BYPASS, DENY, ORDER = "kvm-11.2.2-remote-bypass", "kvm-11.2.3-deny-rules", "kvm-11.2.3-rule-order"
ACCOUNTS, PRIVILEGED, SUDO = "kvm-11.2.4-accounts", "kvm-11.2.4-priv-groups", "kvm-11.2.5-sudo"
LOCKOUT, TIMEOUT, SOCKET = "kvm-11.2.5-lockout", "kvm-11.2.5-session-timeout", "kvm-11.2.5-unix-socket"
READERS, CONSOLE, GUESTS = "kvm-11.2.5-ro-socket", "kvm-11.4.5-console", "kvm-11.4.5-guest-permissions"
VM = "11111111-1111-4111-8111-111111111111"
SECRET_VM = "22222222-2222-4222-8222-222222222222"
MATRIX = {
    "gold_rbac_matrix": [
        {"principal": "alice", "actions": ["org.libvirt.unix.manage"]},
        {"principal": "alice", "actions": ["org.libvirt.api.connect.*", "org.libvirt.api.domain.start"]},
        {"principal": "bob", "actions": ["org.libvirt.api.connect.*"]},
        {
            "principal": "%operators",
            "actions": "org.libvirt.api.domain.start",
            "objects": {"domain_uuid": [VM, SECRET_VM]},
        },
        {"principal": "ansible", "actions": ["org.libvirt.api.domain.getattr"]},
    ],
    "gold_deny_map": [{"principal": "oscar", "domain_uuid": SECRET_VM.upper()}],
    "gold_sensitive_vms": [SECRET_VM],
}


def rules_with(document, texts):
    return polkit_files.proposed(situation(document), texts)


def test_the_rules_say_what_the_matrix_says_and_nothing_more():
    found = facts()
    gold = {**gold_config.defaults(), **SITE, **MATRIX}
    texts = {row["path"]: row["content"] for row in plan_of(RULES, found, MATRIX)}
    verdict = access_libvirt.policy_deployed(
        {"polkit": {**found["rbac"]["polkit"], "in_force": True}, "rules": rules_with(found, texts)}, gold
    )
    assert verdict.status == "pass", verdict
    assert list(texts) == [polkit_files.DENIALS, polkit_files.GRANTS]
    assert access_libvirt.explicit_deny({"rules": rules_with(found, texts)}, gold).status == "pass"
    assert access_libvirt.deny_precedes_allow({"rules": rules_with(found, texts)}, gold).status == "pass"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"principal": "x\"); evil(", "actions": "org.libvirt.api.domain.start"}, "neither an account nor a group"),
        ({"principal": "oscar", "actions": "org.libvirt.api.a\"b"}, "has a letter that no polkit rule"),
        ({"principal": "oscar", "actions": "org.libvirt.unix.manage", "objects": {"domain_uuid": [VM]}}, "limits org"),
        ({"principal": "%ALL", "actions": "org.libvirt.api.*"}, "is for everybody"),
        ({"principal": "oscar", "actions": "org.freedesktop.systemd1.manage-units"}, "expected actions below"),
    ],
)  # fmt: skip
def test_a_matrix_no_rule_may_say(entry, text):
    with pytest.raises(Refusal, match=text.replace(".", r"\.")):
        plan_of(RULES, facts(), {"gold_rbac_matrix": [entry]})


def test_a_matrix_that_lets_in_somebody_undeclared_is_refused():
    entry = {"principal": "%sudo", "actions": ["org.libvirt.unix.manage"]}
    with pytest.raises(Refusal, match="%sudo: breakglass connect to libvirt"):
        plan_of(RULES, facts(), {"gold_rbac_matrix": [entry]})


def test_another_file_that_grants_is_left_to_a_person():
    found = facts()
    text = "polkit.addRule(function(action, subject) { if (Math.random() > 0.5) { return polkit.Result.YES; } });"
    rule = rules_with(found, {"/etc/polkit-1/rules.d/01-site.rules": text})
    found["rbac"]["rules"] = rule
    assert "01-site.rules" in by_hand(plan_of(RULES, found, MATRIX))[0]
    assert by_hand(plan_of(ORDER, found, MATRIX)) == [] and "01-site.rules" not in paths(plan_of(ORDER, found, MATRIX))


def test_rules_come_before_the_driver_that_asks_them():
    rows = plan_of(DRIVER, facts(), MATRIX)
    assert paths(rows) == [polkit_files.DENIALS, polkit_files.GRANTS, "/etc/libvirt/libvirtd.conf"]
    assert rows[-1]["values"] == {"access_drivers": '[ "polkit" ]'}
    assert [row["run"][:3] for row in rows[-1]["then"]] == [
        ["systemctl", "try-restart", "libvirtd.service"], ["virsh", "-q", "-c"],
    ]  # fmt: skip


def test_modular_daemons_each_have_their_own_file():
    found = facts()
    daemon = found["libvirt_daemons"]["daemons"][0]
    found["libvirt_daemons"]["daemons"] = [
        {**copy.deepcopy(daemon), "name": name, "conf": f"/etc/libvirt/{name}.conf"}
        for name in ("virtqemud", "virtnetworkd", "virtproxyd")
    ]
    files = paths(plan_of(DRIVER, found, MATRIX))
    assert "/etc/libvirt/virtqemud.conf" in files and "/etc/libvirt/virtnetworkd.conf" in files
    assert "/etc/libvirt/virtproxyd.conf" not in files, "it hands every call on and asks nobody"


@pytest.mark.parametrize(
    ("change", "gold", "text"),
    [
        (lambda found: None, {"gold_rbac_matrix": []}, "gold_rbac_matrix is empty"),
        (
            lambda found: None,
            {"gold_rbac_matrix": MATRIX["gold_rbac_matrix"][:2]},
            "nothing of libvirt to bob, ansible",
        ),
        (
            lambda found: found["rbac"]["polkit"].update(javascript=False, version="0.105"),
            {},
            "polkit 0.105 cannot tell",
        ),
        (lambda found: found["rbac"].update(rules=None), {}, "were not read"),
        (lambda found: found["groups"]["libvirt"].append("nova"), {}, "to nova"),
    ],
)
def test_the_driver_never_comes_without_a_way_for_those_who_work(change, gold, text):
    found = facts()
    account(found, "nova", human=False, services=["nova-compute.service"])
    change(found)
    with pytest.raises(Refusal, match=text):
        plan_of(DRIVER, found, {**MATRIX, **gold})


def test_guests_stay_closed_to_administrators():
    found = facts()
    found["rbac"]["driver"] = "polkit"
    gold = {"gold_rbac_matrix": [{"principal": "alice", "actions": ["org.libvirt.api.*"]}]}
    assert "gold_rbac_matrix grants block-read" in by_hand(plan_of(GUESTS, found, gold))[0]
    assert by_hand(plan_of(GUESTS, found, {**gold, "gold_guest_access_principals": ["alice"]})) == []


def test_people_leave_the_group_and_services_stay():
    found = facts()
    account(found, "nova", human=False)
    found["groups"]["libvirt"] = ["nova", "oscar", "alice"]
    rows = plan_of(GROUP, found)
    assert [row["remove"] for row in rows if row["kind"] == "members"] == [["oscar"]]
    found["groups"]["libvirt"].append("ansible")
    with pytest.raises(Refusal, match="ansible, the account this run logs in as, would leave group libvirt"):
        plan_of(GROUP, found)
    with pytest.raises(Refusal, match="gold_hypervisor_admins is empty"):
        plan_of(GROUP, facts(), {"gold_hypervisor_admins": []})


def test_nobody_is_taken_out_of_a_group_twice_and_both_checks_are_named():
    both = situation(facts(), GROUP, PRIVILEGED)
    for check in (GROUP, PRIVILEGED):
        assert [row["remove"] for row in planners("kvm")[check](both) if row["kind"] == "members"] == [["oscar"]]
    rows = [row for row in proposal.propose("access_control", both, load_standard()).rows if row["kind"] == "members"]
    assert [(row["group"], row["remove"], sorted(row["checks"])) for row in rows] == [
        ("libvirt", ["oscar"], sorted([GROUP, PRIVILEGED]))
    ]


@pytest.mark.parametrize("name", ["qemu", "libvirt-qemu", "nova", "ceph"])
def test_service_accounts_keep_their_groups(name):
    found = facts()
    account(found, name, human=False)
    found["groups"].update({"kvm": [name], "libvirt-qemu": [name], "qemu": [name], "disk": [name, "mallory"]})
    account(found, "mallory")
    rows = plan_of(PRIVILEGED, found, {"gold_privileged_group_members": ["oscar"]})
    assert [(row["group"], row["remove"]) for row in rows] == [("disk", ["mallory"])]


def test_privileged_groups_refuse_an_empty_list_and_the_connecting_account():
    with pytest.raises(Refusal, match="gold_hypervisor_admins is empty"):
        plan_of(PRIVILEGED, facts(), {"gold_hypervisor_admins": []})
    found = facts()
    found["groups"]["sudo"].append("ansible")
    with pytest.raises(Refusal, match="ansible, the account this run logs in as, would leave group sudo"):
        plan_of(PRIVILEGED, found)
    found["groups"]["disk"] = ["stranger"]
    found["groups"]["sudo"].remove("ansible")
    assert "stranger is in group disk" in by_hand(plan_of(PRIVILEGED, found))[0]


def test_an_account_nobody_authorised_is_locked_never_deleted():
    found = facts()
    account(found, "mallory")
    rows = plan_of(ACCOUNTS, found)
    assert rows == [{"kind": "account", "name": "mallory", "usable": False, "then": []}]


@pytest.mark.parametrize(
    ("changes", "gold", "why"),
    [
        ({"services": ["backup.service"], "human": False}, {}, "backup.service runs under it"),
        ({"cron": True}, {}, "it has cron jobs"),
        ({"human": False}, {}, "it is no person's account"),
        ({}, {"gold_migration_transport": "ssh"}, "virtual machines migrate over ssh"),
        ({"source": "directory"}, {}, "comes from the directory"),
    ],
)
def test_accounts_that_are_never_locked(changes, gold, why):
    found = facts()
    account(found, "mallory", **changes)
    rows = plan_of(ACCOUNTS, found, {"gold_max_host_accounts": 9, **gold})
    assert [row["kind"] for row in rows] == ["by_hand"] and why in rows[0]["what"]


def test_root_break_glass_and_the_connecting_account_stay():
    found = facts()
    account(found, "root", usable=True, password="password")
    account(found, "toor", uid_or_sid="0")
    assert plan_of(ACCOUNTS, found, {"gold_max_host_accounts": 9}) == []
    with pytest.raises(Refusal, match="ansible, the account this run logs in as, is authorised by no gold setting"):
        plan_of(ACCOUNTS, found, {"gold_automation_accounts": []})
    with pytest.raises(Refusal, match="authorises nobody"):
        plan_of(ACCOUNTS, found, {name: [] for name in SITE})
    with pytest.raises(Refusal, match="only alice of gold_hypervisor_admins"):
        account(found, "bob", usable=False)
        plan_of(ACCOUNTS, found)


def sudoers(document, *lines):
    """Rules as the collector reads them: (path:line, users, nopasswd, commands)."""
    for source, users, nopasswd, commands in lines:
        document["sudo"]["rules"].append(
            {"users": users, "hosts": ["ALL"], "runas": ["ALL"], "runas_groups": [], "nopasswd": nopasswd,
             "noexec": False, "setenv": False, "source": source, "commands": commands, "applies": True}
        )  # fmt: skip
    document["sudo"]["effective"] = {}
    return document


def edited(row, text):
    return edit_lines(text, row["present"], row["absent"])[0]


def test_a_rule_for_somebody_undeclared_goes_and_one_for_an_administrator_asks_for_a_password():
    found = sudoers(
        facts(),
        ("/etc/sudoers.d/oscar:2", ["oscar"], False, ["ALL"]),
        ("/etc/sudoers.d/cloud:1", ["breakglass"], True, ["ALL"]),
    )
    rows = {row["path"]: row for row in plan_of(SUDO, found) if row["kind"] == "lines"}
    text = "# oscar\noscar ALL=(ALL) ALL\nalice ALL=(ALL) /usr/bin/id\n"
    assert edited(rows["/etc/sudoers.d/oscar"], text) == "# oscar\nalice ALL=(ALL) /usr/bin/id\n"
    assert edited(rows["/etc/sudoers.d/cloud"], "breakglass ALL=(ALL) NOPASSWD:ALL\n") == "breakglass ALL=(ALL) ALL\n"
    assert all(row["then"][0]["run"][0] == "visudo" for row in rows.values())


def test_a_rule_over_several_lines_is_not_touched():
    found = sudoers(facts(), ("/etc/sudoers.d/oscar:1", ["oscar"], False, ["/bin/sh", "/bin/bash"]))
    row = plan_of(SUDO, found)[0]
    text = "oscar ALL=(ALL) /bin/sh, \\\n  /bin/bash\n"
    assert edited(row, text) == text


@pytest.mark.parametrize(
    ("lines", "change", "text"),
    [
        ([("/etc/sudoers.d/a:1", ["alice"], True, ["ALL"])], {}, "give the account a password"),
        ([("/etc/sudoers.d/a:1", ["oscar", "bob"], False, ["ALL"])], {}, "is no administrator"),
        ([("/etc/sudoers.d/a:1", ["oscar"], False, ["ALL"]), ("/etc/sudoers.d/a:2", ["oscar"], False, ["/bin/sh"])], {},
         "is no administrator"),
        ([("/etc/sudoers.d/a:1", ["%operators"], False, ["ALL"])], {}, "is no administrator"),
        ([], {"password": "password"}, "lock its password"),
    ],
)  # fmt: skip
def test_what_cannot_be_rewritten_without_a_doubt_is_left_to_a_person(lines, change, text):
    found = sudoers(facts(), *lines)
    account(found, "ansible", **change)
    rows = plan_of(SUDO, found)
    assert [row["kind"] for row in rows] and {row["kind"] for row in rows} == {"by_hand"}
    assert text in by_hand(rows)[0]


def test_the_connecting_account_keeps_its_rule():
    found = sudoers(facts())
    rows = plan_of(SUDO, found, {"gold_automation_accounts": []})
    assert {row["kind"] for row in rows} == {"by_hand"}, rows


def test_people_whom_group_sudo_makes_root_leave_it():
    found = sudoers(facts())
    account(found, "mallory")
    found["groups"]["sudo"] = [*found["groups"]["sudo"], "mallory"]
    rows = plan_of(SUDO, found)
    assert [(row["group"], row["remove"]) for row in rows if row["kind"] == "members"] == [("sudo", ["mallory"])]


def test_a_sparing_default_goes_where_everybody_has_a_password():
    found = sudoers(facts())
    found["sudo"]["defaults"].append(
        {
            "source": "/etc/sudoers.d/lazy:1",
            "scope": "user",
            "of": ["breakglass"],
            "name": "authenticate",
            "value": False,
        }
    )
    row = plan_of(SUDO, found)[0]
    assert edited(row, "Defaults:breakglass !authenticate\nDefaults use_pty\n") == "Defaults use_pty\n"


def test_sudo_that_was_not_read_whole_is_not_changed():
    found = facts()
    found["collector"]["errors"].append(
        {"path": "sudo.rules", "reason": "/etc/sudoers:9: neither a rule nor a setting"}
    )
    with pytest.raises(Refusal, match="a line of sudoers could not be read"):
        plan_of(SUDO, found)


def test_the_network_sockets_close_and_the_daemon_lets_go_of_them():
    found = facts()
    tcp = next(s for s in found["libvirt_daemons"]["daemons"][0]["sockets"] if s["kind"] == "tcp")
    tcp.update(active=True, enabled=True)
    rows = plan_of(BYPASS, found)
    assert (rows[0]["name"], rows[0]["masked"]) == ("libvirtd-tcp.socket", True)
    assert rows[1]["kind"] == "activate"
    assert rows[1]["then"][0]["run"] == ["systemctl", "try-restart", "libvirtd.service"]
    with pytest.raises(Refusal, match=r"10\.9\.9\.9 is connected to libvirt over the network now"):
        plan_of(BYPASS, found, inbound=[{"local_port": 16509, "peer": "10.9.9.9"}])


def test_tls_between_named_hosts_stays_and_its_list_is_a_persons():
    found = facts()
    tls = next(s for s in found["libvirt_daemons"]["daemons"][0]["sockets"] if s["kind"] == "tls")
    tls.update(active=True)
    gold = {"gold_migration_transport": "tls", "gold_migration_peers": ["kvm2"]}
    rows = plan_of(BYPASS, found, gold)
    assert [row["kind"] for row in rows] == ["by_hand"] and "virt-pki-query-dn" in rows[0]["what"]
    assert plan_of(BYPASS, found)[0]["name"] == "libvirtd-tls.socket"


def test_sockets():
    found = facts()
    found["libvirt_daemons"]["daemons"][0]["auth_unix_rw"] = "none"
    assert plan_of(SOCKET, found)[0]["values"] == {"auth_unix_rw": '"polkit"'}
    rows = plan_of(READERS, found)
    assert paths(rows) == [
        "/etc/systemd/system/libvirtd-ro.socket.d/dwp-hypervisor.conf", "/run/libvirt/libvirt-sock-ro"
    ]  # fmt: skip
    assert (rows[1]["mode"], rows[1]["group"]) == ("0660", "libvirt")


def test_lockout_on_debian_goes_through_profiles_and_spares_break_glass():
    rows = plan_of(LOCKOUT, facts())
    assert [row["kind"] for row in rows] == ["keys", "file", "file", "generated"]
    assert rows[0]["values"] == {"deny": "10", "unlock_time": "300"}
    assert all("user in breakglass" in row["content"] for row in rows[1:3])
    assert "breakglass" not in plan_of(LOCKOUT, facts(), {"gold_breakglass_accounts": []})[1]["content"]


def test_lockout_keeps_what_is_stricter_and_does_not_weaken():
    found = facts()
    found["mfa"]["pam_files"]["/etc/pam.d/common-auth"] = (
        "auth required pam_faillock.so preauth\nauth [success=1 default=ignore] pam_unix.so\n"
        "auth [default=die] pam_faillock.so authfail\n"
    )
    found["session_policy"]["faillock"] = {"deny": 3, "unlock_time": 60, "fail_interval": 900}
    assert plan_of(LOCKOUT, found)[0]["values"] == {"unlock_time": "300"}
    found["session_policy"]["faillock"] = {"deny": 50, "unlock_time": 0, "fail_interval": 900}
    assert plan_of(LOCKOUT, found)[0]["values"] == {"deny": "10"}
    found["mfa"]["pam_files"]["/etc/pam.d/common-auth"] += "auth required pam_tally2.so deny=3\n"
    assert "pam_tally2" in by_hand(plan_of(LOCKOUT, found))[0]


def test_lockout_on_the_red_hat_family_is_a_feature_of_authselect():
    found = facts()
    found["host"]["family"] = "rhel"
    row = plan_of(LOCKOUT, found)[-1]
    assert row["command"] == ["authselect", "enable-feature", "with-faillock"]
    assert row["undo"] == ["authselect", "disable-feature", "with-faillock"]
    assert "/etc/authselect/system-auth" in row["files"]


def test_session_timeout_comes_last_or_not_at_all():
    assert "readonly TMOUT" in plan_of(TIMEOUT, facts())[0]["content"]
    found = facts()
    found["session_policy"]["tmout"] = {"seconds": 7200, "readonly": True, "file": "/etc/profile.d/tmout.sh"}
    assert "/etc/profile.d/tmout.sh" in by_hand(plan_of(TIMEOUT, found))[0]
    found["session_policy"]["tmout"] = {"seconds": 7200, "readonly": False, "file": "/etc/bash.bashrc"}
    assert "/etc/bash.bashrc" in by_hand(plan_of(TIMEOUT, found))[0]


def test_the_device():
    rows = plan_of("kvm-11.2.5-dev-kvm", facts())
    assert 'GROUP="kvm", MODE="0660"' in rows[0]["content"] and rows[1]["path"] == "/dev/kvm"


def test_consoles_qemu_conf_is_set_and_a_definition_is_a_persons():
    found = facts()
    found["qemu"]["conf"]["settings"] = {"vnc_listen": "0.0.0.0"}
    machine = found["vms"][0]
    machine["consoles"] = [{**machine["consoles"][0], "listen": [""]}]
    machine["configured"] = {}
    rows = plan_of(CONSOLE, found)
    assert rows[0]["values"] == {"vnc_listen": '"127.0.0.1"'} and rows[0]["pending"] == "vm_power"
    machine["consoles"][0]["listen"] = ["0.0.0.0"]
    found["qemu"]["conf"]["settings"] = {}
    assert f"put the UUID {machine['id']}" in by_hand(plan_of(CONSOLE, found))[0]
    row = plan_of(CONSOLE, found, allow_vm_changes=frozenset({machine["id"]}))[0]
    assert (row["kind"], row["uuid"], row["pending"]) == ("domain", machine["id"], "vm_power")
    assert [edit.get("set") or edit.get("remove") for edit in row["edits"]] == [
        "devices/graphics[@type='vnc']/listen", "devices/graphics[@type='vnc']"
    ]  # fmt: skip
