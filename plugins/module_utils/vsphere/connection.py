# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS to a vCenter or an ESXi host: certificates, time limits, and one kept connection for each thread."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import socket
import ssl
import threading
import time
import zlib

# One page of the property collector is at most some tens of megabytes.
MAX_REPLY = 512 * 1024 * 1024
CHUNK = 256 * 1024
# Of the head of an answer, as http.client has it.
MAX_LINES, MAX_LINE = 100, 65536
# What a connection is given up for.
_BROKEN = (OSError, http.client.HTTPException, ValueError, zlib.error)
_PIN = re.compile(r"[0-9a-f]{64}")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x20\x7f]")


class VsphereError(Exception):
    """The endpoint cannot be used. The message names it, what was found and what to set."""


class Lost(VsphereError):
    """No connection, or it broke off: the endpoint is unreachable."""


class Endpoint(object):
    """Where to log in and how far to trust what answers.

    host: ansible_host; name: of the inventory, for messages; time_limit: seconds for one call; ca_file: PEM file of
    authorities, the system's where None; pin: SHA-256 of the one certificate that is accepted, whoever signed it;
    joins_as: account and password of the directory with which its hosts may be joined to it.
    """

    def __init__(
        self,
        name,
        host,
        user,
        password,
        port=443,
        validate_certs=True,
        ca_file=None,
        pin=None,
        time_limit=60,
        joins_as=None,
    ):
        self.name = name
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.validate_certs = validate_certs
        self.ca_file = ca_file
        self.pin = re.sub(r"[:\s-]", "", pin).lower() if pin else None
        self.time_limit = time_limit
        self.joins_as = joins_as
        if self.pin and not _PIN.fullmatch(self.pin):
            raise VsphereError(
                "%s: hypervisor_certificate_sha256 is %r, expected the 64 hexadecimal digits of a SHA-256 fingerprint"
                % (name, pin[:200])
            )

    def __str__(self):
        return "%s (%s port %d)" % (self.name, self.host, self.port)

    def tls(self):
        """The context of every connection.

        :raises VsphereError: the file of authorities cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise VsphereError(
                "%s: hypervisor_ca_file %s cannot be used: %s; expected certificates in PEM form"
                % (self.name, self.ca_file, error)
            )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.pin or not self.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.pin:
            context.sslsocket_class = _pinned(self.pin)
        return context


def _pinned(pin):
    """A socket class that refuses every certificate but one: pyVmomi's connections use it too."""

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block=False):
            super().do_handshake(block)
            found = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if found != pin:
                raise ssl.SSLCertVerificationError("its SHA-256 fingerprint is %s" % found)

    return PinnedSocket


def untrusted(endpoint, error):
    """The reason why a certificate is refused, with the fingerprint of what answered."""
    why = getattr(error, "verify_message", "") or str(error.args[-1])
    if endpoint.pin:
        return "%s: another certificate answers than hypervisor_certificate_sha256 says; %s" % (endpoint, why)
    try:
        found = ssl.get_server_certificate((endpoint.host, endpoint.port), timeout=5)
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(found)).hexdigest()
    except (OSError, ValueError, TypeError):
        digest = "unknown"
    return (
        "%s: its certificate is not trusted (%s; SHA-256 %s). Set hypervisor_ca_file to the certificate of its "
        "authority, or hypervisor_certificate_sha256 to this fingerprint when you have compared it with the server's"
        % (endpoint, why, digest)
    )


class _Response(http.client.HTTPResponse):
    """A response whose head no parser of mail reads, which is as much work as the rest of a small answer.

    headers: {name in lower case: value}.
    """

    def begin(self):
        """Read the head. :raises HTTPException: it is none."""
        status = http.client.CONTINUE
        while status == http.client.CONTINUE:
            version, status, _reason = self._read_status()
            self.headers = self._head()
        self.status = status
        self.version = 10 if version in ("HTTP/0.9", "HTTP/1.0") else 11
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = self.headers.get("content-length", "")
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            self.length = 0
        # Where nothing else tells the end of an answer, it is that of the connection.
        self.will_close = self._check_close() or (self.length is None and not self.chunked)

    def _head(self):
        found = {}
        for _number in range(MAX_LINES):
            line = self.fp.readline(MAX_LINE + 1)
            if len(line) > MAX_LINE:
                break
            if not line.strip():
                return found
            name, colon, text = line.decode("latin-1").partition(":")
            if not colon:
                break
            found[name.strip().lower()] = text.strip()
        raise http.client.HTTPException("the head of the answer is none of HTTP")


