# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rsyslog's two languages, mixed as people mix them."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import rsyslog_conf
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

MAIN = "/etc/rsyslog.conf"


def read(text, **files):
    return rsyslog_conf.read(FakeHost(files={MAIN: text, **files}))


def only(text):
    targets = read(text).targets
    assert len(targets) == 1
    return targets[0]


def test_rainerscript_over_several_lines_with_comments_and_strings():
    target = only(
        """
        /* action(type="omfwd" target="commented.out") */
        # action(type="omfwd" target="also.out")
        global(DefaultNetstreamDriverCAFile="/etc/ssl/ca.pem" workDirectory="/var/spool/rsyslog")
        template(name="x" type="string" string="action(type=\\"omfwd\\" target=\\"in.a.string\\")")
        action(
            type="omfwd" target="log1" port="6514"   # a comment
            protocol="tcp" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
            StreamDriverPermittedPeers="log1,log2" gnutlsPriorityString="MinProtocol=TLSv1.2"
            queue.type="LinkedList" queue.filename="out" queue.saveOnShutdown="on"
            template="RSYSLOG_SyslogProtocol23Format")
        """
    )
    assert target == {
        "host": "log1",
        "port": "6514",
        "proto": "tcp",
        "tls": True,
        "driver": "ossl",
        "mode": "1",
        "auth_mode": "x509/name",
        "permitted_peers": ["log1", "log2"],
        "ca": "/etc/ssl/ca.pem",
        "priority": "MinProtocol=TLSv1.2",
        "queue": {"type": "linkedlist", "filename": "out", "save_on_shutdown": True},
        "template": "RSYSLOG_SyslogProtocol23Format",
        "selector": "*.*",
        "source": MAIN,
        "line": "",
    }


def test_a_legacy_directive_holds_for_the_next_action_only():
    found = read(
        "$DefaultNetstreamDriver gtls\n$ActionSendStreamDriverMode 1\n$ActionSendStreamDriverAuthMode x509/name\n"
        "$ActionQueueType LinkedList\n*.* @@log1:6514;RSYSLOG_SyslogProtocol23Format\nauth.* @@log2:514\n"
    ).targets
    assert [(t["host"], t["tls"], t["auth_mode"], t["queue"]["type"], t["selector"]) for t in found] == [
        ("log1", True, "x509/name", "linkedlist", "*.*"),
        ("log2", False, "", "", "auth.*"),
    ]


def test_a_directive_before_a_file_action_is_spent():
    target = only("$ActionSendStreamDriverMode 1\n$DefaultNetstreamDriver gtls\n*.* /var/log/all\n*.* @@log1\n")
    assert target["tls"] is False


@pytest.mark.parametrize(
    ("line", "host", "port", "proto"),
    [
        ("*.* @log1", "log1", "514", "udp"),
        ("*.* @@log1:10514", "log1", "10514", "tcp"),
        ("*.* @@(o,z9)log1:6514", "log1", "6514", "tcp"),
        ("*.* @[2001:db8::1]:514", "2001:db8::1", "514", "udp"),
        ("*.* :omrelp:log1:2514", "log1", "2514", "relp"),
        ('*.* action(type="omrelp" target="log1" port="20514")', "log1", "20514", "relp"),
    ],
)
def test_every_way_to_name_a_target(line, host, port, proto):
    target = only(line + "\n")
    assert (target["host"], target["port"], target["proto"]) == (host, port, proto)


def test_udp_and_driver_without_mode_are_not_tls():
    assert (
        only('action(type="omfwd" target="l" protocol="udp" StreamDriver="gtls" StreamDriverMode="1")')["tls"] is False
    )
    assert (
        only('action(type="omfwd" target="l" protocol="tcp" StreamDriver="gtls" StreamDriverMode="0")')["tls"] is False
    )
    assert only('action(type="omfwd" target="l" protocol="tcp" StreamDriver="gtls")')["tls"] is False


def test_relp_over_tls():
    target = only(
        'action(type="omrelp" target="l" tls="on" tls.authMode="name" tls.permittedPeer=["a","b"] tls.caCert="/ca")'
    )
    assert (target["tls"], target["auth_mode"], target["permitted_peers"], target["ca"]) == (
        True,
        "name",
        ["a", "b"],
        "/ca",
    )


def test_what_is_sent_under_a_condition_is_not_everything():
    target = only('if $programname == "x" then action(type="omfwd" target="log1" protocol="tcp")')
    assert target["selector"] == "conditional"


def test_includes_of_both_languages_are_read_in_place():
    found = read(
        '$IncludeConfig /etc/rsyslog.d/*.conf\ninclude(file="/etc/rsyslog.more")\n',
        **{
            "/etc/rsyslog.d/20-b.conf": "*.* @@second\n",
            "/etc/rsyslog.d/10-a.conf": "*.* @@first\n",
            "/etc/rsyslog.d/ignored.bak": "*.* @@never\n",
            "/etc/rsyslog.more": "*.* @@third\n",
        },
    )
    assert [target["host"] for target in found.targets] == ["first", "second", "third"]
    assert found.files == [MAIN, "/etc/rsyslog.d/10-a.conf", "/etc/rsyslog.d/20-b.conf", "/etc/rsyslog.more"]


def test_inputs_and_modules():
    found = read('module(load="imfile")\ninput(type="imfile" file="/var/log/libvirt/qemu/*.log" tag="x")\n')
    assert found.inputs == [{"type": "imfile", "file": "/var/log/libvirt/qemu/*.log", "source": MAIN}]
    assert found.loads == [{"module": "imfile", "source": MAIN}]
    assert found.modules == ["imfile"]


def test_an_include_that_cannot_be_read_spoils_the_whole():
    with pytest.raises(Unreadable, match="Permission denied"):
        read("$IncludeConfig /etc/rsyslog.d/*.conf\n", **{"/etc/rsyslog.d/a.conf": Unreadable("Permission denied")})


def test_an_include_of_itself_ends():
    with pytest.raises(Unreadable, match="too many files"):
        read(f"$IncludeConfig {MAIN}\n")


def test_no_rsyslog_is_absent():
    with pytest.raises(Absent):
        rsyslog_conf.read(FakeHost())


@pytest.mark.parametrize(
    "text", ["action(", 'action(type="omfwd', "((((", "*.* @@", "/* never closed", '"\n*.* @@log1\n']
)
def test_broken_text_never_crashes(text):
    read(text)


def test_a_line_that_makes_a_target_is_told_where_it_can_go():
    found = read(
        'include(file="/etc/rsyslog.d/*.conf")\n*.* @@log1:514  # to the old server\n',
        **{
            "/etc/rsyslog.d/a.conf": 'action(type="omfwd" target="log2" protocol="tcp")\n',
            "/etc/rsyslog.d/b.conf": "$ActionQueueType LinkedList\n*.* @@log3\n",
            "/etc/rsyslog.d/c.conf": 'if $msg contains "x" then action(type="omfwd" target="log4")\n',
        },
    ).targets
    assert [(target["source"], target["line"]) for target in found] == [
        ("/etc/rsyslog.d/a.conf", 'action(type="omfwd" target="log2" protocol="tcp")'),
        # The directive before it would hold for the next action if this one went.
        ("/etc/rsyslog.d/b.conf", ""),
        ("/etc/rsyslog.d/c.conf", ""),
        (MAIN, "*.* @@log1:514"),
    ]
