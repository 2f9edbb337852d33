# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People log in to a host on which the role mfa was used: with both factors they get in, with one they do not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import struct
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.enforcement import enforced
from ansible_collections.dwp.hypervisor.tests.integration.enforcement.soft_token import SoftToken
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted
from ansible_collections.dwp.hypervisor.tests.lab.kvm import rootfs

SEEDS = {"alice": b"12345678901234567890", "bob": b"12345678901234567891"}
PASSWORDS = {"alice": "lab-only-Word-1", "bob": "lab-only-Word-2"}
# Asks libpam inside the host, in the place of sudo, su and login; answers prompts by what they ask for.
ASK = """
import ctypes, json, sys
pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
class Message(ctypes.Structure): _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]
class Answer(ctypes.Structure): _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]
Talk = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Message)),
                        ctypes.POINTER(ctypes.POINTER(Answer)), ctypes.c_void_p)
class Conversation(ctypes.Structure): _fields_ = [("talk", Talk), ("data", ctypes.c_void_p)]
def attempt(service, user, password, code):
    def talk(count, messages, answers, _data):
        found = ctypes.cast(libc.calloc(count, ctypes.sizeof(Answer)), ctypes.POINTER(Answer))
        for number in range(count):
            message = messages[number].contents
            if message.style in (1, 2):
                text = code if b"one-time" in message.text.lower() else password
                found[number].text = libc.strdup(text.encode())
        answers[0] = found
        return 0
    conversation = Conversation(Talk(talk), None)
    handle = ctypes.c_void_p()
    pam.pam_start(service.encode(), user.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    pam.pam_fail_delay(handle, 0)
    end = pam.pam_authenticate(handle, 0) or pam.pam_acct_mgmt(handle, 0)
    pam.pam_end(handle, end)
    return end == 0
print(json.dumps([attempt(*given) for given in json.loads(sys.argv[1])]))
"""


def code_of(name: str, ahead: int = 0) -> str:
    """The one-time code of a person (RFC 6238), `ahead` steps of 30 s from now; a code is good once."""
    moment = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.new(SEEDS[name], moment, hashlib.sha1).digest()
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 1000000:06d}"


def address_of(host: booted.BootedHost) -> str:
    """The address by which the host is reached."""
    return str(re.search(r"ansible_host: '?\"?([\d.]+)", host.inventory.read_text(encoding="utf-8")).group(1))


def role(host: booted.BootedHost, gold: dict[str, Any]) -> dict[str, Any]:
    """Use the role mfa on the host and return what became of it."""
    exempt = [
        {"account": "ansible", "sources": [address_of(host).rpartition(".")[0] + ".0/24"], "exception": "EX-LAB"},
        {"account": "breakglass", "sources": ["console"], "exception": "EX-GLASS"},
    ]
    variables = {**enforced.PEOPLE, "gold_mfa_exempt": exempt, "hypervisor_rollback_seconds": 60, **gold}
    play = [
        {
            "name": "Second factor",
            "hosts": host.name,
            "gather_facts": False,
            "roles": [{"role": "dwp.hypervisor.mfa", "vars": variables}],
        }
    ]
    done = enforced.play_result(host, play)
    assert done["code"] == 0, done["output"][-3000:]
    return done["tasks"][-1]


def ssh(host: booted.BootedHost, name: str, *options: str, **environment: str) -> bool:
    """Whether a person gets in over ssh with what the options and the environment give."""
    argv = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", *options]
    done = subprocess.run(
        [*argv, f"{name}@{address_of(host)}", "id", "-un"],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "SSH_AUTH_SOCK": "", **environment},
    )  # fmt: skip
    return done.stdout.strip() == name


def key(name: str) -> tuple[str, ...]:
    """ssh's options for a person's ordinary key."""
    return ("-o", "IdentitiesOnly=yes", "-i", str(rootfs.keys() / name))


@pytest.fixture(scope="module")
def coded(lab_ready: None) -> Iterator[booted.BootedHost]:
    """A host where the variant totp is in force, and failed attempts are counted."""
    host = booted.BootedHost(f"totp-{os.getpid()}")
    words = "".join(f"{name}:{word}\\n" for name, word in PASSWORDS.items())
    tokens = "".join(f"HOTP/T30/6 {name} - {seed.hex()}\\n" for name, seed in SEEDS.items())
    host.run(f"printf '{words}' | chpasswd; printf '{tokens}' > /etc/users.oath; chmod 0600 /etc/users.oath")
    host.run(
        "sed -i '1i auth required pam_faillock.so preauth\\nauth [success=1 default=ignore] pam_unix.so\\n"
        "auth [default=die] pam_faillock.so authfail' /etc/pam.d/common-auth"
    )
    role(host, {"gold_mfa_variant": "totp"})
    yield host
    host.stop()