class _Connection(http.client.HTTPSConnection):
    """An HTTPS connection that sends a request in one piece: half the packets, and half the work of a small call."""

    response_class = _Response

    def ask(self, method, path, body, headers):
        """Send a request.

        :raises ValueError: the path or a header would be more than that: it holds a space or a line break.
        """
        own = {"Host": self._host(), "Accept-Encoding": "gzip"}
        if body is not None or method not in ("GET", "DELETE"):
            own["Content-Length"] = str(len(body or b""))
        lines = ["%s %s HTTP/1.1" % (method, path)]
        lines += ["%s: %s" % pair for pair in dict(own, **headers).items()]
        if _NOT_IN_A_PATH.search(path) or any("\r" in line or "\n" in line for line in lines):
            raise ValueError("the request for %r has a space or a line break where none may be" % path[:200])
        self.sock.sendall("\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b""))

    def response(self, method):
        """The response to it, of which nothing but its head has been read."""
        response = self.response_class(self.sock, method=method)
        response.begin()
        return response

    def _host(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return host if self.port == self.default_port else "%s:%d" % (host, self.port)


class Connections(object):
    """Requests to one endpoint, from any number of threads."""

    def __init__(self, endpoint):
        self._endpoint = endpoint
        self._context = endpoint.tls()
        self._mine = threading.local()
        self._all = []

    @property
    def context(self):
        """The TLS context, for others that connect to the same endpoint."""
        return self._context

    def request(self, method, path, body=None, headers=None):
        """(HTTP status, headers, body).

        Nothing goes through here that would do harm if it were done twice: reads, logins, and writes that say what a
        value is to be. So a connection that the server closes without an answer, as it does with one that was kept too
        long, is opened again and asked once more.

        :raises Lost: no connection, an answer that breaks off, or more than time_limit seconds.
        :raises VsphereError: the certificate is not trusted, or the answer is larger than 512 MiB.
        """
        kept = getattr(self._mine, "connection", None)
        for connection, last in ((kept, False), (None, True)):
            try:
                return self._asked(connection or self._opened(), method, path, body, headers or {})
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                self.close()
                if last:
                    raise Lost("unreachable: %s closed the connection (%s)" % (self._endpoint, error))
            except ssl.SSLCertVerificationError as error:
                self.close()
                raise VsphereError(untrusted(self._endpoint, error))
            except (socket.timeout, TimeoutError):
                self.close()
                raise Lost(
                    "unreachable: %s gave no answer within %d seconds" % (self._endpoint, self._endpoint.time_limit)
                )
            except ssl.SSLError as error:
                self.close()
                raise Lost("unreachable: %s does not speak TLS 1.2 or newer there (%s)" % (self._endpoint, error))
            except _BROKEN as error:
                self.close()
                raise Lost(
                    "unreachable: %s: %s. Check ansible_host and hypervisor_port"
                    % (self._endpoint, getattr(error, "strerror", None) or error or type(error).__name__)
                )
        raise AssertionError("a request ends in the loop")

    def begun(self, method, path, body=None, headers=None):
        """Send a request now, over a connection of its own; returns a function that returns what request would.

        What goes wrong with it is left to asking once more.
        """
        connection = None
        with contextlib.suppress(*_BROKEN):
            connection = self._new()
            connection.ask(method, path, body, headers or {})

        def answer():
            if connection is not None:
                with contextlib.suppress(*_BROKEN), contextlib.closing(connection):
                    return self._read(connection, method, time.monotonic())
            return self.request(method, path, body, headers)

        return answer

    def _opened(self):
        self._mine.connection = self._new()
        return self._mine.connection

    def _new(self):
        connection = _Connection(
            self._endpoint.host, self._endpoint.port, timeout=self._endpoint.time_limit, context=self._context
        )
        self._all.append(connection)
        connection.connect()
        # A call is two small packets: Nagle's algorithm would hold back the second one for 40 ms.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _asked(self, connection, method, path, body, headers):
        since = time.monotonic()
        connection.ask(method, path, body, headers)
        return self._read(connection, method, since)

    def _read(self, connection, method, since):
        response = connection.response(method)
        pieces = []
        unpack = zlib.decompressobj(31) if response.headers.get("content-encoding") == "gzip" else None
        size = 0
        while True:
            piece = response.read(CHUNK)
            if not piece:
                break
            if unpack:
                piece = unpack.decompress(piece, MAX_REPLY)
            size += len(piece)
            if size > MAX_REPLY:
                self.close()
                raise VsphereError("%s answered with more than %d MiB" % (self._endpoint, MAX_REPLY // 1024 // 1024))
            if time.monotonic() > since + self._endpoint.time_limit:
                # A socket's own time limit starts anew with every byte.
                raise socket.timeout()
            pieces.append(piece)
        if response.will_close:
            self.close()
        return response.status, response.headers, b"".join(pieces)

    def close(self):
        """Close this thread's connection."""
        connection = getattr(self._mine, "connection", None)
        self._mine.connection = None
        if connection is not None:
            connection.close()

    def close_all(self):
        """Close the connections of every thread; none of them may be asking."""
        for connection in self._all:
            connection.close()
