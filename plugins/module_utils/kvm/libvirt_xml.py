# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read XML that libvirt prints: bounded, without document types, and with the small questions a parser keeps asking."""

from __future__ import annotations

from xml.etree import ElementTree

MAX_XML = 4 * 1024 * 1024
MAX_TEXT = 200

_UNITS = {"b": 1, "bytes": 1, "kb": 1000, "k": 1024, "kib": 1024, "mb": 1000**2, "m": 1024**2, "mib": 1024**2}
_UNITS.update({"gb": 1000**3, "g": 1024**3, "gib": 1024**3, "tb": 1000**4, "t": 1024**4, "tib": 1024**4})


class BadXml(Exception):
    """The text is not the XML that was asked for. The message is the reason."""


def parse(text, root):
    """Return the root element of a document whose root is named `root`.

    Names and metadata in these documents come from whoever may define a VM, so a document type (the way to entity
    expansion) is refused before the parser sees it, and so is a document longer than MAX_XML.

    :raises BadXml: not XML, another root, a document type, or too long.
    """
    if not isinstance(text, str) or not text.strip():
        raise BadXml("empty %s description" % root)
    if len(text) > MAX_XML:
        raise BadXml("%s description longer than %d characters" % (root, MAX_XML))
    _refuse_doctype(text, root)
    try:
        element = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise BadXml("%s description is not XML: %s" % (root, str(error)[:120]))
    if element.tag != root:
        raise BadXml("expected a %s description, found %s" % (root, str(element.tag)[:40]))
    return element


def _refuse_doctype(text, root):
    """A document type can only stand before the root element, after declarations and comments."""
    rest = text.lstrip("\ufeff \t\r\n")
    while rest.startswith(("<?", "<!--")):
        _skipped, found, rest = rest.partition("?>" if rest.startswith("<?") else "-->")
        if not found:
            return
        rest = rest.lstrip()
    if rest.startswith("<!"):
        raise BadXml("%s description has a document type" % root)


def text_of(element, path, default=""):
    """The stripped text of a descendant, cut at MAX_TEXT characters."""
    return (element.findtext(path) or default).strip()[:MAX_TEXT]


def attribute(element, path, name, default=""):
    """An attribute of a descendant (or of the element itself when path is empty), cut at MAX_TEXT characters."""
    found = element.find(path) if path else element
    return (found.get(name, default) if found is not None else default)[:MAX_TEXT]


def yes(element, path, name):
    """True when the attribute says yes, on or true."""
    return attribute(element, path, name) in ("yes", "on", "true")


def number(value, default=0):
    """A decimal integer, or `default` where the text is not one."""
    try:
        return int(str(value).strip())
    except ValueError:
        return default


def size_b(element, path):
    """A size with its unit attribute in bytes, 0 where the element is absent. libvirt's default unit here is KiB.

    None where the text cannot be read as a size.
    """
    found = element.find(path)
    if found is None:
        return 0
    try:
        return int((found.text or "").strip()) * _UNITS[found.get("unit", "KiB").lower()]
    except (ValueError, KeyError):
        return None
