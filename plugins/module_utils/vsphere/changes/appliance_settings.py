# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a vCenter that its vSphere Automation API holds: where it sends its logs."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError

FORWARDING = "/api/appliance/logging/forwarding"


def forwarding(controller, _name):
    """The appliance's log servers, each as "TLS log1.example.org:6514"."""
    return ["%s %s:%d" % (one["protocol"], one["hostname"], int(one["port"])) for one in controller.asked(FORWARDING)]


def set_forwarding(controller, changes):
    """The same, set as a whole."""
    for _name, wanted in changes:
        controller.told("PUT", FORWARDING, {"cfg_list": [_target(text) for text in wanted]})
        controller.written()


def _target(text):
    protocol, _space, address = text.partition(" ")
    hostname, _colon, port = address.rpartition(":")
    if not hostname or not port.isdigit():
        raise ChangeError("%r is no log server, expected a protocol, a name and a port" % text)
    return {"hostname": hostname, "port": int(port), "protocol": protocol}
