# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock-out after failed attempts, the end of idle sessions, and /dev/kvm (11.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import people, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import mfa_pam
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_sessions import TALLY

FAILLOCK_CONF = "/etc/security/faillock.conf"
# pam-auth-update(8): a profile of ours before the password is tried, one after it, in the order of their priority.
PROFILES = "/usr/share/pam-configs/"
BEFORE, AFTER = "dwp-hypervisor-lockout", "dwp-hypervisor-lockout-count"
COMMON = tuple(
    f"/etc/pam.d/common-{kind}" for kind in ("auth", "account", "password", "session", "session-noninteractive")
)
STATE = tuple(
    f"/var/lib/pam/{kind}" for kind in ("auth", "account", "password", "session", "session-noninteractive", "seen")
)
AUTHSELECT = (
    "authselect.conf", "system-auth", "password-auth", "fingerprint-auth", "smartcard-auth", "postlogin",
    "nsswitch.conf", "dconf-db", "dconf-locks",
)  # fmt: skip
# pam_faillock's own values: what is in force where nobody has chosen any.
DEFAULTS = {"deny": 3, "unlock_time": 600}
# pam-auth-update asks debconf, which writes its database anew.
DEBCONF = tuple(
    f"/var/cache/debconf/{name}" for name in ("config.dat", "config.dat-old", "templates.dat", "templates.dat-old")
)
TIMEOUT = "/etc/profile.d/zz-dwp-hypervisor-timeout.sh"
UDEV_RULE = "/etc/udev/rules.d/99-dwp-hypervisor-kvm.rules"


def lockout(situation: Situation) -> list[Row]:
    """kvm-11.2.5-lockout."""
    lines = _lines(situation)
    if any(line["module"] in TALLY for line in lines):
        return [plan.by_hand("pam_tally2 is in PAM's stacks and no longer maintained: replace it by pam_faillock")]
    own = [word for line in lines if line["module"] == "pam_faillock.so" for word in line["args"].split()]
    fixed = sorted({word for word in own if word.startswith(("deny=", "unlock_time=", "conf="))})
    if fixed:
        return [
            plan.by_hand(f"pam_faillock has {', '.join(fixed)} in PAM's own lines, which outweighs {FAILLOCK_CONF}")
        ]
    people.two_people(situation)
    mfa_pam.installed(situation, "pam_faillock.so")
    gold = situation.gold
    values: dict[str, str | None] = {
        "deny": str(gold["gold_lockout_attempts"]),
        "unlock_time": str(gold["gold_lockout_seconds"]),
    }
    counts = {"preauth", "authfail"} <= set(own)
    found = situation.facts["session_policy"]["faillock"]
    chosen = counts or any(found[key] != value for key, value in DEFAULTS.items())
    values = _needed(situation, values) if chosen else values
    rows = [plan.keys(FAILLOCK_CONF, values, syntax="libvirt")] if values else []
    return rows if counts else rows + _module(situation)


def _needed(situation: Situation, values: dict[str, str | None]) -> dict[str, str | None]:
    """Only what is weaker than gold: a host may be stricter."""
    found: dict[str, Any] = situation.facts["session_policy"]["faillock"]
    deny, seconds = found["deny"], found["unlock_time"]
    if 1 <= deny <= int(values["deny"] or 0):
        values = {key: value for key, value in values.items() if key != "deny"}
    if seconds == 0 or seconds >= int(situation.gold["gold_lockout_seconds"]):
        values = {key: value for key, value in values.items() if key != "unlock_time"}
    return values


def _lines(situation: Situation) -> list[Mapping[str, Any]]:
    found = mfa_pam.stacks(situation)
    try:
        return [line for service in ("login", "sshd") for line in found.lines(service)]
    except Unreadable as reason:
        raise Refusal(f"PAM's stacks of login and sshd were not read ({reason})") from None


def _module(situation: Situation) -> list[Row]:
    """pam_faillock before and after the password, in the way each family writes its stacks.

    The break-glass accounts are left out: whoever can reach the host could lock them with a few wrong passwords.
    """
    if situation.family == "rhel":
        return [
            plan.generated(
                ("authselect", "enable-feature", "with-faillock"),
                files=[f"/etc/authselect/{name}" for name in AUTHSELECT],
                holds={f"/etc/authselect/{name}": "pam_faillock.so" for name in ("system-auth", "password-auth")},
                undo=("authselect", "disable-feature", "with-faillock"),
            )
        ]
    spared = ":".join(sorted(map(str, situation.gold["gold_breakglass_accounts"])))
    skip = f"\t[success=1 default=ignore] pam_succeed_if.so quiet user in {spared}\n" if spared else ""
    return [
        plan.file(
            PROFILES + BEFORE,
            "Name: Lock accounts after failed logins (dwp.hypervisor)\nDefault: yes\nPriority: 1024\n"
            f"Auth-Type: Primary\nAuth:\n{skip}\trequired pam_faillock.so preauth\n"
            "Account-Type: Additional\nAccount:\n\trequired pam_faillock.so\n",
        ),
        plan.file(
            PROFILES + AFTER,
            "Name: Count failed logins (dwp.hypervisor)\nDefault: yes\nPriority: 0\n"
            f"Auth-Type: Primary\nAuth:\n{skip}\t[default=die] pam_faillock.so authfail\n",
        ),
        plan.generated(
            ("/usr/sbin/pam-auth-update", "--package", "--enable", BEFORE, AFTER),
            files=(*COMMON, *STATE, *DEBCONF),
            holds={COMMON[0]: "pam_faillock.so authfail", COMMON[1]: "pam_faillock.so"},
            sources=(PROFILES + BEFORE, PROFILES + AFTER),
            undo=("/usr/sbin/pam-auth-update", "--package", "--remove", BEFORE, AFTER),
        ),
    ]


def session_timeout(situation: Situation) -> list[Row]:
    """kvm-11.2.5-session-timeout: TMOUT for login shells; the login manager would end sessions that copy a disk."""
    found = situation.facts["session_policy"]["tmout"]
    if found is None:
        raise Refusal("what login shells read of TMOUT was not understood: settle it by hand")
    others = found["file"] not in ("", TIMEOUT)
    if others and (found["readonly"] or not found["file"].startswith(("/etc/profile", "/etc/environment"))):
        return [
            plan.by_hand(f"{found['file']} sets TMOUT={found['seconds']} where ours comes too early: change it there")
        ]
    seconds = int(situation.gold["gold_idle_session_seconds"])
    text = f"# Written by dwp.hypervisor (measure 11.2.5).\nTMOUT={seconds}\nreadonly TMOUT\nexport TMOUT\n"
    return [plan.file(TIMEOUT, text)]


def device(_situation: Situation) -> list[Row]:
    """kvm-11.2.5-dev-kvm: now, and whenever udev makes the device again."""
    rule = 'KERNEL=="kvm", OWNER="root", GROUP="kvm", MODE="0660"\n'
    return [
        plan.file(UDEV_RULE, "# Written by dwp.hypervisor (measure 11.2.5).\n" + rule),
        plan.access("/dev/kvm", mode="0660", owner="root", group="kvm"),
    ]


PLANS: dict[str, Planner] = {
    "kvm-11.2.5-lockout": lockout,
    "kvm-11.2.5-session-timeout": session_timeout,
    "kvm-11.2.5-dev-kvm": device,
}
