# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A FIDO2 security key in software, offered to ssh through the agent's protocol (PROTOCOL.u2f, draft-miller-ssh-agent).

It says whether its user was verified, as a token does after its PIN, so that verify-required can be seen to work.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import pathlib
import socket
import struct
import threading
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TYPE = b"sk-ssh-ed25519@openssh.com"
APPLICATION = b"ssh:"
PRESENT, VERIFIED = 0x01, 0x04
FAILURE, IDENTITIES_ASKED, IDENTITIES, SIGN_ASKED, SIGNED = 5, 11, 12, 13, 14


class SoftToken:
    """One key. verified: whether it claims that its user proved who he is."""

    def __init__(self, verified: bool = True) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._counter = 0
        self.verified = verified

    @property
    def blob(self) -> bytes:
        """The public key as ssh writes it."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return _string(TYPE) + _string(raw) + _string(APPLICATION)

    @property
    def line(self) -> str:
        """The line for authorized_keys."""
        return f"{TYPE.decode()} {base64.b64encode(self.blob).decode()} token"

    @contextlib.contextmanager
    def agent(self, path: pathlib.Path) -> Iterator[pathlib.Path]:
        """An ssh-agent that holds the key, at a UNIX socket."""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()
            try:
                yield path
            finally:
                path.unlink()

    def _serve(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = server.accept()
                with connection, connection.makefile("rwb") as stream:
                    while head := stream.read(4):
                        answer = self._answer(stream.read(struct.unpack(">I", head)[0]))
                        stream.write(_string(answer))
                        stream.flush()

    def _answer(self, message: bytes) -> bytes:
        if message[0] == IDENTITIES_ASKED:
            return bytes([IDENTITIES]) + struct.pack(">I", 1) + _string(self.blob) + _string(b"token")
        if message[0] == SIGN_ASKED:
            blob, rest = _cut(message[1:])
            if blob == self.blob:
                return bytes([SIGNED]) + _string(self._signature(_cut(rest)[0]))
        return bytes([FAILURE])

    def _signature(self, data: bytes) -> bytes:
        self._counter += 1
        said = bytes([PRESENT | (VERIFIED if self.verified else 0)]) + struct.pack(">I", self._counter)
        signed = hashlib.sha256(APPLICATION).digest() + said + hashlib.sha256(data).digest()
        return _string(TYPE) + _string(self._key.sign(signed)) + said


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _cut(data: bytes) -> tuple[bytes, bytes]:
    length = struct.unpack(">I", data[:4])[0]
    return data[4 : 4 + length], data[4 + length :]
