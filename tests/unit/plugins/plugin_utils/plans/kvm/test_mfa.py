# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of the second factor: what is written, who is asked, and everything that stops them before they begin."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.text import edit_lines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import mfa_pam
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.pam_verdict import unenforced
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.people_side import (
    EXEMPT,
    account,
    by_hand,
    facts,
    paths,
    plan_of,
)

SSH, PAM, SU = "kvm-11.4.3-ssh-methods", "kvm-11.4.3-pam-second", "kvm-11.4.3-escalation"
CONSOLE, COCKPIT = "kvm-11.4.3-console", "kvm-11.4.3-cockpit"
TOTP = {"gold_mfa_variant": "totp", "gold_hypervisor_operators": [], "gold_mfa_exempt": EXEMPT}
FIDO = {"gold_hypervisor_operators": [], "gold_mfa_exempt": EXEMPT}
SK = "sk-ssh-ed25519@openssh.com"
# What RHEL 9 ships, without comments.
RHEL = {
    "/etc/pam.d/sshd": "auth substack password-auth\nauth include postlogin\naccount required pam_sepermit.so\n",
    "/etc/pam.d/sudo": "auth include system-auth\naccount include system-auth\n",
    "/etc/pam.d/sudo-i": "auth include sudo\naccount include sudo\n",
    "/etc/pam.d/su": "auth required pam_env.so\nauth sufficient pam_rootok.so\nauth substack system-auth\n",
    "/etc/pam.d/su-l": "auth include su\naccount include su\n",
    "/etc/pam.d/login": "auth substack system-auth\nauth include postlogin\n",
    "/usr/lib/pam.d/polkit-1": "auth include system-auth\naccount include system-auth\n",
    "/etc/pam.d/postlogin": "session optional pam_umask.so silent\n",
    "/etc/pam.d/system-auth": (
        "auth required pam_env.so\nauth required pam_faillock.so preauth silent\nauth sufficient pam_unix.so nullok\n"
        "auth required pam_faillock.so authfail\nauth required pam_deny.so\n"
    ),
    "/etc/pam.d/password-auth": (
        "auth required pam_env.so\nauth required pam_faillock.so preauth silent\nauth sufficient pam_unix.so nullok\n"
        "auth required pam_faillock.so authfail\nauth required pam_deny.so\n"
    ),
}


def enrolled():
    """The recorded host on which alice and bob have a password and a token."""
    found = facts()
    for name in ("alice", "bob"):
        account(found, name, password="password", key_types=["ssh-ed25519"])
    oath = next(entry for entry in found["mfa"]["enrolment"] if entry["module"] == "pam_oath.so")
    oath["accounts"] = ["alice", "bob"]
    return found


def with_security_keys():
    found = facts()
    for name in ("alice", "bob"):
        account(found, name, key_types=[SK])
    account(found, "ansible", key_types=["ssh-ed25519"])
    return found


def after(document, rows):
    """The stacks as the rows leave them, written as the host would write them."""
    texts = dict(document["mfa"]["pam_files"])
    for row in rows:
        if row["kind"] == "file":
            texts[row["path"]] = row["content"]
        elif row["kind"] == "lines":
            texts[row["path"]] = edit_lines(texts[row["path"]], row["present"], row["absent"])[0]
    return mfa_pam.Stacks({path: "".join(f"{line}\n" for line in text.splitlines() if line[:1] != "#")
                           for path, text in texts.items()})  # fmt: skip


def test_key_and_code_for_everybody_and_a_key_for_automation_from_its_networks():
    rows = plan_of(SSH, enrolled(), TOTP)
    assert paths(rows) == ["/etc/ssh/sshd_config.d/00-dwp-factors.conf"]
    blocks = rows[0]["content"].split("Match ")
    assert "UsePAM yes" in blocks[0]
    assert blocks[1].startswith("User ansible Address 10.213.1.0/24\n    AuthenticationMethods publickey\n")
    assert blocks[2].startswith("all\n    AuthenticationMethods publickey,keyboard-interactive\n")
    assert "breakglass" not in rows[0]["content"], "an account exempt at the console is no exemption for ssh"
    assert rows[0]["then"][0]["run"] == ["/usr/sbin/sshd", "-t"]
    assert rows[0]["then"][1] == {"reload": "ssh.service"}


