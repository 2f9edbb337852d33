# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a vCenter, and the alarm that tells of changes to virtual machines."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import (
    as_typed,
    typed_options,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.controller_facts import ALARMS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element, reference
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import many

CHANGED = "VmReconfiguredEvent"
MAIL, TRAP = "SendEmailAction", "SendSNMPAction"


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


def alarm(controller, name):
    """{enabled, mail, trap} of the alarm of that name at the root folder, None where there is none.

    mail: addresses with commas; trap: whether it sends one.
    """
    found = _alarm(controller, name)
    if found is None:
        return None
    actions = list(_actions(found.values.get("info.action")))
    return {
        "enabled": found.values.get("info.enabled") is True,
        "mail": next((str(one.get("toList", "")) for one in actions if one["_type"] == MAIL), ""),
        "trap": any(one["_type"] == TRAP for one in actions),
    }


def _alarm(controller, name):
    def read():
        root = controller.session.content["rootFolder"]
        references = controller.call(
            "AlarmManager", controller.manager("alarmManager"), "GetAlarm", reference("entity", "Folder", root)
        )
        found = of_objects(controller.session, ALARMS, references, {})
        return {one.values.get("info.name"): one for one in found if one.values.get("info.entity") == root}

    return controller.once("alarms", read).get(name)


def _actions(action):
    for entry in many(action):
        if isinstance(entry, dict) and entry.get("_type") in ("AlarmTriggeringAction", "GroupAlarmAction"):
            yield from _actions(entry.get("action"))
        elif isinstance(entry, dict) and "_type" in entry:
            yield entry


def set_alarm(controller, changes):
    """Make the alarm, set it anew, or take it away where there was none."""
    for name, wanted in changes:
        controller.written()
        _tell(controller, name, wanted)
        controller.written()


def _tell(controller, name, wanted):
    found = _alarm(controller, name)
    if found is not None and wanted is None:
        controller.call("Alarm", found.moid, "RemoveAlarm")
    elif found is not None:
        controller.call("Alarm", found.moid, "ReconfigureAlarm", _spec(name, wanted))
    elif wanted is not None:
        root = controller.session.content["rootFolder"]
        controller.call(
            "AlarmManager", controller.manager("alarmManager"), "CreateAlarm",
            reference("entity", "Folder", root) + _spec(name, wanted),
        )  # fmt: skip


def _spec(name, wanted):
    """An AlarmSpec. Without a status every such event fires the actions, not the first one alone."""
    expression = '<expression xsi:type="EventAlarmExpression">%s%s%s</expression>' % (
        element("eventType", CHANGED), element("eventTypeId", "vim.event." + CHANGED),
        element("objectType", "VirtualMachine"),
    )  # fmt: skip
    told = ""
    if wanted["mail"]:
        told += _triggered(
            '<action xsi:type="%s">%s%s%s%s</action>' % (
                MAIL, element("toList", wanted["mail"]), element("ccList", ""),
                element("subject", "Virtual machine reconfigured: {targetName}"),
                element("body", "{eventDescription}"),
            )
        )  # fmt: skip
    if wanted["trap"]:
        told += _triggered('<action xsi:type="%s"/>' % TRAP)
    return '<spec xsi:type="AlarmSpec">%s%s%s%s%s%s</spec>' % (
        element("name", name),
        element("description", "A configuration of a virtual machine was changed (SS-009, 11.3.7)"),
        element("enabled", WORDS[wanted["enabled"]]),
        expression,
        '<action xsi:type="GroupAlarmAction">%s</action>' % told if told else "",
        element("actionFrequency", 0),
    )


def _triggered(action):
    never = "".join(element(name, "false") for name in ("green2yellow", "yellow2red", "red2yellow", "yellow2green"))
    return '<action xsi:type="AlarmTriggeringAction">%s%s</action>' % (action, never)
