# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last line of defence against secrets in facts, before they are judged, stored or shown. Pure: no I/O, no Ansible.

Collectors leave secrets on the host; this catches the one that a collector did not foresee: a value under a key that
names a secret becomes null (which every check reads as unknown, never as pass), a secret inside a text is cut out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING, SCALARS, plain

MAX_DEPTH = 60
_MAX_LOGGED = 200
_CUT = "[removed]"

# vnc_password, vncPassword, bindpw, rootpw, password_hash, keytab_content; not passwordauthentication, secret_uuid,
# password_max_age or vcpu_pin.
_SECRET_KEY = re.compile(
    r"(?:(?:^|_)(?:pass|passwds?|passwords?|passphrases?|pwd|secrets?|psk|credentials?|(?:r[ow])?communit(?:y|ies)|tokens?"
    r"|authtok|cookie|private_?keys?|privkey|keytab|(?:api|access|recovery|encryption|luks|wrapped|master)_?key"
    r"|(?:tpm|user|card)_?pin)|password|passwd|passphrase|authtok|bindpw|rootpw|userpw)"
    r"(?:_?(?:hash|hashes|value|text|contents?|data|plain|plaintext|cleartext|encrypted|b64|base64|\d+))?$"
)
# Where the secret stands inside e.g. password: {value: …, usage: …}.
_VALUE_KEYS = frozenset(("value", "text", "content", "data", "plain", "cleartext", "hash", "key", "#text", "_"))

# Values that are settings, not secrets: sshd's permitemptypasswords, libvirt's auth methods, what a collector says
# about a password (its state, its hashing), name-service sources, and the placeholders of /etc/passwd.
_BENIGN_WORD = (
    r"(?:yes|no|true|false|on|off|[01]|none|null|any|all|default|auto|enabled?|disabled?|required|requisite|optional"
    r"|sufficient|allowed|denied|allow|deny|permit|(?:un)?set|empty|absent|present|missing|(?:un)?locked|expired|(?:un)?usable"
    r"|(?:un)?known|(?:in)?valid|(?:un)?readable|encrypted|hashed|shadowed|prohibit-password|without-password"
    r"|forced-commands-only|password|directory|publickey|keyboard-interactive|pam|polkit|sasl|ldap|kerberos|gssapi|krb5|scram-sha-(?:1|256)"
    r"|digest-md5|keyring|agent|tpm2?|fido2|pkcs11|luks[12]?|des|md5|blowfish|bcrypt|sha256|sha512|(?:gost-)?yescrypt|scrypt"
    r"|argon2id?|files|sss|systemd|db|compat|winbind|nis|x|\*|!{1,2}\*?|\*lk\*|\[removed\])"
)
_FILE = (
    r"(?:FILE:)?(?:/(?:etc|var|usr|s?bin|run|root|home|opt|srv|proc|sys|dev|mnt|boot|lib|tmp)|~|\$\{\w+\}|%[dh])"
    r"(?:/[\w.@%+${}:~-]+)+/?"
)
# libvirt refers to its secrets so.
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BENIGN = re.compile(
    rf"\s*(?:{_BENIGN_WORD}(?:[\s,]+{_BENIGN_WORD})*|{_FILE}|{_UUID}|@include [\w-]+)?\s*", re.IGNORECASE
)
_PAM_LINE = re.compile(r"\bpam_\w+\.so\b")

_INLINE = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20})-----.*?(?:-----END (?P=label)-----|\Z)"
    r"|(?P<hash>\$(?:1|2[abxy]?|5|6|7|y|gy|argon2[a-z]*|sha1|md5)\$[./A-Za-z0-9$=,+-]{8,}|\bgrub\.pbkdf2\.[\w.]{16,})"
    r"|://[^\s/:@]*:(?P<url>[^\s/@]+)@"
    r"|(?P<name>password|passwd|passphrase|secret|authtok|bindpw|rootpw|api_?key|token|psk)[\"']?\s{0,4}(?P<sign>[=:])\s{0,4}"
    r"(?:\"(?P<double>[^\"\n]{1,4096})\"|'(?P<single>[^'\n]{1,4096})'|[\"']?(?P<bare>[^\s\"',;)\]]+))"
    r"|\br[ow]community6?\s+(?P<community>\S+)",
    re.DOTALL | re.IGNORECASE,
)
# Every alternative above needs one of these; a search for them alone is several times cheaper on a large document.
_MAY_HOLD = re.compile(
    r"PRIVATE KEY|\$\w{1,10}\$|pbkdf2|://|pass|secret|authtok|bindpw|rootpw|api_?key|token|psk|community", re.IGNORECASE
)
# Short texts that hold none of these; of a fleet's most are the same few.
_HARMLESS: set[str] = set()
_MAX_HARMLESS, _SHORT = 4096, 40

Cleaned = tuple[Any, list[str]]  # what is kept, and the places where something was cut


