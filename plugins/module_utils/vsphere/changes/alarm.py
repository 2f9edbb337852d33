# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alarm that tells of changes to virtual machines.

What people see of it is whether it is on and whom it tells. Where somebody gave the alarm of that name more, or another
event, its whole specification is kept beside that, so that taking a change back brings all of it back.
"""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.machine_devices import as_xml
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_object, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element, reference
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import (
    Ref,
    at,
    flag,
    many,
    number,
    tag,
    value,
)

CHANGED = "VmReconfiguredEvent"
MAIL, TRAP = "SendEmailAction", "SendSNMPAction"
DESCRIPTION = "A configuration of a virtual machine was changed (SS-009, 11.3.7)"
SUBJECT, BODY = "Virtual machine reconfigured: {targetName}", "{eventDescription}"
# Fields of AlarmSpec, in the order of its schema; an AlarmInfo has others after them.
FIELDS = ("name", "description", "enabled", "expression", "action", "actionFrequency", "setting")
NAMES = Properties("Alarm", {"info.name": None, "info.entity": None})


def _info(found):
    """(the alarm as plain data, its specification as XML)"""
    return value(found), "".join(as_xml(child) for child in found if tag(child) in FIELDS)


WHOLE = Properties("Alarm", {"info": _info})


def current(controller, name):
    """{enabled, mail, trap} of the alarm of that name at the root folder, None where there is none.

    mail: addresses with commas; trap: whether it sends one; spec: XML, where it is not as put() would make it.
    """
    moid = _moid(controller, name)
    if moid is None:
        return None
    info, spec = of_object(controller.session, WHOLE, Ref(moid, "Alarm"), {}).values["info"]
    actions = list(_actions(info.get("action")))
    found = {
        "enabled": flag(info.get("enabled")) is True,
        "mail": next((str(one.get("toList", "")) for one in actions if one["_type"] == MAIL), ""),
        "trap": any(one["_type"] == TRAP for one in actions),
    }
    return found if _ours(info, actions) else dict(found, spec=spec)


def shown(found):
    """The same for people; what somebody added may be a script with a secret among its arguments."""
    if not found or "spec" not in found:
        return found
    return dict({key: found[key] for key in ("enabled", "mail", "trap")}, more="as somebody set it")


def _ours(info, actions):
    """Whether nothing is in an alarm that put() does not set."""
    expression = info.get("expression")
    return (
        at(expression, "_type") == "EventAlarmExpression"
        and CHANGED in (at(expression, "eventType"), str(at(expression, "eventTypeId", "")).rpartition(".")[2])
        and not at(expression, "comparisons")
        and not at(expression, "status")
        and info.get("description") == DESCRIPTION
        and not number(info.get("actionFrequency"))
        and len(actions) == len({one["_type"] for one in actions})
        and all(
            one["_type"] == TRAP
            or one["_type"] == MAIL
            and (one.get("subject"), one.get("body"), one.get("ccList") or "") == (SUBJECT, BODY, "")
            for one in actions
        )
    )


def _moid(controller, name):
    def read():
        root = controller.session.content["rootFolder"]
        references = controller.call(
            "AlarmManager", controller.manager("alarmManager"), "GetAlarm", reference("entity", "Folder", root)
        )
        found = of_objects(controller.session, NAMES, references, {})
        return {one.values.get("info.name"): one.moid for one in found if one.values.get("info.entity") == root}

    return controller.once("alarms", read).get(name)


def _actions(action):
    for entry in many(action):
        if isinstance(entry, dict) and entry.get("_type") in ("AlarmTriggeringAction", "GroupAlarmAction"):
            yield from _actions(entry.get("action"))
        elif isinstance(entry, dict) and "_type" in entry:
            yield entry


def put(controller, changes):
    """Make the alarm, set it anew, or take it away where there was none."""
    for name, wanted in changes:
        controller.written()
        moid = _moid(controller, name)
        if moid is not None and wanted is None:
            controller.call("Alarm", moid, "RemoveAlarm")
        elif moid is not None:
            controller.call("Alarm", moid, "ReconfigureAlarm", _spec(name, wanted))
        elif wanted is not None:
            root = controller.session.content["rootFolder"]
            controller.call(
                "AlarmManager", controller.manager("alarmManager"), "CreateAlarm",
                reference("entity", "Folder", root) + _spec(name, wanted),
            )  # fmt: skip
        controller.written()


def _spec(name, wanted):
    """An AlarmSpec."""
    return '<spec xsi:type="AlarmSpec">%s</spec>' % (wanted.get("spec") or _fields(name, wanted))


def _fields(name, wanted):
    """The fields of ours. Without a status every such event fires the actions, not the first one alone."""
    expression = '<expression xsi:type="EventAlarmExpression">%s%s%s</expression>' % (
        element("eventType", CHANGED), element("eventTypeId", "vim.event." + CHANGED),
        element("objectType", "VirtualMachine"),
    )  # fmt: skip
    told = ""
    if wanted["mail"]:
        told += _triggered(
            '<action xsi:type="%s">%s%s%s%s</action>' % (
                MAIL, element("toList", wanted["mail"]), element("ccList", ""),
                element("subject", SUBJECT), element("body", BODY),
            )
        )  # fmt: skip
    if wanted["trap"]:
        told += _triggered('<action xsi:type="%s"/>' % TRAP)
    return "%s%s%s%s%s%s" % (
        element("name", name),
        element("description", DESCRIPTION),
        element("enabled", WORDS[wanted["enabled"]]),
        expression,
        '<action xsi:type="GroupAlarmAction">%s</action>' % told if told else "",
        element("actionFrequency", 0),
    )


def _triggered(action):
    never = "".join(element(name, "false") for name in ("green2yellow", "yellow2red", "red2yellow", "yellow2green"))
    return '<action xsi:type="AlarmTriggeringAction">%s%s</action>' % (action, never)
