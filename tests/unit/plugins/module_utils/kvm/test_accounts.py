# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""accounts: who can log in and by what, who is a person, and when an account was last used."""

from __future__ import annotations

import base64
import json
import platform
import struct

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import logins, processes
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import accounts
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

NOW = 1_800_000_000.0  # 2027-01-15
TODAY = int(NOW // 86400)
PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
sync:x:4:65534::/bin:/bin/sync
nova:x:990:990::/var/lib/nova:/bin/sh
alice:x:1000:1000::/home/alice:/bin/bash
bob:x:1001:1001::/home/bob:
carol:x:1002:1002::/home/carol:/bin/bash
dave:x:1003:1003::/home/dave:/bin/bash
erin:x:1004:1004::/home/erin:/bin/bash
+nis::::::
"""
SHADOW = f"""root:*:20000:0:99999:7:::
nova:!:20000:0:99999:7:::
alice:!:20000:0:99999:7:::
bob:$y$SECRET:20000:0:99999:7:::
carol::20000:0:99999:7:::
dave:$6$SECRET:20000:0:99999:7::{TODAY}:
erin:!!:20000:0:99999:7:::
"""
FILES = {
    "/etc/passwd": PASSWD,
    "/etc/shadow": SHADOW,
    "/etc/group": "root:x:0:\nsudo:x:27:alice\nlibvirt:x:113:nova\nalice:x:1000:\n",
    "/etc/login.defs": "UID_MIN 1000\n",
    "/etc/nsswitch.conf": "passwd: files\n",
    "/home/alice/.ssh/authorized_keys": "# mine\nssh-ed25519 AAAASECRET alice\n",
    "/home/erin/.ssh/authorized_keys": "# nothing\n\n",
    "/var/spool/cron/crontabs/alice": "",
    "/proc/10/cgroup": "0::/system.slice/nova-compute.service\n",
    "/proc/11/cgroup": "0::/user.slice/user-1000.slice/session-3.scope\n",
}
STATS = {"/proc/10": {"uid": 990, "type": "dir"}, "/proc/11": {"uid": 1000, "type": "dir"}}


def collect(files=None, commands=None, stats=None):
    notes = []
    host = FakeHost(files={**FILES, **(files or {})}, stats={**STATS, **(stats or {})}, commands=commands, now=NOW)
    facts = accounts.PART.collect(host, lambda path, reason: notes.append((path, reason)))
    return facts, {account["name"]: account for account in facts["accounts"]}, notes


def test_usable():
    _facts, known, _notes = collect()
    assert {name: account["usable"] for name, account in known.items()} == {
        "root": False,
        "daemon": False,
        "sync": False,
        "nova": False,
        "alice": True,  # locked, but a key is authorised
        "bob": True,  # an empty shell field is /bin/sh
        "carol": True,  # no password is asked for
        "dave": False,  # expired today
        "erin": False,  # a key file without a key
    }
    assert known["carol"]["password"] == "none"
    assert known["dave"]["expires_on"] == "2027-01-15"


def test_no_secret_leaves_the_host():
    assert "SECRET" not in json.dumps(collect()[0])


def test_people_services_and_groups():
    facts, known, _notes = collect()
    assert known["nova"]["human"] is False and known["nova"]["services"] == ["nova-compute.service"]
    assert known["alice"]["human"] is True and known["alice"]["privileged"] is True and known["alice"]["cron"] is True
    assert facts["groups"]["alice"] == ["alice"] and facts["groups"]["sudo"] == ["alice"]


def test_a_system_account_one_can_log_in_to_is_a_person():
    files = {
        "/var/lib/nova/.ssh/authorized_keys": "ssh-ed25519 AAAA\n",
        "/proc/10/cgroup": "0::/user.slice/user-990.slice/x\n",
    }
    assert collect(files)[1]["nova"]["human"] is True


def test_certificates_and_key_commands():
    files = {"/etc/ssh/sshd_config": "TrustedUserCAKeys /etc/ssh/ca.pub\nAuthorizedKeysFile none\n"}
    assert collect(files)[1]["erin"]["certificate"] is True
    files = {"/etc/ssh/sshd_config": "Match User erin\n AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys\n"}
    _facts, known, notes = collect(files)
    assert known["erin"]["usable"] is None and known["alice"]["usable"] is True
    assert any(path == "accounts[erin].keys" for path, _reason in notes)
    files = {"/etc/ssh/sshd_config": "AuthorizedKeysFile=/etc/ssh/keys/%u\n", "/etc/ssh/keys/erin": "ssh-rsa AAAA\n"}
    known = collect(files)[1]
    assert known["erin"]["keys"] is True and known["alice"]["keys"] is False


def test_without_root_nothing_is_claimed():
    _facts, known, notes = collect({"/etc/shadow": Unreadable("/etc/shadow: Permission denied")})
    assert known["bob"]["usable"] is None and known["bob"]["password"] is None
    assert ("accounts", "/etc/shadow: Permission denied") in notes


def test_directory_accounts():
    files = {"/etc/nsswitch.conf": "passwd: files sss\n", "/etc/group": "sudo:x:27:dana,ghost\n"}
    commands = {
        "getent passwd": (0, PASSWD, ""),
        "getent passwd dana ghost": (2, "dana:*:70001:70000::/home/dana:/bin/bash\n", ""),
    }
    known = collect(files, commands)[1]
    assert (
        known["dana"]["source"] == "directory"
        and known["dana"]["usable"] is True
        and known["dana"]["privileged"] is True
    )
    assert "ghost" not in known


def lastlog(**logged):
    uids = {"alice": 1000, "bob": 1001}
    data = bytearray(292 * 1010)
    for name, moment in logged.items():
        struct.pack_into("<i", data, 292 * uids[name], moment)
    return bytes(data)


def wtmp(*entries):
    data = b""
    for kind, name, moment in entries:
        record = bytearray(384)
        struct.pack_into("<h", record, 0, kind)
        record[44 : 44 + len(name)] = name.encode()
        struct.pack_into("<i", record, 340, moment)
        data += bytes(record)
    return data


@pytest.mark.skipif(platform.machine() in logins.WIDE_TIME, reason="these records have the layout of x86_64")
def test_last_logins():
    day = 86400
    files = {
        "/var/log/lastlog": lastlog(alice=int(NOW) - 10 * day),
        "/var/log/wtmp": wtmp((2, "reboot", int(NOW) - 30 * day), (7, "bob", int(NOW) - 5 * day)),
        "/proc/11/cgroup": "0::/system.slice/nova-compute.service\n",
    }
    facts = collect(files)[0]["account_logins"]
    assert facts["source"] == "lastlog+wtmp" and facts["since"] == ""
    assert (facts["last"]["alice"], facts["last"]["bob"], facts["last"]["carol"]) == ("2027-01-05", "2027-01-10", "")


def test_lastlog2():
    listing = "Username  Port  From  Latest\n"
    listing += "alice  pts/0  10.0.0.1  Mon Jan  4 10:11:12 +0000 2027\nbob  **Never logged in**\n"
    host = FakeHost(commands={"lastlog2": (0, listing, "")}, now=NOW)
    facts = logins.last_logins(host, {"alice": {"uid": 1000}, "bob": {"uid": 1001}})
    assert facts["last"] == {"alice": "2027-01-04", "bob": ""}


def test_a_host_that_records_no_logins_is_noted():
    files = {"/var/log/lastlog": "", "/var/log/wtmp": wtmp((2, "reboot", 1))}
    facts, _known, notes = collect(files)
    assert facts["account_logins"] is None
    assert any(path == "account_logins" and "does not record logins" in reason for path, reason in notes)


@pytest.mark.parametrize(
    ("cgroup", "place"),
    [
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", "session"),
        ("12:pids:/x\n1:name=systemd:/lab/payload/system.slice/ssh.service\n0::/lab\n", "session"),
        ("0::/system.slice/cron.service\n", "session"),
        ("1:name=systemd:/system.slice/ceph-osd@1.service\n", "ceph-osd@1.service"),
        ("0::/machine.slice/machine-qemu-1.scope\n", "machine-qemu-1.scope"),
    ],
)
def test_where_a_process_belongs(cgroup, place):
    host = FakeHost(files={"/proc/7/cgroup": cgroup}, stats={"/proc/7": {"uid": 5}})
    found = processes.owners(host, {5})[5]
    assert found == {"services": [] if place == "session" else [place], "session": place == "session"}


def key(kind):
    return f"{kind} " + base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + b"SECRET").decode()


def test_the_types_of_keys_are_told_and_nothing_of_the_keys():
    options = 'from="10.0.0.1",command="echo ssh-rsa AAAA"'
    text = f"{options} {key('sk-ssh-ed25519@openssh.com')} a\n{key('ecdsa-sha2-nistp256')}\n"
    facts, known, _notes = collect({"/home/alice/.ssh/authorized_keys": text})
    assert known["alice"]["key_types"] == ["ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"]
    assert key("ecdsa-sha2-nistp256").split()[1] not in json.dumps(facts)
