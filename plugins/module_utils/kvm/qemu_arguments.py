# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a QEMU process was started with, as far as an audit needs it. Never all of it: it may hold secrets."""

from __future__ import annotations

import json
import re

MAX_SOURCES = 20
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def summary(words, kind):
    """Return the facts of a command line.

    words: its arguments as bytes. For a guest: {uuid, guest, machine, sandbox, probe, consoles}, where consoles are
    [{type, listen, socket, tls, verify_peer, sasl, password, plain}] as QEMU was told; plain means that
    an unencrypted connection is accepted. For a helper:
    {uuid, sources}: the paths it works on and, for swtpm and virtiofsd, nothing else.
    """
    text = [word.decode("utf-8", "replace") for word in words if word]
    if kind != "guest":
        sources = [word.split("=", 1)[-1][:300] for word in text[1:] if word.split("=", 1)[-1].startswith("/")]
        return {"uuid": "", "sources": sources[:MAX_SOURCES]}
    options = _options(text)
    uuid = options.get("uuid", [""])[0].lower()
    return {
        "uuid": uuid if _UUID.match(uuid) else "",
        "guest": _fields(options.get("name", [""])[0], "guest").get("guest", "")[:200],
        "machine": options.get("machine", options.get("M", [""]))[0].split(",")[0][:80],
        "sandbox": options.get("sandbox", [""])[0][:200],
        "probe": options.get("pidfile", [""])[0] if options.get("machine", [""])[0].startswith("none,") else "",
        "consoles": _consoles(options),
    }


def _options(words):
    """{option without dashes: [its values]}; an option without a value has an empty one."""
    found, at = {}, 1
    while at < len(words):
        if words[at].startswith("-"):
            value = words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("-") else ""
            found.setdefault(words[at].lstrip("-"), []).append(value)
        at += 1
    return found


def _fields(text, first):
    """QEMU's `value,key=value,…` as a dict; the leading value without a key is named `first`. A comma is doubled."""
    found = {}
    for number, part in enumerate(text.replace(",,", "\0").split(",")):
        key, given, value = part.replace("\0", ",").partition("=")
        if given:
            found[key] = value
        elif number == 0:
            found[first] = key
        elif key:
            found[key] = "on"
    return found


def _consoles(options):
    credentials = _credentials(options.get("object", []))
    found = [_vnc(_fields(text, "display"), credentials) for text in options.get("vnc", [])]
    found += [_spice(text) for text in options.get("spice", [])]
    return [console for console in found if console is not None]


def _credentials(objects):
    """{id: verifies its peer} of the TLS credentials; QEMU's own default is to verify."""
    found = {}
    for text in objects:
        fields = _json(text) if text.startswith("{") else _fields(text, "qom-type")
        if str(fields.get("qom-type", "")).startswith("tls-creds"):
            found[str(fields.get("id"))] = fields.get("verify-peer", True) in (True, "on", "yes", "true")
    return found


def _json(text):
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _vnc(fields, credentials):
    display = fields.get("display", "")
    if display == "none":
        return None
    socket = display[len("unix:") :] if display.startswith("unix:") else ""
    creds = fields.get("tls-creds", "")
    return {
        "type": "vnc",
        # "vnc=unix:path" or "address:display"; an empty address means every address.
        "listen": "" if socket else display.rpartition(":")[0].strip("[]")[:100] or "0.0.0.0",
        "socket": socket[:300],
        "tls": bool(creds) or fields.get("tls") == "on",
        "verify_peer": credentials.get(creds, False) or "x509verify" in fields,
        "sasl": fields.get("sasl") == "on",
        "password": fields.get("password") == "on" or "password-secret" in fields,
        "plain": not creds,
    }


def _spice(text):
    fields = _fields(text, "port")
    if fields.get("unix") == "on":
        listen, socket = "", fields.get("addr", "")
    else:
        listen, socket = fields.get("addr", "") or "0.0.0.0", ""
    # Each channel may be named, several times over; only the default mode covers all of them.
    all_encrypted = "tls-channel=default" in text.split(",") and "plaintext-channel" not in fields
    return {
        "type": "spice",
        "listen": listen[:100],
        "socket": socket[:300],
        "tls": fields.get("tls-port", "0") not in ("0", ""),
        # SPICE does not ask a client for a certificate.
        "verify_peer": False,
        "sasl": fields.get("sasl") == "on",
        "password": fields.get("disable-ticketing", "off") == "off",
        "plain": fields.get("port", "0") not in ("0", "") and not all_encrypted,
    }
