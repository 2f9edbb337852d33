# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""patch: which security updates wait, whether what is installed also runs, and how updates come."""

from __future__ import annotations

import datetime
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import apt_lists, deb_version, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# What differs between the families: (package manager's database, timers that apply updates by themselves).
MANAGERS = {
    "apt": ("/var/lib/dpkg/status", ("apt-daily-upgrade.timer", "unattended-upgrades.service")),
    "dnf": ("/var/lib/rpm", ("dnf-automatic.timer", "dnf-automatic-install.timer")),
}
QEMU_PACKAGES = ("qemu-system-x86", "qemu-system-arm", "qemu-system-misc", "qemu-kvm-core", "qemu-kvm")
MICROCODE_PACKAGES = ("intel-microcode", "amd64-microcode", "microcode_ctl", "linux-firmware")
APT_CONFIGURATION = "/etc/apt/apt.conf.d"
# dnf's four words; anything else has no severity and falls under the strictest limit.
DNF_SEVERITIES = {"Critical": "critical", "Important": "high", "Moderate": "medium", "Low": "low"}


def collect(host, note):
    """Return the branch patch."""
    manager = attempt(note, "patch.manager", lambda: package_manager(host))
    updates = attempt(note, "patch.pending", lambda: pending(host, manager), {})
    if not updates:
        for path in ("patch.list_date", "patch.holds"):
            note(path, "the pending updates could not be told, see patch.pending")
    return {
        "patch": {
            "manager": manager,
            "pending": updates.get("pending"),
            "list_date": updates.get("list_date"),
            "holds": updates.get("holds"),
            "reboot_required": attempt(note, "patch.reboot_required", lambda: reboot_required(host, manager)),
            "kernel_running": attempt(
                note, "patch.kernel_running", lambda: host.read("/proc/sys/kernel/osrelease").strip()
            ),
            "kernel_newest": attempt(note, "patch.kernel_newest", lambda: newest_kernel(host)),
            "qemu_installed_at": attempt(note, "patch.qemu_installed_at", lambda: installed_at(host, manager)),
            "microcode": attempt(note, "patch.microcode", lambda: microcode(host, manager)),
            "automatic": attempt(note, "patch.automatic", lambda: automatic(host, manager)),
        }
    }


def package_manager(host):
    """apt or dnf, by the database that exists."""
    for name, (database, _timers) in sorted(MANAGERS.items()):
        if host.exists(database):
            return name
    raise Unreadable("neither dpkg's nor rpm's database exists")


def pending(host, manager):
    if manager == "apt":
        return apt_lists.pending(host)
    if manager == "dnf":
        return dnf_pending(host)
    raise Unreadable("the package manager is unknown")


def dnf_pending(host):
    """The same from dnf's cache: `dnf updateinfo info` has severity and date of each advisory.

    :raises Unreadable: there is no cache, or the repositories carry no errata, which looks like "nothing to do".
    """
    out = host.succeed(["dnf", "--cacheonly", "--quiet", "updateinfo", "info", "--security", "--available"], timeout=30)
    if not re.search(r"^\s*Update ID\s*:", out, re.MULTILINE):
        every = host.succeed(["dnf", "--cacheonly", "--quiet", "updateinfo", "list", "--all"], timeout=30)
        if not every.strip():
            raise Unreadable("the repositories carry no errata: pending security updates cannot be told")
    found = []
    for block in re.split(r"\n={10,}\n", "\n" + out):
        values = dict(re.findall(r"^\s*(Update ID|Updated|Severity)\s*: (.*)$", block, re.MULTILINE))
        if "Update ID" in values:
            issued = re.match(r"\d{4}-\d\d-\d\d", values.get("Updated", ""))
            found.append(
                {
                    "id": values["Update ID"].strip(),
                    "installed": "",
                    "available": "",
                    "hold": False,
                    "severity": DNF_SEVERITIES.get(values.get("Severity", "").strip(), ""),
                    "issued": issued.group(0) + "T00:00:00+00:00" if issued else "",
                }
            )
    return {"pending": found[: apt_lists.MAX_PENDING], "list_date": dnf_cache_date(host), "holds": version_locks(host)}


