# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about audit rules, symbolic links and log servers, on real files, sockets and certificates."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import (
    audit_rules,
    engine,
    links,
    log_access,
    log_server,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan

SETTINGS = {"ca": "gold_log_ca_file", "certificate": "gold_log_client_certificate", "key": "gold_log_client_key"}


def rules(path, *watches):
    row = {"kind": "audit_rules", "key": "k", "watches": list(watches)}
    # The account of the test, so that no access differs.
    return {**plan.file(str(path), "", owner=str(os.getuid()), group=str(os.getgid())), **row}


def watch(path, people_only=False, required=False):
    return {"path": str(path), "people_only": people_only, "required": required}


def test_rules_only_for_what_exists(tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    row = rules(
        tmp_path / "x.rules",
        watch(tmp_path / "dir", people_only=True),
        watch(tmp_path / "file", people_only=True),
        watch(tmp_path / "dir"),
        watch(tmp_path / "absent"),
    )
    world = engine.World()
    assert list(audit_rules.audit_rules(row, world).values()) == [["absent", "gold content"]]
    assert world.draft(str(tmp_path / "x.rules")).text.splitlines()[1:] == [
        f"-a always,exit -F dir={tmp_path}/dir -F perm=wa -F auid!=unset -F key=k",
        f"-a always,exit -F path={tmp_path}/file -F perm=wa -F auid!=unset -F key=k",
        f"-w {tmp_path}/dir -p wa -k k",
    ]


def test_a_watch_that_has_to_be_there_is_an_error_without_its_path(tmp_path):
    with pytest.raises(ValueError, match="absent does not exist"):
        audit_rules.audit_rules(rules(tmp_path / "x.rules", watch(tmp_path / "absent", required=True)), engine.World())


class Change:
    def __init__(self):
        self.entries = []

    def note(self, entry):
        self.entries.append(entry)


def take(world):
    change = Change()
    for note, do, _files in world.steps:
        note(change)
        do()
    return change.entries


@pytest.mark.parametrize("before", [None, "/old"])
def test_a_link_and_its_way_back(tmp_path, before):
    path = tmp_path / "default.target"
    if before:
        path.symlink_to(before)
    world = engine.World()
    row = plan.link(str(path), "/new")
    assert links.link(row, world) == {str(path): [before or "absent", "/new"]}
    entries = take(world)
    assert str(path.readlink()) == "/new"
    assert links.link(row, engine.World()) == {}
    subprocess.run(entries[0]["argv"], check=True)
    assert (str(path.readlink()) if path.is_symlink() else None) == before


def test_a_file_where_a_link_should_be_is_left(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(ValueError, match="not a symbolic link"):
        links.link(plan.link(str(tmp_path / "x"), "/new"), engine.World())


def test_a_log_keeps_its_file_and_what_is_written_to_it(tmp_path):
    path = tmp_path / "auth.log"
    path.write_text("one\n")
    path.chmod(0o666)
    row = {"kind": "log_access", "path": str(path), "mode": "0640", "group": ""}
    world = engine.World()
    with path.open("a") as writer:
        assert list(log_access.log_access(row, world)) == [f"{path}: access"]
        entries = take(world)
        writer.write("two\n")
    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (entries[0]["op"], entries[0]["mode"]) == ("access", 0o666)
    assert log_access.log_access(row, engine.World()) == {}
    path.unlink()
    assert log_access.log_access(row, engine.World()) == {}


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """An authority (ca.pem), another one (other.pem), and a server's certificate of the first (srv.pem, srv.key)."""
    place = tmp_path_factory.mktemp("keys")
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=place)  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=log.example", "-keyout", "srv.key", "-out", "srv.csr",
            cwd=place)  # fmt: skip
    (place / "ext").write_text("subjectAltName=DNS:log.example\n")
    openssl("x509", "-req", "-in", "srv.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "srv.pem", cwd=place)  # fmt: skip
    return place


@pytest.fixture(scope="module")
def server(keys):
    """The port of a log server that speaks TLS, and of one that does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "srv.pem", keys / "srv.key")
    with socket.create_server(("127.0.0.1", 0)) as tls, socket.create_server(("127.0.0.1", 0)) as plain:

        def serve(listener, answer):
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    answer(connection)

        def handshake(connection):
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                return

        threading.Thread(target=serve, args=(tls, handshake), daemon=True).start()
        threading.Thread(target=serve, args=(plain, lambda c: c.sendall(b"220 hello\r\n")), daemon=True).start()
        yield tls.getsockname()[1], plain.getsockname()[1]
        for listener in (tls, plain):
            listener.shutdown(socket.SHUT_RDWR)


def row(keys, port, ca="ca.pem", name="log.example", **others):
    return {
        "servers": [{"host": "127.0.0.1", "port": port, "name": name}],
        "ca": str(keys / ca),
        "certificate": "",
        "key": "",
        "user": "root",
        "fingerprints": False,
        "settings": SETTINGS,
        **others,
    }


def test_a_server_that_shows_the_right_certificate(keys, server):
    assert log_server.log_server(row(keys, server[0]), engine.World()) == {}


def test_a_server_that_does_not_answer_is_no_reason_against(keys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = engine.World()
    assert log_server.log_server(row(keys, port), world) == {}
    (wait,) = world.afterwards
    began = time.monotonic()
    wait()
    assert time.monotonic() - began < log_server.TIME_LIMIT_S / 2


def test_a_change_ends_when_the_server_that_answers_is_reached(keys, server):
    world = engine.World()
    log_server.log_server(row(keys, server[0]), world)
    (wait,) = world.afterwards
    done = threading.Event()
    threading.Thread(target=lambda: (wait(), done.set()), daemon=True).start()
    assert not done.wait(1)
    # As rsyslog does: it connects a moment after it was restarted.
    with socket.create_connection(("127.0.0.1", server[0])):
        assert done.wait(log_server.TIME_LIMIT_S / 2)


def test_a_server_that_cannot_be_reached_is_waited_for_a_while(keys, server, monkeypatch):
    monkeypatch.setattr(log_server, "TIME_LIMIT_S", 0.5)
    world = engine.World()
    log_server.log_server(row(keys, server[0]), world)
    began = time.monotonic()
    world.afterwards[0]()
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"ca": "other.pem"}, "does not hold for the name log.example with the authority .*other.pem"),
        ({"name": "log2.example"}, "does not hold for the name log2.example"),
        ({"ca": "absent.pem"}, "gold_log_ca_file is .*absent.pem, which cannot be used: No such file"),
        ({"ca": "srv.key"}, "gold_log_ca_file is .*srv.key, which holds no certificate"),
        ({"user": "nobody-here"}, "there is no such account"),
    ],
)
def test_what_would_stop_logging_without_a_sound(keys, server, others, words):
    with pytest.raises(ValueError, match=words):
        log_server.log_server(row(keys, server[0], **others), engine.World())


def test_a_server_without_tls(keys, server):
    with pytest.raises(ValueError, match="does not speak TLS"):
        log_server.log_server(row(keys, server[1]), engine.World())


def test_fingerprints_are_compared_by_rsyslog_alone(keys, server):
    assert log_server.log_server(row(keys, server[0], ca="other.pem", fingerprints=True), engine.World()) == {}


def test_a_client_certificate_and_key_have_to_belong_together(keys, server):
    pair = {"certificate": str(keys / "srv.pem"), "key": str(keys / "srv.key")}
    assert log_server.log_server(row(keys, server[0], **pair), engine.World()) == {}
    with pytest.raises(ValueError, match="gold_log_client_certificate and gold_log_client_key do not belong together"):
        log_server.log_server(row(keys, server[0], **{**pair, "key": str(keys / "ca.key")}), engine.World())


def test_a_key_rsyslog_cannot_read(keys, server):
    pair = {"certificate": str(keys / "srv.pem"), "key": str(keys / "srv.key")}
    (keys / "srv.key").chmod(0o600)
    with pytest.raises(ValueError, match=r"gold_log_client_key is .*, which rsyslog cannot read: it runs as nobody"):
        log_server.log_server(row(keys, server[0], user="nobody", **pair), engine.World())
