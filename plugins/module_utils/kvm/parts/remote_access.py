# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""remote_access: what the running ssh servers really enforce, and which protocols answer."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt


def collect(host, note):
    """Return {"remote_access": {"ssh": {"effective_root": {key: value}}}}."""
    root = attempt(note, "remote_access.ssh.effective_root", lambda: effective(host, "root", "192.0.2.1"))
    return {"remote_access": {"ssh": {"effective_root": root}}}


def effective(host, user, address):
    """The settings sshd applies to a login: `sshd -T -C`, so that Match blocks count. {keyword: value}, lower case."""
    out = host.succeed(["/usr/sbin/sshd", "-T", "-C", "user=%s,host=%s,addr=%s" % (user, address, address)])
    settings = {}
    for line in out.splitlines():
        keyword, _space, value = line.partition(" ")
        if keyword in settings:
            settings[keyword] += " " + value.strip()
        else:
            settings[keyword] = value.strip()
    return settings


PART = Part("remote_access", ["remote_access.ssh"], collect)
