# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every change of the ssh server shares: where our settings go, and how the server takes them up."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation

# Sorts before 50-cloud-init.conf and 50-redhat.conf: sshd keeps the first value it finds (pitfall P10).
DROP_IN = "/etc/ssh/sshd_config.d/00-dwp-hypervisor.conf"
MAIN = "/etc/ssh/sshd_config"
UNITS = {"debian": "ssh.service", "rhel": "sshd.service"}


def activation(situation: Situation, restart: bool = False) -> list[Row]:
    """Test the whole configuration, then have the server read it; sessions that are open stay open."""
    unit = UNITS[situation.family]
    return [plan.run("/usr/sbin/sshd", "-t", undo=["/bin/true"]), plan.restart(unit) if restart else plan.reload(unit)]


def refuse_unread(situation: Situation) -> None:
    """Nothing of sshd is changed while nobody knows what it enforces now, or where it does not read our file.

    :raises Refusal: what could not be read, or a server with a configuration of its own.
    """
    ssh = (situation.facts.get("remote_access") or {}).get("ssh") or {}
    servers = ssh.get("servers")
    if not servers or ssh.get("contexts") is None or ssh.get("effective") is None:
        reasons = [
            entry["reason"]
            for entry in situation.facts.get("collector", {}).get("errors", [])
            if entry["path"].startswith("remote_access.ssh")
        ]
        raise Refusal(f"what sshd enforces could not be read ({'; '.join(reasons[:3]) or 'no ssh server'})")
    for server in servers:
        if server["config"] != MAIN or server["config_files"] is None:
            raise Refusal(f"the ssh server {server['id']} reads {server['config']}, not {MAIN}: set it by hand")
