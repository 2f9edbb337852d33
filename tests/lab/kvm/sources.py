# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the machine's own apt sources, so that a lab root is built from the mirrors that work here."""

from __future__ import annotations

import pathlib

DEFAULT_URI = {"main": "http://deb.debian.org/debian", "security": "http://deb.debian.org/debian-security"}
DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _deb822(text: str) -> list[tuple[str, str, str]]:
    """Return (uri, suites, signed-by) of each enabled stanza of a .sources file."""
    found = []
    for stanza in text.split("\n\n"):
        fields = {}
        for line in stanza.splitlines():
            if ":" in line and not line.startswith(("#", " ")):
                key, _sep, value = line.partition(":")
                fields[key.strip().lower()] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            for uri in fields.get("uris", "").split():
                found.append((uri, fields.get("suites", ""), fields.get("signed-by", "")))
    return found


def _one_line(text: str) -> list[tuple[str, str, str]]:
    """Return (uri, suite, signed-by) of each deb line of a sources.list file."""
    found = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words or words[0] != "deb":
            continue
        signed = ""
        if words[1].startswith("["):
            end = next(i for i, word in enumerate(words) if word.endswith("]"))
            for option in " ".join(words[1 : end + 1]).strip("[] ").split():
                if option.startswith("signed-by="):
                    signed = option.partition("=")[2]
            words = words[:1] + words[end + 1 :]
        found.append((words[1], words[2], signed))
    return found


def debian_sources(suite: str) -> list[str]:
    """Return the deb lines for ``suite``, its updates and its security archive.

    The machine's own URIs and keys are used when it runs Debian; another distribution gets the public defaults (and
    needs the package debian-archive-keyring).
    """
    entries = []
    apt = pathlib.Path("/etc/apt")
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if path.suffix == ".sources":
            entries += _deb822(path.read_text(encoding="utf-8"))
        elif path.suffix == ".list" and path.exists():
            entries += _one_line(path.read_text(encoding="utf-8"))
    chosen = {"main": (DEFAULT_URI["main"], DEFAULT_KEYRING), "security": (DEFAULT_URI["security"], DEFAULT_KEYRING)}
    for uri, suites, signed in entries:
        if "debian" not in uri:
            continue
        kind = "security" if "-security" in suites else "main"
        chosen[kind] = (uri, signed or DEFAULT_KEYRING)
    main_uri, main_key = chosen["main"]
    security_uri, security_key = chosen["security"]
    return [
        f"deb [signed-by={main_key}] {main_uri} {suite} main",
        f"deb [signed-by={main_key}] {main_uri} {suite}-updates main",
        f"deb [signed-by={security_key}] {security_uri} {suite}-security main",
    ]
