# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of registers and manifests, made and checked with ssh-keygen -Y (PROTOCOL.sshsig of OpenSSH).

Registers and manifests have namespaces of their own, so that a key that may sign reports cannot sign exceptions where
allowed_signers says `namespaces="dwp.hypervisor.manifest"`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.pack_verify import (
    NAMESPACE,
    VerifyError,
    verify_signature,
)

REGISTER_NAMESPACE = "dwp.hypervisor.register"
MANIFEST_NAMESPACE = NAMESPACE


class SignatureError(ValueError):
    """A signature that is not good, or a key that cannot sign."""


def sign(data: bytes, key: str, namespace: str = MANIFEST_NAMESPACE) -> bytes:
    """The signature of data.

    key: path of a private key without passphrase, or of a public key whose private half an agent holds.

    :raises SignatureError: the key is not there, needs a passphrase, or is not in the agent.
    """
    try:
        done = subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", namespace],
            input=data,
            capture_output=True,
            check=False,
            start_new_session=True,  # without a terminal: asking for a passphrase would wait for ever
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SignatureError(f"ssh-keygen cannot be run: {error}") from None
    if done.returncode:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
        raise SignatureError(
            f"{key} cannot sign: {reason}; expected a private key without a passphrase, or a public key whose private "
            "half the agent of SSH_AUTH_SOCK holds"
        )
    return done.stdout


def register_signature(path: str, data: bytes, allowed_signers: str | None) -> dict[str, Any]:
    """{state, signer, banner} of a register; its signature is the file beside it that ends in .sig.

    data: the bytes of the register that were read.

    :raises SignatureError: there is a signature, and it is not a good one.
    """
    signature = Path(f"{path}.sig")
    name = Path(path).name
    if allowed_signers and not Path(allowed_signers).is_file():
        raise SignatureError(f"{allowed_signers}: there is no such file of allowed signers")
    if not signature.is_file():
        return {
            "state": "unsigned",
            "signer": None,
            "banner": f"{name} is not signed: nobody can tell whether it is what the Authority approved.",
        }
    if not allowed_signers:
        banner = f"{name} is signed, but by whom was not checked: no allowed_signers file was given."
        return {"state": "unchecked", "signer": None, "banner": banner}
    try:
        signer = verify_signature(data, signature, allowed_signers, REGISTER_NAMESPACE)
    except VerifyError as error:
        raise SignatureError(f"{path}: {error}; expected a signature of the Authority over this very file") from None
    return {"state": "verified", "signer": signer, "banner": None}


__all__ = ["MANIFEST_NAMESPACE", "REGISTER_NAMESPACE", "SignatureError", "register_signature", "sign"]