def test_our_file_is_read_before_that_of_remote_access_in_every_locale():
    ours, theirs = "00-dwp-factors.conf", "00-dwp-hypervisor.conf"
    assert ours < theirs
    assert "".join(filter(str.isalnum, ours)) < "".join(filter(str.isalnum, theirs))


def test_security_keys_only_and_ordinary_ones_for_automation():
    text = plan_of(SSH, with_security_keys(), FIDO)[0]["content"]
    automation, everybody = text.split("Match all\n")
    accepted = next(line for line in everybody.splitlines() if "PubkeyAcceptedAlgorithms" in line).split()[1].split(",")
    assert accepted and all(name.startswith("sk-") for name in accepted)
    assert "PubkeyAuthOptions verify-required" in everybody
    assert "ssh-ed25519," in automation and "sk-" not in automation


def test_a_second_plan_of_security_keys_is_the_same():
    found = with_security_keys()
    first = plan_of(SSH, found, FIDO)
    for context in found["remote_access"]["ssh"]["contexts"]:
        text = first[0]["content"].split("Match all")[context["user"] != "ansible"]
        line = next(line for line in text.splitlines() if "PubkeyAcceptedAlgorithms" in line)
        context["settings"]["pubkeyacceptedalgorithms"] = line.split()[1].split(",")
    found["remote_access"]["ssh"]["contexts"].append(
        {"id": "ansible@x", "user": "ansible", "address": "10.213.1.1",
         "settings": {"pubkeyacceptedalgorithms": ["ssh-ed25519", *first[0]["content"].split(
             "PubkeyAcceptedAlgorithms ")[1].split("\n")[0].split(",")]}}
    )  # fmt: skip
    assert plan_of(SSH, found, FIDO) == first


@pytest.mark.parametrize(
    ("change", "gold", "text"),
    [
        (lambda found: found["mfa"]["enrolment"][0].update(accounts=["alice"]), {}, "bob has not enrolled with"),
        (lambda found: found["mfa"]["enrolment"][0].update(accounts=[]), {}, "looked for in /etc/users.oath"),
        (lambda found: account(found, "bob", password="locked"), {}, "bob has no password on this host"),
        (lambda found: account(found, "bob", usable=False), {}, "only alice of gold_hypervisor_admins"),
        (lambda found: None, {"gold_mfa_exempt": EXEMPT[:1]}, "breakglass has not enrolled"),
        (lambda found: None, {"gold_mfa_exempt": EXEMPT[1:]}, "would be asked for a second factor and locked out"),
        (lambda found: None, {"gold_mfa_exempt": [{"account": "ansible", "sources": ["0.0.0.0/0"], "exception": "E"},
                                                  EXEMPT[1]]}, "neither console nor an address"),
        (lambda found: None, {"gold_mfa_exempt": [{"account": "a b", "sources": ["10.0.0.1"], "exception": "E"},
                                                  *EXEMPT]}, "has a letter sshd reads"),
        (lambda found: None, {"gold_hypervisor_admins": []}, "gold_hypervisor_admins is empty"),
        (lambda found: None, {"gold_mfa_pam_factor": "pam_oath.so nullok"}, "lets everybody in who has not enrolled"),
        (lambda found: None, {"gold_mfa_pam_factor": "pam_permit.so"}, "none of gold_mfa_pam_modules"),
        (lambda found: found["mfa"].update(pam_modules=["pam_unix.so"]), {}, "install its package (libpam-oath)"),
        (lambda found: found["remote_access"]["ssh"].update(servers=None), {}, "could not be read"),
    ],
)  # fmt: skip
def test_refused_before_anything_changes(change, gold, text):
    found = enrolled()
    change(found)
    with pytest.raises(Refusal) as refusal:
        plan_of(SSH, found, {**TOTP, **gold})
    assert text in str(refusal.value)


