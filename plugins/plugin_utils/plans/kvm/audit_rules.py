# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every change of an audit rule shares: a file for each purpose, and how it is loaded without touching others.

Once the rules are locked (enabled 2) the kernel takes no other until the next start: then only the file is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation

RULES = "/etc/audit/rules.d"
INSTALL = {
    "debian": "apt-get install auditd audispd-plugins",
    "rhel": "dnf install audit audispd-plugins",
}
# Exchanges the loaded rules that carry the key for those of the file, also for those of no file. augenrules --load
# would load every file, and with that lock the rules at once where -e 2 is written but waits for the restart.
LOAD = """\
if auditctl -s | grep -q '^enabled 2$'; then exit 0; fi
auditctl -D -k "$1" > /dev/null
if test -e "$2"; then auditctl -R "$2" > /dev/null; fi
"""


def watch(path: str, *, people_only: bool = False, required: bool = False) -> dict[str, Any]:
    """What rules() watches: writes and attribute changes of a file, or of a directory and all below it.

    people_only: those by processes that came from a login; services that write there all day are left out. required: an
    error where the path does not exist, which is passed over otherwise.
    """
    return {"path": path, "people_only": people_only, "required": required}


def missing(situation: Situation) -> list[Row]:
    """What a person has to do before rules can be written; an empty list where nothing.

    :raises Refusal: whether auditd is there was not read, for example because systemd did not answer in time.
    """
    audit = situation.facts["logging"]["audit"]
    if audit["service"] is None:
        raise Refusal("the state of auditd could not be read (collector.errors says why): nothing of it is changed")
    if not audit["service"]["installed"]:
        return [plan.by_hand(f"the audit system is not installed: {INSTALL[situation.family]}")]
    if audit.get("enabled") not in ("1", "2"):
        return [
            plan.by_hand(
                "auditing is off or does not answer (auditctl -s): start auditd (systemctl enable --now auditd), "
                "without audit=0 among the kernel's arguments, and run again"
            )
        ]
    return []


def locked(situation: Situation) -> bool:
    """Whether the kernel takes no rule before the next start."""
    return situation.facts["logging"]["audit"]["enabled"] == "2"


def load(key: str, path: str) -> Row:
    """Activation: the kernel's rules with that key become those of that file, and no other changes."""
    return plan.run("/bin/sh", "-c", LOAD, "sh", key, path)


def rules(situation: Situation, purpose: str, watches: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows for the watches of one purpose. Rules of others, also those that say the same, stay as they are."""
    wanting = missing(situation)
    if wanting:
        return wanting
    path, key = f"{RULES}/60-dwp-hypervisor-{purpose}.rules", f"dwp-hypervisor-{purpose}"
    row = {"kind": "audit_rules", "key": key, "watches": [dict(entry) for entry in watches]}
    if locked(situation):
        return [{**plan.file(path, "", mode="0640", pending="reboot"), **row}]
    return [{**plan.file(path, "", mode="0640", then=[load(key, path)]), **row}]