def logins(host: booted.BootedHost, *attempts: tuple[str, str, str, str]) -> list[bool]:
    """For each (service, account, password, code): whether libpam lets it in."""
    return json.loads(host.run(f"python3 - '{json.dumps(attempts)}' <<'PYTHON'\n{ASK}\nPYTHON"))


@pytest.mark.timeout(300)
def test_ssh_asks_for_the_key_and_the_code(coded: booted.BootedHost, tmp_path: pathlib.Path) -> None:
    asked = tmp_path / "askpass"
    asked.write_text('#!/bin/sh\ncase "$1" in *ne-time*) echo "$CODE";; *) echo "$WORD";; esac\n', encoding="utf-8")
    asked.chmod(0o700)
    answers = {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none", "WORD": PASSWORDS["alice"]}
    assert ssh(coded, "alice", *key("alice"), **answers, CODE=code_of("alice"))
    assert not ssh(coded, "alice", *key("alice"), **answers, CODE="000000")
    assert not ssh(coded, "alice", *key("alice"), "-o", "BatchMode=yes")
    assert not ssh(coded, "alice", "-o", "PubkeyAuthentication=no", **answers, CODE=code_of("alice", 1))
    assert ssh(coded, "ansible", *key("ansible"), "-o", "BatchMode=yes"), "the exempt account comes by key"


@pytest.mark.timeout(300)
def test_sudo_login_and_polkit_ask_for_the_code_and_root_is_not_asked(coded: booted.BootedHost) -> None:
    word = PASSWORDS["bob"]
    glass = (rootfs.keys() / "breakglass.password").read_text(encoding="utf-8").strip()
    assert logins(
        coded,
        ("sudo", "bob", word, code_of("bob")),
        ("sudo", "bob", word, "000000"),
        ("sudo", "bob", "wrong", code_of("bob", 1)),
    ) == [True, False, False]
    coded.run("faillock --user bob --reset")
    assert logins(
        coded,
        ("login", "bob", word, code_of("bob", 2)),
        ("login", "bob", word, ""),
        ("polkit-1", "bob", word, code_of("bob", 3)),
        ("polkit-1", "bob", word, "000000"),
        # The process is root, and root changes to anybody without being asked: cron jobs do.
        ("su", "bob", "", ""),
        ("su-l", "bob", "", ""),
        ("login", "breakglass", glass, ""),
        ("sudo", "breakglass", glass, ""),
        ("polkit-1", "breakglass", glass, ""),
    ) == [True, False, True, False, True, True, True, True, False]


@pytest.mark.timeout(300)
def test_wrong_codes_lock_the_account_and_never_that_of_break_glass(coded: booted.BootedHost) -> None:
    word = PASSWORDS["bob"]
    glass = (rootfs.keys() / "breakglass.password").read_text(encoding="utf-8").strip()
    coded.run("faillock --user bob --reset; printf 'deny = 3\\n' >> /etc/security/faillock.conf")
    assert logins(coded, *[("sudo", "bob", word, "000000")] * 3, ("sudo", "bob", word, code_of("bob", 5)))[-1] is False
    coded.run("faillock --user bob --reset")
    assert logins(coded, ("sudo", "bob", word, code_of("bob", 6))) == [True]
    wrong = logins(coded, *[("sudo", "breakglass", "wrong", "")] * 3)
    assert wrong == [False] * 3
    coded.run("faillock --user breakglass --reset")
    assert logins(coded, ("sudo", "breakglass", glass, "")) == [True]


@pytest.mark.timeout(300)
def test_a_security_key_gets_in_when_its_user_was_verified(lab_ready: None, tmp_path: pathlib.Path) -> None:
    host = booted.BootedHost(f"fido-{os.getpid()}")
    try:
        token = SoftToken()
        for name in ("alice", "bob"):
            host.run(f"echo '{token.line}' >> /home/{name}/.ssh/authorized_keys")
        done = role(host, {"gold_mfa_variant": "fido2"})
        assert done["changed"]
        with token.agent(tmp_path / "agent") as agent:
            assert ssh(host, "alice", "-o", "BatchMode=yes", SSH_AUTH_SOCK=str(agent))
            token.verified = False
            assert not ssh(host, "alice", "-o", "BatchMode=yes", SSH_AUTH_SOCK=str(agent)), "touched, but no PIN"
        assert not ssh(host, "alice", *key("alice"), "-o", "BatchMode=yes"), "an ordinary key"
        assert ssh(host, "ansible", *key("ansible"), "-o", "BatchMode=yes")
    finally:
        host.stop()


def test_the_codes_are_those_of_the_standard() -> None:
    digest = hmac.new(b"12345678901234567890", struct.pack(">Q", 1), hashlib.sha1).digest()
    place = digest[-1] & 15
    assert (struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF) % 10**8 == 94287082  # RFC 6238, appendix B
    assert base64.b16encode(SEEDS["alice"]) == b"3132333435363738393031323334353637383930"