def test_an_exemption_for_another_address_does_not_help_the_controller():
    with pytest.raises(Refusal) as refusal:
        plan_of(SSH, enrolled(), TOTP, source="192.0.2.9")
    assert "add {account: ansible, sources: [192.0.2.9], exception: <its id>}" in str(refusal.value)
    assert plan_of(SSH, enrolled(), TOTP, source=None), "a run at the console has no address to come back from"


def test_security_keys_nobody_has():
    with pytest.raises(Refusal, match="alice, bob have not enrolled a security key"):
        plan_of(SSH, facts(), FIDO)
    found = with_security_keys()
    account(found, "bob", key_types=None)
    with pytest.raises(Refusal, match="bob has not enrolled"):
        plan_of(SSH, found, FIDO)
    # The site vouches where the host cannot see; it cannot contradict what the host does see.
    assert plan_of(SSH, found, {**FIDO, "gold_mfa_enrolled": ["bob"]})
    account(found, "bob", key_types=["ssh-ed25519"])
    with pytest.raises(Refusal, match="bob has not enrolled"):
        plan_of(SSH, found, {**FIDO, "gold_mfa_enrolled": ["bob"]})


def test_a_controller_whose_key_would_not_be_accepted():
    found = with_security_keys()
    account(found, "ansible", key_types=["ssh-dss"])
    with pytest.raises(Refusal, match="this run could not come back"):
        plan_of(SSH, found, FIDO)


def test_every_stack_asks_and_the_audit_agrees():
    found = enrolled()
    rows = plan_of(PAM, found, TOTP) + plan_of(SU, found, TOTP) + plan_of(CONSOLE, found, TOTP)
    assert not by_hand(rows)
    assert rows[0]["path"] == mfa_pam.FACTOR, "what is included has to be there first"
    stacks = after(found, rows)
    for service in ("sshd", "sudo", "sudo-i", "su", "su-l", "polkit-1", "login"):
        lines = stacks.lines(service)
        assert not unenforced(lines, ["pam_oath.so"], ["breakglass"]), service
        assert [line["module"] for line in lines].count("pam_oath.so") == 1, f"{service} asks twice"
    assert stacks.lines("su")[0]["module"] == "pam_rootok.so", "root is not asked"
    assert "/etc/pam.d/common-auth" not in paths(rows)
    for service, exempt in (("login", True), ("sudo", True), ("sshd", False), ("su", False)):
        assert any("breakglass" in line["args"] for line in stacks.lines(service)) is exempt, service


def test_a_second_plan_of_the_stacks_finds_them_done():
    found = enrolled()
    rows = plan_of(PAM, found, TOTP) + plan_of(SU, found, TOTP)
    found["mfa"]["pam_files"] = after(found, rows).texts
    for row in plan_of(PAM, found, TOTP) + plan_of(SU, found, TOTP):
        if row["kind"] == "lines":
            text = found["mfa"]["pam_files"][row["path"]]
            assert edit_lines(text, row["present"], row["absent"]) == (text, [])


def test_the_red_hat_family_is_changed_in_the_services_own_files():
    found = enrolled()
    found["host"]["family"] = "rhel"
    found["mfa"]["pam_files"] = dict(RHEL)
    rows = plan_of(PAM, found, TOTP) + plan_of(SU, found, TOTP) + plan_of(CONSOLE, found, TOTP)
    assert not by_hand(rows)
    # system-auth and password-auth belong to authselect.
    assert not [path for path in paths(rows) if path.endswith("-auth")]
    stacks = after(found, rows)
    for service in ("sshd", "sudo", "sudo-i", "su", "su-l", "polkit-1", "login"):
        assert not unenforced(stacks.lines(service), ["pam_oath.so"], ["breakglass"]), service
    assert "/etc/pam.d/sudo-i" not in paths(rows), "sudo-i goes through sudo"
    assert "preauth" in stacks.texts[mfa_pam.FACTOR], "wrong codes are counted where wrong passwords are"
    assert rows and plan_of(SSH, found, TOTP)[0]["then"][1] == {"reload": "sshd.service"}


