# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pam: what PAM demands, service by service, of somebody who wants to administer the host, and who is enrolled."""

from __future__ import annotations

import posixpath

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import pam_stack, passwd
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
FILES, MODULES, ENROLMENT = "mfa.pam_files", "mfa.pam_modules", "mfa.enrolment"
# Where distributions put the modules, those of /lib among them.
LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/security", "/usr/lib/aarch64-linux-gnu/security", "/usr/lib64/security",
    "/usr/lib/security",
)  # fmt: skip
# Where a module keeps who is enrolled: a file of all accounts, and how a line of it names one; or a file of each.
LISTS = (
    ("pam_oath.so", "/etc/users.oath", lambda line: (line.split() + ["", ""])[1]),
    ("pam_u2f.so", "/etc/u2f_mappings", lambda line: line.partition(":")[0].strip()),
)
OWN_FILES = (("pam_google_authenticator.so", ".google_authenticator"), ("pam_u2f.so", ".config/Yubico/u2f_keys"))


def collect(host, note):
    """Return {"mfa": {"pam": {service: {...} or None}, "pam_files", "pam_modules", "enrolment"}}.

    pam: {present, program, file, lines} of a service. program: whether what uses the service is installed. present:
    whether the service has a file of its own; without one PAM uses `other`, and lines are those. lines: the resolved
    `auth` stack, see pam_stack.stack. pam_files: {path: text} of every file these stacks go through, without comments
    and secrets. pam_modules: names of the installed modules. enrolment: [{module, place, accounts}], who has what a
    module of a second factor asks for.
    """
    found, seen = {}, _Remembering(host)
    for service in SERVICES:
        found[service] = attempt(note, "%s.%s" % (PATH, service), lambda service=service: _service(seen, service))
    mfa = {
        "pam": found,
        "pam_files": {path: pam_stack.shown(text) for path, text in sorted(seen.texts.items())},
        "pam_modules": attempt(note, MODULES, lambda: _modules(host)),
        "enrolment": attempt(note, ENROLMENT, lambda: _enrolment(host)),
    }
    return {"mfa": mfa}


class _Remembering(object):
    """The host, and the text of every file that was read through it."""

    def __init__(self, host):
        self._host = host
        self.exists = host.exists
        self.texts = {}

    def read(self, path):
        self.texts[path] = self._host.read(path)
        return self.texts[path]


def _modules(host):
    found = set()
    for directory in LIBRARIES:
        try:
            found.update(name for name in host.list(directory) if name.startswith("pam_") and name.endswith(".so"))
        except Absent:
            continue
    return sorted(found)


def _enrolment(host):
    """Who is enrolled where; names only, nothing of what the files hold."""
    users = passwd.users(host.read("/etc/passwd"))
    people = {name: users[name] for name in passwd.people(users, passwd.uid_min(host))}
    found = []
    for module, path, name_of in LISTS:
        try:
            lines = host.read(path).splitlines()
        except Absent:
            lines = []
        names = {name_of(line) for line in lines if line.strip() and not line.lstrip().startswith("#")}
        found.append({"module": module, "place": path, "accounts": sorted(names - {""})})
    for module, name in OWN_FILES:
        own = [user for user in people if host.exists(posixpath.join(people[user]["home"], name))]
        found.append({"module": module, "place": "~/%s" % name, "accounts": sorted(own)})
    return found


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


PART = Part("pam", [PATH, FILES, MODULES, ENROLMENT], collect)
