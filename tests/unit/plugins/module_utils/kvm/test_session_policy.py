# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""session_policy: faillock.conf, TMOUT as a login shell ends up with it, and what logind applies."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import session_policy
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

ASK = " ".join(session_policy.LOGIN_MANAGER) + " StopIdleSessionUSec"


def collect(files=None, answer=(0, "t 900000000\n", "")):
    notes = []
    host = FakeHost(files=files or {}, commands={ASK: answer})
    return session_policy.PART.collect(host, lambda path, reason: notes.append((path, reason)))["session_policy"], notes


@pytest.mark.parametrize(
    ("text", "seconds", "frozen"),
    [
        ("TMOUT=900\nreadonly TMOUT\nexport TMOUT\n", 900, True),
        ("readonly TMOUT=900 ; export TMOUT\n", 900, True),
        ("declare -xr TMOUT=600\n", 600, True),
        ("typeset -r TMOUT=600\nTMOUT=0\n", 600, True),
        ("export TMOUT=900\n", 900, False),
        ("TMOUT=900\nTMOUT=0\n", 0, False),
        ("# TMOUT=900\n", 0, False),
        ("TMOUT=900;export TMOUT\n", 900, False),
    ],
)
def test_tmout(text, seconds, frozen):
    facts, notes = collect({"/etc/profile.d/tmout.sh": text})
    assert (facts["tmout"]["seconds"], facts["tmout"]["readonly"]) == (seconds, frozen)
    assert notes == []


@pytest.mark.parametrize(
    "text",
    [
        "if true; then\n  TMOUT=900\nfi\n",
        "TMOUT=$LIMIT\n",
        "unset TMOUT\n",
        '[ -z "$TMOUT" ] && TMOUT=900\n',
        "eval TMOUT=9\n",
    ],
)
def test_tmout_that_depends_is_noted(text):
    facts, notes = collect({"/etc/profile.d/tmout.sh": text})
    assert facts["tmout"] is None and notes[0][0] == "session_policy.tmout"


def test_faillock():
    facts, _notes = collect({"/etc/security/faillock.conf": "deny = 5 # few\nunlock_time=never\neven_deny_root\n"})
    assert facts["faillock"] == {"deny": 5, "unlock_time": 0, "fail_interval": 900}
    assert collect()[0]["faillock"] == session_policy.FAILLOCK
    assert collect({"/etc/security/faillock.conf": "deny = many\n"})[1][0][0] == "session_policy.faillock"


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ((0, "t 900000000\n", ""), 900),
        ((0, "t 18446744073709551615\n", ""), 0),
        ((1, "", "Failed to get property: Unknown property StopIdleSessionUSec\n"), 0),
        ((1, "", "Access denied\n"), None),
        ((0, "", ""), None),
    ],
)
def test_logind(answer, seconds):
    facts, notes = collect(answer=answer)
    assert facts["stop_idle_seconds"] == seconds
    assert bool(notes) is (seconds is None)
