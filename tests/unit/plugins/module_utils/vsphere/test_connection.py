# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies of a server: packed, endless, slow; and what an endpoint's options have to be."""

from __future__ import annotations

import gzip
import http.client
import io
import ssl
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import connection as module
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import (
    Connections,
    Endpoint,
    Lost,
    VsphereError,
)

TEXT = b"<a>" + b"x" * 1000 + b"</a>"


class Response:
    """An http.client response that is read piece by piece."""

    def __init__(self, pieces: list[bytes], status: int = 200, packed: bool = False) -> None:
        self.pieces = list(pieces)
        self.status = status
        self.headers = {"content-encoding": "gzip"} if packed else {}
        self.will_close = False

    def read(self, _size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


class Connection:
    """Answers with the given responses; one that is an exception is raised."""

    def __init__(self, *responses: Any) -> None:
        self.responses = list(responses)

    def ask(self, *_arguments: Any) -> None:
        return None

    def response(self, _method: str) -> Response:
        found = self.responses.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        return None


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    def asked(*responses: Any, time_limit: int = 5) -> tuple[int, Any, bytes]:
        connections = Connections(Endpoint("vc1", "192.0.2.10", "u", "p", time_limit=time_limit))
        opened = Connection(*responses)
        monkeypatch.setattr(connections, "_opened", lambda: opened)
        return connections.request("GET", "/")

    return asked


def test_a_reply_is_put_together(ask: Any) -> None:
    assert ask(Response([TEXT[:10], TEXT[10:]]))[2] == TEXT


def test_a_packed_reply_is_unpacked(ask: Any) -> None:
    packed = gzip.compress(TEXT)
    assert ask(Response([packed[:20], packed[20:]], packed=True))[2] == TEXT


def test_a_reply_without_end_is_refused(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REPLY", 100)
    with pytest.raises(VsphereError, match="answered with more than"):
        ask(Response([TEXT] * 3))


def test_a_reply_that_unpacks_without_end_is_refused(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REPLY", 4096)
    bomb = gzip.compress(b"\0" * 1_000_000)
    with pytest.raises(VsphereError):
        ask(Response([bomb, bomb], packed=True))


def test_a_reply_that_drips_has_a_limit_as_a_whole(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with pytest.raises(Lost, match="no answer within 5 seconds"):
        ask(Response([b"<a>"] * 100))


class Socket:
    """What a server has sent."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self.sent))


def both(sent: bytes) -> list[tuple[int, bytes, bool]]:
    """Status, body, and whether the connection ends with it: as they are read here, and by Python's own class."""
    found = []
    for kind in (module._Response, http.client.HTTPResponse):
        response = kind(Socket(sent), method="GET")
        response.begin()
        found.append((response.status, response.read(), response.will_close))
    return found


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 4",
        "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:4\r\nConnection: close",
        "HTTP/1.1 200\nContent-Length: 4",
        "HTTP/1.0 200 OK\r\nContent-Length: 4",
        "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 4",
        "HTTP/1.1 200 OK\r\nContent-Length: -4",
        "HTTP/1.1 200 OK\r\nContent-Length: \xb2",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4",
        "HTTP/1.1 500 Internal Server Error\r\nX: a: b\r\nContent-Length: 2",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3",
    ],
)
def test_the_head_of_an_answer_says_what_python_reads_of_it(head: str) -> None:
    here, theirs = both(head.encode("latin-1") + b"\r\n\r\nbodyandmore")
    assert here == theirs


def test_an_answer_in_chunks_is_put_together() -> None:
    here, theirs = both(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert here == theirs == (200, b"abcde", False)


@pytest.mark.parametrize("line", [b"A: " + b"x" * 65536, b"\r\n".join([b"a: b"] * 100), b"a: b\r\nno colon"])
def test_a_head_that_is_none_is_no_answer(line: bytes) -> None:
    response = module._Response(Socket(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"), method="GET")
    with pytest.raises(http.client.HTTPException, match="none of HTTP"):
        response.begin()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer within 5 seconds"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused. Check ansible_host"),
        (ssl.SSLError(1, "wrong version number"), "does not speak TLS 1.2"),
        (ConnectionResetError(104, "reset"), "closed the connection"),
    ],
)
def test_what_goes_wrong_names_the_endpoint(ask: Any, error: Exception, said: str) -> None:
    with pytest.raises(Lost, match=said) as raised:
        ask(error, error)
    assert "vc1 (192.0.2.10 port 443)" in str(raised.value)


def test_a_connection_that_is_closed_without_an_answer_is_opened_once_more(ask: Any) -> None:
    assert ask(ConnectionResetError(104, "reset"), Response([b"<a/>"]))[2] == b"<a/>"


@pytest.mark.parametrize(
    ("begun", "later", "said"),
    [
        ([Response([b"<first/>"])], [], b"<first/>"),
        ([ConnectionResetError(104, "reset")], [Response([b"<again/>"])], b"<again/>"),
        ([TimeoutError()], [Response([b"<again/>"])], b"<again/>"),
        ([], [Response([b"<again/>"])], b"<again/>"),
    ],
)
def test_a_request_is_begun_and_answered_later(
    monkeypatch: pytest.MonkeyPatch, begun: list[Any], later: list[Any], said: bytes
) -> None:
    connections = Connections(Endpoint("vc1", "192.0.2.10", "u", "p"))
    opened = [Connection(*begun)] if begun else [OSError(111, "refused")]
    opened.append(Connection(*later))

    def new() -> Connection:
        found = opened.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(connections, "_new", new)
    answer = connections.begun("POST", "/sdk", b"<call/>")
    assert answer()[2] == said
    assert len(opened) == (0 if later else 1)


@pytest.mark.parametrize("pin", ["AB:" * 31 + "AB", "ab" * 32, "AB " * 32])
def test_a_fingerprint_is_taken_in_every_usual_form(pin: str) -> None:
    endpoint = Endpoint("vc1", "192.0.2.10", "u", "p", pin=pin)
    assert endpoint.pin == "ab" * 32
    context = endpoint.tls()
    assert context.sslsocket_class is not ssl.SSLSocket


def test_certificates_are_verified_unless_somebody_says_otherwise() -> None:
    context = Endpoint("vc1", "192.0.2.10", "u", "p").tls()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    loose = Endpoint("vc1", "192.0.2.10", "u", "p", validate_certs=False).tls()
    assert (loose.verify_mode, loose.check_hostname) == (ssl.CERT_NONE, False)
