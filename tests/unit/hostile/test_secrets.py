# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in arguments stay on the host: with -vvv Ansible prints an answer before anything can redact it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import pam, ssh
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

RECORDING = Path(__file__).parents[1] / "plugins" / "module_utils" / "kvm" / "recordings" / "debian12.json"
SECRET = "Planted9f27"


def arguments(line):
    errors = {}
    found = pam.collect(FakeHost({"/etc/pam.d/sshd": line + "\n"}), errors.setdefault)["mfa"]["pam"]["sshd"]
    assert SECRET not in str(errors)
    return found and found["lines"][0]["args"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"auth required pam_radius_auth.so secret={SECRET} conf=/etc/r", "secret=*** conf=/etc/r"),
        (f"auth required pam_mysql.so user=u PassWd={SECRET}", "user=u PassWd=***"),
        (f"auth required pam_x.so client_secret={SECRET} api-token={SECRET}", "client_secret=*** api-token=***"),
        (f"auth required pam_x.so [bind_password=a {SECRET} \\] {SECRET}] debug", "[bind_password=***] debug"),
        (f"auth required pam_x.so [bind_password=a {SECRET}", "[bind_password=***"),
        (f"auth required pam_x.so pwd={SECRET} psk={SECRET} credentials={SECRET}", "pwd=*** psk=*** credentials=***"),
        (f"auth optional pam_exec.so quiet log=/x /bin/curl -u u:{SECRET}", "quiet log=/x /bin/curl ***"),
        ("auth required pam_unix.so nullok try_first_pass", "nullok try_first_pass"),
        ("auth required pam_faillock.so preauth deny=5 unlock_time=900", "preauth deny=5 unlock_time=900"),
        ("auth required pam_exec.so /usr/bin/check", "/usr/bin/check"),
    ],
)  # fmt: skip
def test_pam_arguments_that_name_a_secret_or_belong_to_a_command(line, shown):
    assert arguments(line) == shown


@pytest.mark.parametrize("line", [f"garbage required pam_x.so secret={SECRET}", f"auth required\tsecret={SECRET}="])
def test_a_line_that_pam_refuses_is_not_quoted(line):
    arguments(line)


def test_commands_of_sshd_keep_their_program_only():
    recording = json.loads(RECORDING.read_text())
    asked = next(key for key in recording if key.startswith('run [["/usr/sbin/sshd", "-T"'))
    out = recording[asked]["value"]["answer"][1]
    for keyword in ssh.COMMANDS:
        assert f"\n{keyword} none\n" in out
        out = out.replace(f"\n{keyword} none\n", f"\n{keyword} /usr/bin/get --pw {SECRET}\n")
    found = ssh.settings(out)
    assert SECRET not in str(found)
    assert [found[keyword] for keyword in ssh.COMMANDS] == ["/usr/bin/get ***"] * 3
