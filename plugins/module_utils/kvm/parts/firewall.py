# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""firewall: the packet filter as the kernel runs it, what the next start would load, and who listens."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import (
    firewalld,
    iptables_save,
    nft,
    own_table,
    systemd,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.sockets import listeners

# The units that load a ruleset when the host starts, the one that decides first. RHEL family: iptables-services.
UNITS = ("firewalld", "ufw", "nftables", "netfilter-persistent", "iptables", "ip6tables")
SERVICES = tuple(unit + ".service" for unit in UNITS)
SAVED_IPTABLES = (
    ("netfilter-persistent", "ip", "/etc/iptables/rules.v4"),
    ("netfilter-persistent", "ip6", "/etc/iptables/rules.v6"),
    ("iptables", "ip", "/etc/sysconfig/iptables"),
    ("ip6tables", "ip6", "/etc/sysconfig/ip6tables"),
)
FAMILIES = (("ip", "iptables", "/proc/net/ip_tables_names"), ("ip6", "ip6tables", "/proc/net/ip6_tables_names"))
# Settings of ufw without which the next start is not default deny for both families.
UFW = {"IPV6": ("yes",), "DEFAULT_INPUT_POLICY": ("drop", "reject")}
# The saved nftables file is loaded in a network namespace of its own, which ends with the command: the host's rules are
# neither touched nor seen, and what comes back is what a start would load. Rules on an interface by index (iif) need
# one of that name; bridges stand in for them.
SCRATCH = [
    "unshare",
    "--net",
    "sh",
    "-c",
    'file=$1; shift; for name; do ip link add name "$name" type bridge || exit 3; done; '
    'nft -f "$file" && nft -j list ruleset',
    "sh",
]
MAX_STAND_INS = 100


def collect(host, note):
    """Return {"firewall": {ruleset, own, units, saved, firewalld, listeners}}."""
    # What needs systemd comes last: its answer is the one that takes longest.
    rules = attempt(note, "firewall.ruleset", lambda: ruleset(host))
    listening = attempt(note, "firewall.listeners", lambda: listeners(host))
    units = attempt(note, "firewall.units", lambda: unit_states(host))
    zones = attempt(note, "firewall.firewalld", lambda: firewalld_facts(host, units or {}))
    saved = own = None
    if units is None or zones is None:
        note("firewall.saved", "which service loads the rules at start is not known")
    else:
        saved = attempt(
            note,
            "firewall.saved",
            lambda: own_table.with_saved(
                host, saved_state(host, units, zones), rules or [], lambda path: _loaded_apart(host, path)
            ),
        )
    if rules is None:
        note("firewall.own", "the ruleset was not read")
    else:
        own = attempt(note, "firewall.own", lambda: own_table.state(host, rules))
    return {
        "firewall": {
            "ruleset": rules,
            "own": own,
            "units": units,
            "saved": saved,
            "firewalld": zones,
            "listeners": listening,
        }
    }


def ruleset(host):
    """Every table of the running packet filter, in the model of nft.py."""
    tables, foreign = nft.parse(host.succeed(["nft", "-j", "list", "ruleset"]))
    for family, tool, names in FAMILIES:
        if any(entry[0] == family for entry in foreign):
            translated = iptables_save.parse(_first(host, [tool + "-nft-save", tool + "-save"]), family, "iptables-nft")
            replaced = {table["name"] for table in translated}
            tables = [
                table for table in tables if table["family"] != family or table["name"] not in replaced
            ] + translated
        if _legacy(host, names):
            text = host.succeed([tool + "-legacy-save"])
            tables += iptables_save.parse(text, family, "iptables-legacy")
    return tables


def _first(host, tools):
    for tool in tools:
        try:
            return host.succeed([tool])
        except Absent:
            continue
    raise Unreadable("rules made with iptables, but %s is not installed to read them" % " or ".join(tools))


def _legacy(host, names):
    """Whether x_tables holds tables. Asking iptables-legacy itself would load its modules."""
    try:
        return bool(host.read(names).split())
    except Absent:
        return False


