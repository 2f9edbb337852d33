# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit the XML of a virtual machine's definition, leaving everything alone that nobody asked about. Pure.

minidom, not ElementTree: prefixes of namespaces (metadata, qemu:commandline) and comments stay as they are.
"""

from __future__ import annotations

import re
from xml.dom import minidom

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_xml

# A step of a path: an element's name and any number of conditions [@type='none'], [mac/@address='52:54:00:00:00:01'].
_STEP = re.compile(r"(?P<name>[A-Za-z][\w.-]*)(?P<conditions>(?:\[[^\[\]']*='[^']*'\])*)(?:/|$)")
_CONDITION = re.compile(r"\[(?:(?P<child>[A-Za-z][\w./-]*)/)?@(?P<attribute>[\w.-]+)='(?P<value>[^']*)'\]")
# formatdomain: passwords of consoles stand in attributes of these names.
_SECRET = re.compile(r"passw|secret", re.IGNORECASE)
HIDDEN = "(not shown)"


class BadPath(Exception):
    """A path that is no path, or does not lead to one element of this machine. The message says which."""


class Definition(object):
    """The XML of one machine while it is edited."""

    def __init__(self, xml):
        try:
            libvirt_xml.parse(xml, "domain")
        except libvirt_xml.BadXml as error:
            raise ValueError(str(error))
        self._root = minidom.parseString(xml.encode("utf-8")).documentElement
        names = _children(self._root, "name")
        self.name = _text(names[0]) if names else "unnamed"

    def text(self):
        """The definition as it shall be."""
        return self._root.toxml()

    def edit(self, edit):
        """Make one edit of plan.domain(); returns {where: [before, after]} of what it changed.

        :raises BadPath: the place does not exist and cannot be made.
        """
        if "remove" in edit:
            return self._remove(edit["remove"])
        return self._set(edit["set"], edit["attributes"], edit["text"])

    def _remove(self, path):
        changed = {}
        for element in self._found(steps(path)):
            changed[path] = [_shown(element), None]
            element.parentNode.removeChild(element)
        return changed

    def _set(self, path, attributes, text):
        element = self._made(path)
        changed = {}
        for name, wanted in sorted(attributes.items()):
            before = element.getAttribute(name) if element.hasAttribute(name) else None
            if before != wanted:
                changed["%s@%s" % (path, name)] = [HIDDEN] * 2 if _SECRET.search(name) else [before, wanted]
                if wanted is None:
                    element.removeAttribute(name)
                else:
                    element.setAttribute(name, wanted)
        if text is not None and _text(element) != text:
            changed[path] = [_text(element) or None, text]
            for child in list(element.childNodes):
                element.removeChild(child)
            element.appendChild(element.ownerDocument.createTextNode(text))
        return changed

    def _found(self, wanted):
        places = [self._root]
        for name, conditions in wanted:
            places = [child for place in places for child in _children(place, name) if _holds(child, conditions)]
        return places

    def _made(self, path):
        """The element of a path; what has no condition is made where it is missing."""
        place = self._root
        for name, conditions in steps(path):
            found = [child for child in _children(place, name) if _holds(child, conditions)]
            if len(found) > 1:
                raise BadPath("%s is there %d times" % (path, len(found)))
            if not found and conditions:
                raise BadPath("there is no %s" % path)
            place = found[0] if found else place.appendChild(place.ownerDocument.createElement(name))
        return place

    def without_secrets(self, message):
        """A message of libvirt's, which may quote the definition, without the passwords in it."""
        for element in self._root.getElementsByTagName("*"):
            for name, value in element.attributes.items():
                if value and re.search("passw", name, re.IGNORECASE):
                    message = message.replace(value, HIDDEN)
        return message


def steps(path):
    """[(name, [(child or "", attribute, value)])] of a path.

    :raises BadPath: it is none.
    """
    found, at = [], 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        conditions = [
            (one["child"] or "", one["attribute"], one["value"]) for one in _CONDITION.finditer(step["conditions"])
        ]
        if len(conditions) != step["conditions"].count("["):
            break
        found.append((step["name"], conditions))
        at = step.end()
    if at < len(path) or not found:
        raise BadPath("%r is no path, expected for example devices/disk[target/@dev='vda']/iotune" % path)
    return found


def _children(element, name):
    return [child for child in element.childNodes if child.nodeType == child.ELEMENT_NODE and child.tagName == name]


def _holds(element, conditions):
    for child, attribute, value in conditions:
        holders = [element]
        for name in child.split("/") if child else ():
            holders = [found for holder in holders for found in _children(holder, name)]
        if not any(holder.getAttribute(attribute) == value for holder in holders):
            return False
    return True


def _text(element):
    return "".join(
        node.data for node in element.childNodes if node.nodeType in (node.TEXT_NODE, node.CDATA_SECTION_NODE)
    ).strip()


def _shown(element):
    """An element in a few words, without what may be secret."""
    words = [
        '%s="%s"' % (name, HIDDEN if _SECRET.search(name) else value) for name, value in element.attributes.items()
    ]
    return " ".join(["<" + element.tagName] + words)[:200] + ">"
