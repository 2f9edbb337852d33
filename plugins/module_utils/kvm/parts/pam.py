# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pam: what PAM demands, service by service, of somebody who wants to administer the host."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import pam_stack
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# The program a service belongs to: without it the service cannot be used, whatever its file says.
SERVICES = {
    "sshd": "/usr/sbin/sshd",
    "login": "/bin/login",
    "sudo": "/usr/bin/sudo",
    "sudo-i": "/usr/bin/sudo",
    "su": "/bin/su",
    "su-l": "/bin/su",
    "polkit-1": "/usr/lib/polkit-1/polkit-agent-helper-1",
    "cockpit": "/usr/lib/cockpit/cockpit-session",
}
# Where some families keep the same program.
ELSEWHERE = {
    "/usr/lib/cockpit/cockpit-session": "/usr/libexec/cockpit-session",
    "/usr/lib/polkit-1/polkit-agent-helper-1": "/usr/libexec/polkit-agent-helper-1",
}
FALLBACK = "other"
PATH = "mfa.pam"


def collect(host, note):
    """Return {"mfa": {"pam": {service: {present, program, file, lines} or None}}}.

    program: whether what uses the service is installed. present: whether the service has a file of its own; without one
    PAM uses `other`, and lines are those. lines: the resolved `auth` stack, see pam_stack.stack.
    """
    found = {}
    for service in SERVICES:
        found[service] = attempt(note, "%s.%s" % (PATH, service), lambda service=service: _service(host, service))
    return {"mfa": {"pam": found}}


def _service(host, service):
    program = SERVICES[service]
    installed = host.exists(program) or (program in ELSEWHERE and host.exists(ELSEWHERE[program]))
    try:
        return dict(pam_stack.stack(host, service), present=True, program=installed)
    except Absent:
        pass
    try:
        return dict(pam_stack.stack(host, FALLBACK), present=False, program=installed)
    except Absent:
        return {"file": "", "lines": [], "present": False, "program": installed}


PART = Part("pam", [PATH], collect)