def _always(_path: str, _value: Any, work: Callable[[], Cleaned]) -> Cleaned:
    return work()


def redact(
    facts: Mapping[str, Any], once: Callable[[str, Any, Callable[[], Cleaned]], Cleaned] = _always
) -> dict[str, Any]:
    """The same facts as plain data without what looks like a secret, and with the places listed in collector.redacted.

    The input is not changed. Facts without a secret come back equal to what went in. Anything nested deeper than 60
    levels is dropped like a secret: nothing can be said about it. once(path, value, work): does the work on a part, or
    knows what came of it before.
    """
    places: list[str] = []
    clean: dict[str, Any] = {}
    for name, part in facts.items():
        if not isinstance(part, dict) or _names_secret(str(name)):
            clean[name] = _inside(part, "", name, False, places, 0)
            continue
        entries = clean[name] = {}
        for key, inner in part.items():
            path = str(name)[:80]
            entries[key], found = once(f"{path}.{key}", inner, partial(_cleaned, inner, path, key))
            places += found
    if places:
        collector = clean.get("collector")
        collector = dict(collector) if isinstance(collector, Mapping) else {}
        before = collector.get("redacted")
        known = [place for place in before if isinstance(place, str)] if isinstance(before, list) else []
        collector["redacted"] = _bounded([*known, *(place for place in places if place not in known)])
        clean["collector"] = collector
    return clean


def _cleaned(value: Any, path: str, key: Any) -> Cleaned:
    places: list[str] = []
    return _inside(value, path, key, False, places, 1), places


def _bounded(places: list[str]) -> list[str]:
    if len(places) <= _MAX_LOGGED:
        return places
    return [*places[:_MAX_LOGGED], f"and {len(places) - _MAX_LOGGED} more"]


def _walk(value: Any, path: str, secret: bool, places: list[str], depth: int) -> Any:
    """A clean copy of value. secret: value stands under a key that names a secret."""
    kind = value.__class__
    if kind is str:
        return _text(value, path, secret, places)
    if kind in SCALARS:
        return value
    if isinstance(value, str):
        return _text(str.__str__(value), path, secret, places)
    if not isinstance(value, (dict, Mapping, list, tuple)):
        return plain(value)
    if depth >= MAX_DEPTH:
        places.append(path)
        return None
    if isinstance(value, MAPPING):
        return {
            str(key): inner if inner.__class__ in SCALARS else _inside(inner, path, key, secret, places, depth)
            for key, inner in value.items()
        }
    return [_walk(inner, f"{path}[{number}]", secret, places, depth + 1) for number, inner in enumerate(value)]


def _inside(value: Any, path: str, key: Any, secret: bool, places: list[str], depth: int) -> Any:
    """A clean copy of what stands under a key. path, secret, depth: of the mapping around it."""
    name = str(key)
    hidden = _names_secret(name) or (secret and name.lower() in _VALUE_KEYS)
    return _walk(value, f"{path}.{name[:80]}" if path else name[:80], hidden, places, depth + 1)


def _text(value: str, path: str, secret: bool, places: list[str]) -> str | None:
    if secret and not _is_benign(value):
        places.append(path)
        return None
    if value in _HARMLESS:
        return value
    if not _MAY_HOLD.search(value):
        if len(value) <= _SHORT and len(_HARMLESS) < _MAX_HARMLESS:
            _HARMLESS.add(value)
        return value
    clean = _INLINE.sub(_cut_match, value)
    if clean != value:
        places.append(path)
    return clean


def _cut_match(match: re.Match[str]) -> str:
    """Only the secret goes; what stands around it says which setting it was."""
    for group in ("hash", "url", "double", "single", "bare", "community"):
        found = match[group]
        if found is None:
            continue
        if match["name"] and (_is_benign(found) or _is_sudoers_tag(match)):
            return match[0]
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return match[0][:start] + _CUT + match[0][end:]
    return _CUT


def _is_sudoers_tag(match: re.Match[str]) -> bool:
    """`NOPASSWD: sudoedit /etc/hosts` names a command. DB_PASSWD: and passwd: do not look like that."""
    before = match.string[max(0, match.start() - 3) : match.start()]
    return (
        match["name"] == "PASSWD" and match["sign"] == ":" and re.search(r"(?:^|[^\w.-])(?:NO)?$", before) is not None
    )


@lru_cache(maxsize=8192)
def _names_secret(key: str) -> bool:
    if key.startswith("/"):
        return False  # facts about a file: /etc/passwd
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", key[:200]).strip("_").lower()
    return any(_SECRET_KEY.search(form) for form in (words, words.replace("_", "")))


def _is_benign(value: str) -> bool:
    """Empty, words from a closed list, the path of the file that holds the secret, or a line of a PAM stack."""
    return _BENIGN.fullmatch(value) is not None or _PAM_LINE.search(value) is not None