def unit_states(host):
    """{unit: {enabled: bool, active: bool, command}}; a unit that does not exist is neither."""
    known = systemd.show(host, SERVICES)
    return {unit: _unit_state(known.get(service, {})) for unit, service in zip(UNITS, SERVICES)}


def _unit_state(values):
    command = re.search(r"argv\[\]=([^;]*)", values.get("ExecStart", ""))
    return {
        "enabled": values.get("UnitFileState", "").startswith("enabled"),
        "active": values.get("ActiveState") in ("active", "reloading"),
        "command": command.group(1).strip() if command else "",
    }


def firewalld_facts(host, units):
    """{running, zones, unsaved}; unsaved says where the running zones differ from the saved ones."""
    if not units.get("firewalld", {}).get("active"):
        return {"running": False, "zones": [], "unsaved": ""}
    zones = firewalld.zones(host)
    return {"running": True, "zones": zones, "unsaved": firewalld.difference(zones)}


def saved_state(host, units, zones):
    """What the next start loads: {manager, kind, ruleset, detail}.

    kind: none (no enabled service loads rules), ruleset (then `ruleset` holds it), same or differs (a manager that
    keeps its own form, compared with what runs).
    """
    enabled = [unit for unit in UNITS if units[unit]["enabled"]]
    if "firewalld" in enabled:
        kind = "differs" if zones["unsaved"] or not zones["running"] else "same"
        detail = zones["unsaved"] or ("" if zones["running"] else "firewalld is not running")
        return _saved("firewalld", kind, detail=detail)
    # Ubuntu enables ufw's unit everywhere; ENABLED in its own file says whether it does anything.
    ufw = _ufw(host) if "ufw" in enabled else {}
    if ufw.get("ENABLED") == "yes":
        wrong = ["%s=%s" % (name, ufw.get(name, "")) for name, good in sorted(UFW.items()) if ufw.get(name) not in good]
        return _saved("ufw", "differs" if wrong else "same", detail=", ".join(wrong))
    loaders = [unit for unit in enabled if unit != "ufw"]
    if not loaders:
        return _saved("", "none", detail="no service that loads firewall rules is enabled at start")
    tables = _saved_nftables(host, units["nftables"]["command"]) if "nftables" in loaders else []
    for unit, family, path in SAVED_IPTABLES:
        if unit in loaders:
            tables += iptables_save.parse(_text(host, path), family, unit)
    return _saved(", ".join(loaders), "ruleset", tables)


def _saved(manager, kind, tables=(), detail=""):
    return {"manager": manager, "kind": kind, "ruleset": list(tables), "detail": detail}


def _saved_nftables(host, command):
    path = re.search(r"-f\s+(\S+)", command)
    if not path:
        raise Unreadable("nftables.service starts %r: the file it loads is not known" % command[:80])
    return _loaded_apart(host, path.group(1))


def _loaded_apart(host, path):
    answer = host.run(SCRATCH + [path])
    if answer.rc != 0 and "Interface does not exist" in answer.err:
        # Only where the kernel has bridges already: an audit loads no modules.
        names = [name for name in host.list("/sys/class/net") if name != "lo"][:MAX_STAND_INS]
        if host.exists("/sys/module/bridge") or any(host.exists("/sys/class/net/%s/bridge" % name) for name in names):
            answer = host.run(SCRATCH + [path] + names)
    if answer.rc != 0:
        raise Unreadable("%s does not load: %s" % (path, (answer.err.strip() or "no message").splitlines()[0][:200]))
    return nft.parse(answer.out)[0]


def _ufw(host):
    """ufw keeps its rules as scripts; what it says about itself is compared instead (ufw(8), /etc/default/ufw)."""
    settings = {}
    for path in ("/etc/default/ufw", "/etc/ufw/ufw.conf"):
        for line in _text(host, path).splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.startswith("#"):
                settings[name.strip()] = value.strip().strip('"').lower()
    return settings


def _text(host, path):
    try:
        return host.read(path)
    except Absent:
        return ""


PART = Part(
    "firewall",
    [
        "firewall.ruleset",
        "firewall.own",
        "firewall.units",
        "firewall.saved",
        "firewall.firewalld",
        "firewall.listeners",
    ],
    collect,
    SERVICES,
)
