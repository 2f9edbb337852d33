# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask systemd about units, all of them in one call: each call costs the same 10 ms whatever it asks."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable


def show(host, units, properties):
    """Return {unit: {property: text}} of every unit that is installed or loaded.

    A property that systemd leaves out is "", one that it prints twice (Listen) holds the lines joined by newlines.
    Raises Unreadable, also where the machine was not booted with systemd.
    """
    wanted = list(dict.fromkeys(["Id", "LoadState", *properties]))
    out = host.succeed(["systemctl", "show", "--no-pager", "-p", ",".join(wanted), "--", *units])
    found, answered = {}, 0
    for block in out.split("\n\n"):
        values = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals and name in wanted:
                values[name] = values[name] + "\n" + value if name in values else value
        if not values.get("Id"):
            continue
        answered += 1
        if "LoadState" not in values:
            raise Unreadable("systemctl show answered without the state of %s" % values["Id"])
        if values["LoadState"] != "not-found":
            found[values["Id"]] = {name: values.get(name, "") for name in wanted}
    # A unit that does not exist is answered too: one that is missing from a cut answer must not look uninstalled.
    named = [unit for unit in units if "*" not in unit]
    if answered < len(named) or not out.endswith("\n"):
        raise Unreadable("systemctl show answered for %d of %d units" % (answered, len(named)))
    return found