def dnf_cache_date(host):
    """When the oldest repository's metadata was fetched, in ISO 8601."""
    names = [
        name for name in host.list("/var/cache/dnf") if name.endswith((".solv", ".solvx")) and "@System" not in name
    ]
    if not names:
        raise Unreadable("/var/cache/dnf holds no repository metadata")
    oldest = min(host.stat("/var/cache/dnf/" + name)["mtime"] for name in names)
    return datetime.datetime.fromtimestamp(oldest, datetime.timezone.utc).isoformat(timespec="seconds")


def version_locks(host):
    try:
        text = host.read("/etc/dnf/plugins/versionlock.list")
    except Absent:
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")][:200]


def reboot_required(host, manager):
    """What the distribution says: a flag file on Debian, needs-restarting -r (exit code 1) on RHEL."""
    if manager == "apt":
        return host.exists("/run/reboot-required")
    answer = host.run(["needs-restarting", "-r"], timeout=20)
    if answer.rc not in (0, 1) or not answer.out.strip():
        raise Unreadable("needs-restarting -r ended with %d: %s" % (answer.rc, answer.err.strip()[:100]))
    return answer.rc == 1


def newest_kernel(host):
    """Release of the newest installed kernel; an empty string where /boot holds none (a container)."""
    releases = [
        name[len("vmlinuz-") :] for name in host.list("/boot") if name.startswith("vmlinuz-") and "rescue" not in name
    ]
    return max(releases, key=deb_version.key) if releases else ""


def installed_at(host, manager):
    """When QEMU was installed or updated, in seconds since the epoch; 0 where it is not installed."""
    if manager == "apt":
        times = [host.stat(path)["mtime"] for path in info_files(host)]
        return max(times) if times else 0
    answer = host.run(["rpm", "-q", "--queryformat", "%{INSTALLTIME}\n"] + list(QEMU_PACKAGES))
    times = [int(line) for line in answer.out.splitlines() if line.isdigit()]
    if not times and "not installed" not in answer.out:
        raise Unreadable("rpm -q gave no answer: %s" % answer.err.strip()[:100])
    return max(times) if times else 0


def info_files(host):
    """dpkg's file lists of the QEMU packages: their modification time is the time of installation."""
    found = []
    for name in QEMU_PACKAGES:
        for path in ("/var/lib/dpkg/info/%s.list" % name, "/var/lib/dpkg/info/%s:amd64.list" % name):
            if host.exists(path):
                found.append(path)
    return found


def microcode(host, manager):
    """{package: name of the installed microcode package or "", revision: of the first processor}."""
    text = host.read("/proc/cpuinfo")
    revision = re.search(r"^microcode\s*:\s*(\S+)$", text, re.MULTILINE)
    if manager == "apt":
        have = apt_lists.installed(host)
        packages = [name for name in MICROCODE_PACKAGES if name in have]
    else:
        out = host.run(["rpm", "-q", "--queryformat", "%{NAME}\n"] + list(MICROCODE_PACKAGES)).out
        packages = [name for name in MICROCODE_PACKAGES if name in out.splitlines()]
    return {"package": packages[0] if packages else "", "revision": revision.group(1) if revision else ""}


def automatic(host, manager):
    """{active: whether updates are applied without a person, unit: which one does it}."""
    if manager not in MANAGERS:
        raise Unreadable("the package manager is unknown")
    units = systemd.show(host, MANAGERS[manager][1])
    running = sorted(name for name, values in units.items() if values["ActiveState"] == "active")
    if manager == "apt":
        return {"active": bool(running) and unattended(host), "unit": running[0] if running else ""}
    return {"active": bool(running), "unit": running[0] if running else ""}


def unattended(host):
    """APT::Periodic::Unattended-Upgrade, the last file wins (apt.conf(5)); off where nothing says it."""
    value = "0"
    try:
        names = host.list(APT_CONFIGURATION)
    except Absent:
        return False
    for name in names:
        text = re.sub(r"(?m)//.*$|^\s*#.*$", "", host.read("%s/%s" % (APT_CONFIGURATION, name)))
        for found in re.findall(r'APT::Periodic::Unattended-Upgrade\s+"([^"]*)"', text):
            value = found
    return value not in ("0", "", "no", "false")


PART = Part("patch", ["patch"], collect, [unit for _database, units in MANAGERS.values() for unit in units])
