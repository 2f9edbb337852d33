# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""directory: sssd's configuration and state, the names in the keytab, and whom the directory lets in."""

from __future__ import annotations

import json
import struct

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import keytab, sssd_conf, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import directory
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

CONF = """[sssd]
services = nss, pam
domains = corp.example
[domain/corp.example]
id_provider = ldap
auth_provider = krb5
ldap_uri = ldaps://dc1.corp.example, ldaps://dc2.corp.example
ldap_default_authtok = SECRET
access_provider = simple
simple_allow_groups = kvm-admins, empty
[domain/off.example]
id_provider = ldap
[domain/on.example]
enabled = true
id_provider = ad
"""
SHOW = " ".join(systemd.command(["sssd.service"]))


def active(state="active", pid=0):
    return {SHOW: (0, f"Id=sssd.service\nLoadState=loaded\nActiveState={state}\nMainPID={pid}\n", "")}


def entry(*parts, realm="CORP.EXAMPLE", key=b"SECRETKEY"):
    body = struct.pack(">HH", len(parts), len(realm)) + realm.encode()
    for part in parts:
        body += struct.pack(">H", len(part)) + part.encode()
    body += struct.pack(">IIBHH", 1, 0, 2, 18, len(key)) + key
    return struct.pack(">i", len(body)) + body


KEYTAB = b"\x05\x02" + entry("host", "kvm1.corp.example") + struct.pack(">i", -8) + b"\0" * 8 + entry("KVM1$")


def collect(files=None, commands=None):
    notes = []
    base = {"/etc/nsswitch.conf": "passwd: files sss\n"}
    host = FakeHost(files={**base, **(files or {})}, commands=commands or {})
    return directory.PART.collect(host, lambda path, reason: notes.append((path, reason)))["identity"], notes


def test_joined():
    files = {
        "/etc/sssd/sssd.conf": CONF,
        "/etc/krb5.keytab": KEYTAB,
        "/etc/krb5.conf": "[realms]\ndefault_realm = WRONG\n[libdefaults]\n default_realm = CORP.EXAMPLE\n",
    }
    commands = {
        **active(),
        "sssctl domain-status corp.example --online": (0, "Online status: Online\n", ""),
        "sssctl domain-status on.example --online": (1, "", "InfoPipe operation failed.\n"),
        "getent group kvm-admins": (0, "kvm-admins:*:70000:alice,dana\n", ""),
        "getent group empty": (2, "", ""),
    }
    facts, notes = collect(files, commands)
    assert (facts["joined"], facts["domain"], facts["protocol"]) == (True, "corp.example", "kerberos")
    assert facts["krb5"] == {
        "default_realm": "CORP.EXAMPLE",
        "principals": ["KVM1$@CORP.EXAMPLE", "host/kvm1.corp.example@CORP.EXAMPLE"],
    }
    assert facts["access"] == {"users": [], "groups": {"kvm-admins": ["alice", "dana"], "empty": []}}
    first, second = facts["sssd"]["domains"]
    assert first["ldap_uri"] == ["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"] and first["online"] == "online"
    # A domain without access_provider lets everybody in; sssd that cannot be asked is neither online nor offline.
    assert second["access_provider"] == "permit" and second["online"].startswith("not known: sssctl domain-status")
    assert notes == []
    assert "SECRET" not in json.dumps(facts)


def test_not_joined():
    facts, notes = collect()
    assert facts["joined"] is False and facts["sssd"]["configured"] is False and notes == []


def test_stopped_sssd_is_not_joined():
    assert collect({"/etc/sssd/sssd.conf": CONF}, active("inactive"))[0]["joined"] is False


def test_drop_ins_override():
    host = FakeHost(
        files={
            "/etc/sssd/sssd.conf": CONF,
            "/etc/sssd/conf.d/50.conf": "[domain/corp.example]\naccess_provider = deny\n",
        }
    )
    assert sssd_conf.read(host)["domains"][0]["access_provider"] == "deny"


def test_without_root_nothing_is_claimed():
    facts, notes = collect({"/etc/sssd/sssd.conf": Unreadable("/etc/sssd/sssd.conf: Permission denied")})
    assert facts["joined"] is None and facts["access"] is None
    assert {path for path, _reason in notes} >= {"identity.sssd", "identity.joined"}


def test_another_client_is_not_taken_for_none():
    facts, notes = collect({"/etc/nsswitch.conf": "passwd: files winbind\n"})
    assert facts["joined"] is None
    assert notes[0][0] == "identity.joined"


@pytest.mark.parametrize("data", [b"", b"\x05\x01abc", b"\x05\x02\x00\x00\x00\x09\x00\x02"])
def test_a_broken_keytab(data):
    with pytest.raises(Unreadable):
        keytab.principals(data)