def test_a_way_round_that_stays_is_left_to_a_person():
    found = enrolled()
    found["mfa"]["pam_files"]["/etc/pam.d/su"] = (
        "auth sufficient pam_wheel.so trust\nauth sufficient pam_rootok.so\n@include common-auth\n"
    )
    told = by_hand(plan_of(SU, found, TOTP))
    assert any("su: pam_wheel.so lets people in although the second factor failed" in what for what in told)


def test_pam_does_not_change_under_a_run_that_types_a_password_to_sudo():
    found = enrolled()
    for rule in found["sudo"]["rules"]:
        rule["nopasswd"] = False
    for answer in found["sudo"]["effective"]["ansible"]:
        answer["nopasswd"] = False
    for check in (PAM, SU, CONSOLE):
        with pytest.raises(Refusal, match="could not become root half-way"):
            plan_of(check, found, TOTP)
    assert plan_of(PAM, found, TOTP, account="root", source=None)


def test_a_site_module_the_host_cannot_look_into():
    found = enrolled()
    found["mfa"]["pam_modules"].append("pam_radius_auth.so")
    gold = {**TOTP, "gold_mfa_variant": "pam_module", "gold_mfa_pam_factor": "pam_radius_auth.so conf=/etc/r.conf"}
    with pytest.raises(Refusal, match="gold_mfa_enrolled, as the host cannot see it"):
        plan_of(PAM, found, gold)
    rows = plan_of(PAM, found, {**gold, "gold_mfa_enrolled": ["alice", "bob"]})
    assert "pam_radius_auth.so conf=/etc/r.conf" in rows[0]["content"]


def test_tokens_in_another_place_are_not_seen():
    gold = {**TOTP, "gold_mfa_pam_factor": "pam_oath.so usersfile=/srv/oath"}
    with pytest.raises(Refusal, match="have not enrolled"):
        plan_of(SSH, enrolled(), gold)
    assert plan_of(SSH, enrolled(), {**gold, "gold_mfa_enrolled": ["alice", "bob"]})


def test_other_providers_are_set_up_by_hand():
    for provider, word in (("ssh_ca", "TrustedUserCAKeys"), ("bastion", "AllowUsers")):
        assert word in by_hand(plan_of(SSH, facts(), {"gold_mfa_provider": provider}))[0]


def test_the_console_with_security_keys():
    found = with_security_keys()
    account(found, "bob", password="password")
    assert "bob can log in at the console by password alone" in by_hand(plan_of(CONSOLE, found, FIDO))[0]
    found["mfa"]["pam_modules"].append("pam_u2f.so")
    for entry in found["mfa"]["enrolment"]:
        if entry["place"] == "/etc/u2f_mappings":
            entry["accounts"] = ["alice", "bob"]
    gold = {**FIDO, "gold_mfa_pam_factor": "pam_u2f.so authfile=/etc/u2f_mappings"}
    assert paths(plan_of(CONSOLE, found, gold)) == [mfa_pam.LOCAL_FACTOR, "/etc/pam.d/login"]


def test_cockpit_is_off_unless_gold_enables_it():
    found = enrolled()
    assert plan_of(COCKPIT, found, TOTP) == []
    entry = next(entry for entry in found["remote_access"]["protocols"] if entry["name"] == "cockpit")
    entry["enabled"] = True
    assert plan_of(COCKPIT, found, TOTP)[0]["masked"] is True
    found["mfa"]["pam"]["cockpit"] = {"program": True, "present": True, "file": "/etc/pam.d/cockpit", "lines": []}
    found["mfa"]["pam_files"]["/etc/pam.d/cockpit"] = "@include common-auth\n"
    protocols = {**{"ssh": "enabled"}, "cockpit": "enabled"}
    rows = plan_of(COCKPIT, found, {**TOTP, "gold_remote_protocols": protocols})
    assert paths(rows) == [mfa_pam.FACTOR, "/etc/pam.d/cockpit"]
