# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row that changes nothing: what has to be true before logs may be sent to a server over TLS.

A wrong certificate authority stops logging without a sound, so it is tried before anything is written, check mode
included. A server that does not answer is no reason against: messages wait in the queue. Where one answers, the change
ends when rsyslog has reached it, as the audit that follows asks whether the connection stands.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import ssl
import stat
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.connections import TABLES, remote_ports

TIME_LIMIT_S, PAUSE_S = 5, 0.1


def log_server(row, world):
    """Returns {}.

    row: {servers: [{host, port, name}], ca, certificate, key: paths ("": none), user: whom rsyslog runs as,
    fingerprints: those are compared and no names, settings: {ca, certificate, key: the gold setting it came from}}.

    :raises ValueError: a file that is missing, that rsyslog may not read or that is no certificate; a server whose
        certificate does not hold.
    """
    for setting, path in (("ca", row["ca"]), ("certificate", row["certificate"]), ("key", row["key"])):
        if path:
            _file(row["settings"][setting], path, row["user"])
    context = _context(row)
    answering = {str(server["port"]) for server in row["servers"] if _answers(server, context, row)}
    world.afterwards.append(lambda: _wait_for_connections(answering))
    return {}


def _file(setting, path, user):
    try:
        found = os.stat(path)
    except OSError as error:
        raise ValueError("%s is %s, which cannot be used: %s" % (setting, path, error.strerror))
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("%s is %s, which is no file" % (setting, path))
    if not _readable(found, user):
        raise ValueError("%s is %s, which rsyslog cannot read: it runs as %s" % (setting, path, user))


def _readable(found, user):
    if user == "root":
        return True
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise ValueError("rsyslog is set to run as %s, and there is no such account" % user)
    groups = os.getgrouplist(user, account.pw_gid)
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & stat.S_IRUSR)
    return bool(found.st_mode & (stat.S_IRGRP if found.st_gid in groups else stat.S_IROTH))


def _context(row):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(row["ca"])
    except (ssl.SSLError, OSError) as error:
        raise ValueError("%s is %s, which holds no certificate: %s" % (row["settings"]["ca"], row["ca"], error))
    if row["certificate"]:
        try:
            context.load_cert_chain(row["certificate"], row["key"])
        except (ssl.SSLError, OSError) as error:
            raise ValueError(
                "%s and %s do not belong together: %s" % (row["settings"]["certificate"], row["settings"]["key"], error)
            )
    return context


def _answers(server, context, row):
    """Whether there is anybody to connect to.

    :raises ValueError: there is, and rsyslog would not talk to them.
    """
    name = "%s:%s" % (server["host"], server["port"])
    try:
        raw = socket.create_connection((server["host"], server["port"]), timeout=TIME_LIMIT_S)
        with raw, context.wrap_socket(raw, server_hostname=server["name"]):
            return True
    except ssl.SSLCertVerificationError as error:
        if row["fingerprints"]:
            return True
        raise ValueError(
            "the certificate of the log server %s does not hold for the name %s with the authority %s: %s"
            % (name, server["name"], row["ca"], error.verify_message)
        )
    except ssl.SSLError as error:
        raise ValueError("the log server %s does not speak TLS 1.2 or later: %s" % (name, error.reason or error))
    except OSError:
        return False


def _wait_for_connections(ports):
    """Return once a connection to each port stands, or after TIME_LIMIT_S: the audit tells who has none."""
    deadline = time.monotonic() + TIME_LIMIT_S
    while not ports <= _connected() and time.monotonic() < deadline:
        time.sleep(PAUSE_S)


def _connected():
    tables = []
    for path in TABLES:
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as handle:
            tables.append(handle.read())
    return remote_ports(tables)


KINDS = {"log_server": log_server}
