# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a vCenter."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import (
    as_typed,
    typed_options,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element


def _typed(controller, name):
    def read():
        answer = controller.session.call(
            "OptionManager", controller.manager("setting"), "QueryOptions", element("name", name)
        )
        return typed_options(answer)

    found = controller.once("option " + name, read)
    if name not in found:
        raise ChangeError("the vCenter has no option %s" % name)
    return found[name]


def option(controller, name):
    """The value of an option of the vCenter."""
    return _typed(controller, name).content


def set_options(controller, changes):
    """All of them in one call: the server takes all or none."""
    controller.call(
        "OptionManager", controller.manager("setting"), "UpdateOptions",
        "".join(
            "<changedValue>%s%s</changedValue>"
            % (element("key", name), as_typed(name, _typed(controller, name).kind, wanted))
            for name, wanted in changes
        ),
    )  # fmt: skip
    controller.written()
