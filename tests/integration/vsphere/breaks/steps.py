# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hand, the hardware or a fault does to a target of its own: the vocabulary of the tables beside this file.

A step is called with the Place. Whatever a person can set goes over the API, as a person would do it; `state` is for
firmware, hardware and what machines run into; `deny_*` and `refuse` hide facts, as too few rights or an old server do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

HOST = "esx02.lab.example"  # ESXi 8.0.3
MACHINE = "db01"  # the only machine of people there, as a site would harden one
RELEASES = {"esx01.lab.example": "7.0.3", HOST: "8.0.3", "esx03.lab.example": "9.0.0"}


class Place:
    """A fresh target, a person's session there, and the host in question."""

    def __init__(self, target: Target, admin: Client, host: str) -> None:
        self.target = target
        self.admin = admin
        self.host_name = host

    @property
    def host(self) -> vim.HostSystem:
        return self.admin.host(RELEASES[self.host_name])


Step = Callable[[Place], Any]


@dataclasses.dataclass(frozen=True)
class Break:
    """How one check comes to pass, to fail and to be unknown.

    states: {status: steps}, in the order in which they are taken, on one target; the target starts as installed.
    why: text that the result says when it fails. gold: settings beside those of the site (hardening.SITE).
    never: {status: reason} of what cannot occur on a target.
    """

    check: str
    states: Mapping[str, Sequence[Step]]
    why: str = ""
    gold: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    host: str = HOST
    never: Mapping[str, str] = dataclasses.field(default_factory=dict)


def state(name: str, value: Any, of: str = "") -> Step:
    """A property that no API sets. of: a machine or another host; None takes the property away."""
    return lambda place: place.target.control(
        "POST", "state", {"object": of or place.host_name, "property": name, "value": value}
    )


def deny(name: str, kind: str = "HostSystem") -> Step:
    """The account may not read a property."""
    rule = {"kind": "deny_property", "property": name, "type": kind}
    return lambda place: place.target.control("POST", "faults", rule)


def deny_machine(name: str) -> Step:
    """The account may not read a property of machines."""
    return deny(name, "VirtualMachine")


def deny_path(path: str) -> Step:
    """The account may not read a path of the Automation API."""
    return lambda place: place.target.control("POST", "faults", {"kind": "deny_path", "path": path})


def refuse(method: str) -> Step:
    """The account may not call a method."""
    return lambda place: place.target.control("POST", "faults", {"kind": "deny_method", "method": method})


def options(**values: Any) -> Step:
    """Advanced options of the host; a double underscore is a dot."""
    return lambda place: hardening.set_options(place.host, _dotted(values))


def settings(**values: Any) -> Step:
    """Options of the vCenter; a double underscore is a dot."""
    changed = [vim.option.OptionValue(key=key, value=value) for key, value in _dotted(values).items()]
    return lambda place: place.admin.content.setting.UpdateOptions(changedValue=changed)


def _dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in values.items()}


def esxcli(command: str, **arguments: str) -> Step:
    """A command at the host."""
    return lambda place: place.admin.esxcli(place.host, command, **arguments)


def restart(place: Place) -> None:
    """What waits for a restart of the host is in force."""
    client.restart(place.host)


def document(path: str, value: Any) -> Step:
    """An answer of the Automation API."""
    return lambda place: place.target.control("POST", "documents", {"path": path, "value": value})


def reconfigure(**spec: Any) -> Step:
    """Fields of the machine's configuration."""
    return lambda place: done(place.admin.machine(MACHINE).ReconfigVM_Task(spec=vim.vm.ConfigSpec(**spec)))


def lockdown(mode: str) -> Step:
    """The host's lockdown mode."""
    return lambda place: place.host.configManager.hostAccessManager.ChangeLockdownMode(mode=mode)


def service(name: str, *, running: bool, policy: str) -> Step:
    """A service of the host, now and after its next start."""

    def step(place: Place) -> None:
        manager = place.host.configManager.serviceSystem
        manager.UpdateServicePolicy(id=name, policy=policy)
        found = next(entry for entry in place.host.config.service.service if entry.key == name)
        if found.running != running:
            (manager.StartService if running else manager.StopService)(id=name)

    return step


def grant(who: str, role: str, where: Callable[[Client], Any], *, group: bool = False) -> Step:
    """A role for a principal on an object, and below it."""

    def step(place: Place) -> None:
        manager = place.admin.content.authorizationManager
        number = next(found.roleId for found in manager.roleList if found.name == role)
        permission = vim.AuthorizationManager.Permission(principal=who, group=group, roleId=number, propagate=True)
        manager.SetEntityPermissions(entity=where(place.admin), permission=[permission])

    return step


def role(name: str, *privileges: str) -> Step:
    """A role of the site's own."""
    return lambda place: place.admin.content.authorizationManager.AddAuthorizationRole(
        name=name, privIds=list(privileges)
    )


def root(admin: Client) -> Any:
    """The root folder."""
    return admin.content.rootFolder


def vm_folder(admin: Client) -> Any:
    """The folder of machines."""
    return admin.all(vim.Datacenter)[0].vmFolder


def machine(admin: Client) -> Any:
    """The machine."""
    return admin.machine(MACHINE)
