# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about rules of the audit system: a file of ours below /etc/audit/rules.d."""

from __future__ import annotations

import os

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import files

HEAD = "## Written by dwp.hypervisor; a later run replaces it.\n"


def audit_rules(row, world):
    """A file of watches; returns {path: [before, after]}.

    Only what exists is watched: auditctl stops at the first path that does not, and with it every rule behind.

    :raises ValueError: a path that has to be watched does not exist.
    """
    lines = []
    for watch in row["watches"]:
        if os.path.exists(watch["path"]):
            lines.append(_line(watch, row["key"], os.path.isdir(watch["path"])))
        elif watch["required"]:
            raise ValueError("%s does not exist: it cannot be watched" % watch["path"])
    return files.file(dict(row, kind="file", content=HEAD + "".join(lines)), world)


def _line(watch, key, is_directory):
    if not watch["people_only"]:
        return "-w %s -p wa -k %s\n" % (watch["path"], key)
    # auid is set at login and kept through sudo: services that write by themselves have none.
    what = "dir" if is_directory else "path"
    return "-a always,exit -F %s=%s -F perm=wa -F auid!=unset -F key=%s\n" % (what, watch["path"], key)


KINDS = {"audit_rules": audit_rules}
