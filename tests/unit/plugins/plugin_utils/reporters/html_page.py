# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of a report as a strict little tree."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent, self.children, self.own = tag, dict(attributes), parent, [], []

    def __iter__(self):
        for child in self.children:
            yield child
            yield from child

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.own)

    @property
    def spoken(self):
        """The text without what is hidden from screen readers."""
        if self.attributes.get("aria-hidden") == "true":
            return ""
        return "".join(part if isinstance(part, str) else part.spoken for part in self.own).strip()

    def find(self, *tags):
        return [element for element in self if element.tag in tags]


class Page(HTMLParser):
    """A strict little tree: a tag that is not closed, or closed out of turn, is a fault."""

    def __init__(self, data):
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {}, None)
        self.doctype = ""
        self.feed(data.decode("utf-8"))
        assert self.here is self.root, f"<{self.here.tag}> is never closed"

    def handle_decl(self, decl):
        self.doctype = decl

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs, self.here)
        assert len(element.attributes) == len(attrs), f"an attribute of <{tag}> is there twice"
        self.here.children.append(element)
        self.here.own.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag):
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.own.append(data)
