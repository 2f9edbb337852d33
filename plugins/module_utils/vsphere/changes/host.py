# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ESXi host as an enforcement finds it: the values of now, read in bulk, and the calls that set them.

Every call sets a whole value and none adds to one, so a call whose answer was lost can be sent again. Where a server
refuses what is so already, as of a service that is running, the engine compares what is with what was asked for.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import (
    directory,
    esxcli_settings,
    machine,
    maintenance,
    network,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kind import Kind
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.esxcli import EsxCli
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.host_facts import split
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, in_view, of_object
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import (
    NUMBERS,
    TYPE,
    Ref,
    at,
    flag,
    many,
    tag,
    value,
)


class Typed(object):
    """An advanced option: its value, and the type in which the server gave it and wants it back (pitfall P3)."""

    def __init__(self, kind, content):
        self.kind = kind
        self.content = content


def typed_options(array):
    """{key: Typed} of an array of OptionValue."""
    found = {}
    for entry in array:
        parts = {tag(child): child for child in entry}
        if "key" in parts and "value" in parts:
            kind = parts["value"].get(TYPE, "")
            found[parts["key"].text] = Typed(kind[kind.rfind(":") + 1 :], value(parts["value"]))
    return found


ALWAYS = ("name", "hardware.systemInfo.uuid", "runtime.connectionState", "configManager")


class Host(object):
    """One host: its name, UUID and id, and what was read of it. session: where it is asked and told.

    machines: {UUID: what was read of it} of those of its machines that are to be changed; machines_changed: since then.
    cli: its esxcli.
    """

    def __init__(self, session, found):
        self.session = session
        self.moid = found.moid
        self.name = found.name
        self.uuid = found.values.get("hardware.systemInfo.uuid", "")
        self.connection = found.values.get("runtime.connectionState", "unknown")
        self._values = found.values
        self._missing = found.missing
        self._asked = {}
        self.machines = {}
        self.machines_changed = False
        self.cli = EsxCli(session, found.moid)

    def known(self, path):
        """The value of a property.

        :raises ChangeError: it was not read.
        """
        if self._values.get(path) is None:
            raise ChangeError("%s was not read: %s" % (path, self._missing.get(path, "it is unset")))
        return self._values[path]

    def machine(self, uuid):
        """What was read of one of its virtual machines. :raises ChangeError: it is not there."""
        if uuid not in self.machines:
            raise ChangeError("virtual machine %s is not on %s any more" % (uuid, self.name))
        return self.machines[uuid]

    def manager(self, name):
        """The id of one of the host's managers. :raises ChangeError: the server does not name it."""
        moid = (self._values.get("configManager") or {}).get(name)
        if not moid:
            raise ChangeError("the server does not name the host's %s" % name)
        return moid

    def call(self, manager, ref_type, method, arguments=""):
        """What a method of one of the host's managers returns. :raises SoapFault: the server refused."""
        return [value(found) for found in self.session.call(ref_type, self.manager(manager), method, arguments)]

    def asked(self, manager, ref_type, method):
        """The same of a method that only tells, asked once."""
        if method not in self._asked:
            self._asked[method] = self.call(manager, ref_type, method)
        return self._asked[method]

    def told(self, command):
        """What an esxcli command without arguments says, asked once."""
        if command not in self._asked:
            self._asked[command] = self.cli.run(command)
        return self._asked[command]

    def again(self, paths, session=None):
        """The host as it is now, alone: all are read for each of a thousand otherwise. paths: properties to read.

        session: another one than it was read in before.

        :raises Unreadable, SoapFault: it is not there any more.
        """
        session = session or self.session
        return Host(session, of_object(session, _properties(paths), Ref(self.moid, "HostSystem"), {}))


def _properties(paths):
    wanted = Properties("HostSystem", dict.fromkeys((*ALWAYS, *paths)), page=50)
    if "config.option" in wanted.paths:
        wanted.paths["config.option"] = typed_options
    return wanted


def read(session, paths, names=None):
    """{name: Host} of the endpoint's hosts, or of those named, in one question. paths: properties to ask for."""
    hosts = [Host(session, found) for found in in_view(session, _properties(paths), {})]
    return {host.name: host for host in hosts if names is None or host.name in names}


def _option(host, name):
    options = host.known("config.option")
    if name not in options:
        raise ChangeError("the host has no advanced option %s" % name)
    return options[name].content


def _console(host, name):
    """Who DCUI.Access names; it is one text with commas."""
    return split(_option(host, name))


def _set_console(host, changes):
    _set_options(host, [(name, ",".join(wanted)) for name, wanted in changes])


def _set_options(host, changes):
    """All options of a host in one call: the server takes all of them or none."""
    options = host.known("config.option")
    host.call(
        "advancedOption", "OptionManager", "UpdateOptions",
        "".join(
            "<changedValue>%s%s</changedValue>" % (element("key", name), as_typed(name, options[name].kind, wanted))
            for name, wanted in changes
        ),
    )  # fmt: skip


def as_typed(name, kind, wanted):
    """A value as XML of the type in which the server gave the option. :raises ChangeError: it is of another."""
    good = isinstance(wanted, bool) if kind == "boolean" else (
        isinstance(wanted, int) and not isinstance(wanted, bool) if kind in NUMBERS else
        isinstance(wanted, str) and kind == "string"
    )  # fmt: skip
    if not good:
        raise ChangeError("%s is %r, and the server's type of it is %s" % (name, wanted, kind or "not told"))
    return element("value", WORDS[wanted] if kind == "boolean" else wanted, "xsd:%s" % kind)


def _service(host, name):
    for found in host.known("config.service.service"):
        if found.get("key") == name:
            return found
    raise ChangeError("the host has no service %s" % name)


def _set_running(host, changes):
    for name, wanted in changes:
        host.call(
            "serviceSystem", "HostServiceSystem", "StartService" if wanted else "StopService", element("id", name)
        )


def _set_policy(host, changes):
    for name, wanted in changes:
        host.call(
            "serviceSystem", "HostServiceSystem", "UpdateServicePolicy", element("id", name) + element("policy", wanted)
        )


def _ruleset(host, name):
    for found in host.known("config.firewall.ruleset"):
        if found.get("key") == name:
            return found
    raise ChangeError("the host has no rule set %s" % name)


def _enable(host, changes):
    for name, wanted in changes:
        host.call(
            "firewallSystem", "HostFirewallSystem", "EnableRuleset" if wanted else "DisableRuleset", element("id", name)
        )


def _sources(host, name):
    allowed = _ruleset(host, name).get("allowedHosts") or {}
    if flag(allowed.get("allIp")):
        return None
    networks = ["%s/%s" % (found["network"], found["prefixLength"]) for found in many(allowed.get("ipNetwork"))]
    found = many(allowed.get("ipAddress")) + networks
    return sorted(str(ipaddress.ip_network(text, strict=False)) for text in found)


def _limit(host, changes):
    for name, wanted in changes:
        host.call(
            "firewallSystem", "HostFirewallSystem", "UpdateRuleset",
            "%s<spec><allowedHosts>%s</allowedHosts></spec>" % (element("id", name), _ip_list(wanted)),
        )  # fmt: skip


def _ip_list(wanted):
    """HostFirewallRulesetIpList; None is every address."""
    addresses, networks = "", ""
    for text in wanted or ():
        network = ipaddress.ip_network(text)
        if network.prefixlen == network.max_prefixlen:
            addresses += element("ipAddress", network.network_address)
        else:
            inner = element("network", network.network_address) + element("prefixLength", network.prefixlen)
            networks += "<ipNetwork>%s</ipNetwork>" % inner
    return addresses + networks + element("allIp", WORDS[wanted is None])


def _blocked(host, name):
    return flag(host.known("config.firewall.defaultPolicy").get("%sBlocked" % name))


def _block(host, changes):
    policy = "".join(element("%sBlocked" % name, WORDS[wanted]) for name, wanted in sorted(changes))
    host.call(
        "firewallSystem", "HostFirewallSystem", "UpdateDefaultPolicy", "<defaultPolicy>%s</defaultPolicy>" % policy
    )


def _acceptance(host, _name):
    return host.asked("imageConfigManager", "HostImageConfigManager", "HostImageConfigGetAcceptance")[0]


def _accept(host, changes):
    for _name, wanted in changes:
        host.call(
            "imageConfigManager", "HostImageConfigManager", "UpdateHostImageAcceptanceLevel",
            element("newAcceptanceLevel", wanted),
        )  # fmt: skip


# What a principal without an entry of its own has.
NO_ENTRY = "accessNone"


def _access(host, name):
    """name: an account, or a group with a leading %."""
    for entry in host.asked("hostAccessManager", "HostAccessManager", "RetrieveHostAccessControlEntries"):
        if name == ("%" if flag(entry.get("group")) else "") + entry["principal"]:
            return entry["accessMode"]
    return NO_ENTRY


def _set_access(host, changes):
    for name, wanted in changes:
        host.call(
            "hostAccessManager", "HostAccessManager", "ChangeAccessMode",
            element("principal", name.lstrip("%")) + element("isGroup", WORDS[name.startswith("%")])
            + element("accessMode", wanted),
        )  # fmt: skip


def _exceptions(host, _name):
    return sorted(many(host.asked("hostAccessManager", "HostAccessManager", "QueryLockdownExceptions")))


def _except(host, changes):
    for _name, wanted in changes:
        host.call(
            "hostAccessManager", "HostAccessManager", "UpdateLockdownExceptions",
            "".join(element("users", user) for user in wanted),
        )  # fmt: skip


def _set_lockdown(host, changes):
    for _name, wanted in changes:
        host.call("hostAccessManager", "HostAccessManager", "ChangeLockdownMode", element("mode", wanted))


def _time_servers(host, _name):
    return many(at(host.known("config.dateTimeInfo"), "ntpConfig.server"))


def _set_time_servers(host, changes):
    for _name, wanted in changes:
        servers = "".join(element("server", server) for server in wanted)
        host.call(
            "dateTimeSystem", "HostDateTimeSystem", "UpdateDateTimeConfig",
            "<config><ntpConfig>%s</ntpConfig></config>" % servers,
        )  # fmt: skip


# hostd passes these on to vmsyslogd, which takes them up when it is told to (esxcli system syslog reload).
SYSLOG = ("Syslog.global.",)

# In the order in which they are written: who may still come in stands before what keeps the others out, and what is
# let through before what is blocked (pitfall P4).
KINDS = {
    "option": Kind("%s", ("config.option",), _option, _set_options, together="options", of_logs=SYSLOG),
    "console": Kind("%s", ("config.option",), _console, _set_console),
    "access": Kind("access of %s", (), _access, _set_access),
    "time_servers": Kind("time servers", ("config.dateTimeInfo",), _time_servers, _set_time_servers),
    "service_policy": Kind(
        "start of %s", ("config.service.service",), lambda host, name: _service(host, name)["policy"], _set_policy
    ),
    "service": Kind(
        "%s is running",
        ("config.service.service",),
        lambda host, name: flag(_service(host, name)["running"]),
        _set_running,
    ),
    "acceptance": Kind("acceptance level", (), _acceptance, _accept),
    "ruleset_sources": Kind("addresses of rule set %s", ("config.firewall.ruleset",), _sources, _limit),
    "ruleset": Kind(
        "rule set %s is enabled",
        ("config.firewall.ruleset",),
        lambda host, name: flag(_ruleset(host, name)["enabled"]),
        _enable,
    ),
    "firewall_default": Kind(
        "%s traffic is blocked", ("config.firewall.defaultPolicy",), _blocked, _block, together="policy"
    ),
    "portgroup_security": Kind(
        "security policy of port group %s", ("config.network.portgroup",), network.security, network.set_security
    ),
    "portgroup_teaming": Kind(
        "adapters of port group %s", ("config.network.portgroup",), network.teaming, network.set_teaming
    ),
    "portgroup_vlan": Kind("VLAN of port group %s", ("config.network.portgroup",), network.vlan, network.set_vlan),
    "adapter_service": Kind(
        "service %s", ("config.virtualNicManagerInfo.netConfig",), network.carries, network.set_service
    ),
    # The firewall itself is among them: it is switched on when its rule sets are as they should be.
    "esxcli": Kind("esxcli %s", (), esxcli_settings.current, esxcli_settings.write, of_logs=esxcli_settings.OF_LOGS),
    **machine.KINDS,
    # After the options that say whom joining gives rights.
    "directory": Kind("domain of the directory", (directory.INFO,), directory.current, directory.put),
    "lockdown_exceptions": Kind("lockdown exceptions", (), _exceptions, _except),
    "lockdown": Kind(
        "lockdown mode", ("config.lockdownMode",), lambda host, _name: host.known("config.lockdownMode"), _set_lockdown
    ),
    # No plan asks for it: it is kept in the journal while a host is restarted.
    "maintenance": Kind("maintenance mode", (maintenance.MAINTENANCE,), maintenance.current, maintenance.write),
}
