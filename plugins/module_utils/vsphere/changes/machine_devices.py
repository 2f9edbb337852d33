# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of a virtual machine's devices. A device is edited by sending all of it back, as it was read."""

from __future__ import annotations

import copy
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import TYPE, number, tag


def by_key(array):
    """{key: element} of an array of VirtualDevice."""
    return {child.findtext("{*}key", ""): child for child in array}


def limit(device, holder):
    """The field `limit` of one of a device's structures. :raises ChangeError: the server does not tell it."""
    found = number(device.findtext("{*}%s/{*}limit" % holder))
    if found is None:
        raise ChangeError("the server does not tell the limit (%s) of device %s" % (holder, device.findtext("{*}key")))
    return found


def edited(device, holder, wanted):
    """VirtualDeviceConfigSpec as XML: the device with another limit."""
    changed = copy.deepcopy(device)
    place = changed.find("{*}%s/{*}limit" % holder)
    place.text = str(wanted)
    return '<deviceChange xsi:type="VirtualDeviceConfigSpec"><operation>edit</operation>%s</deviceChange>' % as_xml(
        changed, "device"
    )


def as_xml(element, name=None):
    """An element of a reply as it goes into a request, where the API's namespace is the default one."""
    attributes = ""
    for key, text in element.items():
        if key == TYPE:
            prefix, _colon, kind = text.rpartition(":")
            attributes += " xsi:type=%s" % quoteattr(text if prefix in ("xsd", "xs") else kind)
        elif not key.startswith("{"):
            attributes += " %s=%s" % (key, quoteattr(text))
    name = name or tag(element)
    inner = "".join(as_xml(child) for child in element) if len(element) else escape(element.text or "")
    return "<%s%s>%s</%s>" % (name, attributes, inner, name)
