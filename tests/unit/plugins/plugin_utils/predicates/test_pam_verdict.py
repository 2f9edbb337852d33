# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way through a PAM stack, as libpam goes: who gets in when the second factor says no."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.pam_verdict import unenforced

FACTORS = ["pam_oath.so", "pam_u2f.so", "pam_google_authenticator.so"]
DEBIAN = """[success=2 default=ignore] pam_unix.so nullok
[success=1 default=ignore] pam_sss.so
requisite pam_deny.so
required pam_permit.so"""
RHEL = """required pam_env.so
required pam_faildelay.so
[default=1 ignore=ignore success=ok] pam_usertype.so
[default=1 ignore=ignore success=ok] pam_localuser.so
sufficient pam_unix.so nullok
[default=1 ignore=ignore success=ok] pam_usertype.so
sufficient pam_sss.so forward_pass
required pam_deny.so"""


def stack(text, level=0):
    lines = []
    for line in text.splitlines():
        if line.startswith("["):
            control, _bracket, rest = line.partition("] ")
            control += "]"
        else:
            control, _blank, rest = line.partition(" ")
        module, _blank, args = rest.partition(" ")
        lines.append({"control": control, "module": module, "args": args, "level": level})
    return lines


def substack(text):
    return [{"control": "substack", "module": "password-auth", "args": "", "level": 0}, *stack(text, 1)]


@pytest.mark.parametrize(
    "lines",
    [
        stack("required pam_oath.so\n" + DEBIAN),
        stack(DEBIAN + "\nrequired pam_oath.so"),
        stack("requisite pam_u2f.so\n" + RHEL),
        stack("[success=ok default=die] pam_u2f.so\n" + RHEL),
        # done inside a substack ends the substack only: the factor after it is still asked for.
        substack(RHEL) + stack("required pam_u2f.so"),
        stack("required pam_u2f.so") + substack(RHEL),
        # pam_rootok: whoever is root already.
        stack("sufficient pam_rootok.so\nrequired pam_oath.so\n" + DEBIAN),
        stack("sufficient pam_oath.so\nrequired pam_deny.so"),
    ],
)
def test_enforced(lines):
    assert unenforced(lines, FACTORS) == ""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (stack(DEBIAN), "no second factor"),
        ([], "no second factor"),
        (stack("optional pam_oath.so\n" + DEBIAN), "although the second factor failed"),
        (stack("sufficient pam_oath.so\n" + DEBIAN), "pam_permit.so lets people in"),
        (stack("[success=ok default=ignore] pam_oath.so\n" + DEBIAN), "lets people in"),
        # Without enrolment the module says user_unknown.
        (stack("[success=ok user_unknown=ignore default=die] pam_oath.so\n" + DEBIAN), "lets people in"),
        (stack("required pam_google_authenticator.so nullok\n" + DEBIAN), "nullok lets everybody in"),
        (stack("required pam_u2f.so nouserok\n" + DEBIAN), "nouserok lets everybody in"),
        # What ends the stack before the factor is reached.
        (stack(RHEL + "\nrequired pam_oath.so"), "pam_unix.so lets people in"),
        (stack("sufficient pam_wheel.so trust\nrequired pam_oath.so\n" + DEBIAN), "pam_wheel.so lets people in"),
        (
            stack("[success=1 default=ignore] pam_succeed_if.so user ingroup ops\nrequired pam_oath.so\n" + DEBIAN),
            "lets people in",
        ),
        (stack("[success=done default=ignore] pam_access.so\nrequired pam_oath.so"), "pam_access.so lets people in"),
        # A failure that another module's reset forgets.
        (stack("required pam_oath.so\n[success=reset default=ignore] pam_x.so\nrequired pam_unix.so"), "pam_unix.so"),
    ],
)
def test_not_enforced(lines, why):
    assert why in unenforced(lines, FACTORS)


def test_an_exempt_account_may_be_excused_by_name():
    lines = stack(
        "[success=1 default=ignore] pam_succeed_if.so quiet user in ansible:backup\nrequired pam_oath.so\n" + DEBIAN
    )
    assert unenforced(lines, FACTORS, ["ansible", "backup"]) == ""
    assert "lets people in" in unenforced(lines, FACTORS, ["ansible"])


@pytest.mark.parametrize(
    "change", [{"control": None}, {"module": None}, {"args": 7}, {"level": None}, {"control": "necessary"}]
)
def test_a_line_that_is_not_whole_is_not_judged(change):
    lines = stack("required pam_oath.so\n" + DEBIAN)
    lines[1] = {**lines[1], **change}
    with pytest.raises(MissingFact):
        unenforced(lines, FACTORS)


def test_long_stacks_and_controls_are_refused_at_once():
    with pytest.raises(MissingFact):
        unenforced(stack("\n".join(["required pam_x.so"] * 500)), FACTORS)
    with pytest.raises(MissingFact):
        unenforced([{"control": "[" + "x" * 70000 + "]", "module": "a", "args": "", "level": 0}], FACTORS)
