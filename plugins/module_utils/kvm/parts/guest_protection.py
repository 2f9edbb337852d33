# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""guest_protection: anti-malware and intrusion detection on the host, and how old their signatures are."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# Debian and Ubuntu name the scanner clamav-daemon, the RHEL family (EPEL) clamd@scan; the updater is the same.
CLAMAV_SCANNERS = ("clamav-daemon.service", "clamd@scan.service", "clamav-clamonacc.service")
CLAMAV_UPDATERS = ("clamav-freshclam.service", "clamav-freshclam-once.timer", "clamav-freshclam.timer")
CLAMAV_FILES = tuple(
    "/var/lib/clamav/%s.%s" % (name, ending) for name in ("daily", "main") for ending in ("cvd", "cld")
)
# Agents that bring their own updates from a console. Their signature age is not readable in one way for all.
AGENTS = {
    "mdatp.service": "Microsoft Defender for Endpoint",
    "falcon-sensor.service": "CrowdStrike Falcon",
    "sentinelone.service": "SentinelOne",
    "ds_agent.service": "Trend Micro Deep Security",
    "cbagentd.service": "Carbon Black Cloud",
    "sophos-spl.service": "Sophos Protection for Linux",
    "elastic-agent.service": "Elastic Defend",
    "traps_pmd.service": "Cortex XDR",
}
# engine: (service, rule files, units that fetch new rules, the word that a cron job for it contains, configuration)
IDS = {
    "suricata": (
        "suricata.service",
        ("/var/lib/suricata/rules/suricata.rules", "/etc/suricata/rules/suricata.rules"),
        ("suricata-update.timer", "suricata-update.service"),
        "suricata-update",
        "/etc/suricata/suricata.yaml",
    ),
    "snort": ("snort.service", ("/etc/snort/rules/snort.rules",), ("pulledpork.timer",), "pulledpork", None),
}
UNITS = (
    *CLAMAV_SCANNERS,
    *CLAMAV_UPDATERS,
    *AGENTS,
    *(unit for entry in IDS.values() for unit in (entry[0], *entry[2])),
)
CRON = ("/etc/crontab", "/etc/cron.d", "/etc/cron.daily", "/etc/cron.hourly")


def collect(host, note):
    """Return {"av": {engine, running, auto_update, sig_age_h, source}, "ids": {the same, interfaces}}.

    engine "" means that none of the known ones is installed. sig_age_h is -1 where the engine keeps no signature file
    that shows its age.
    """
    units = attempt(note, "av", lambda: systemd.show(host, UNITS))
    if units is None:
        note("ids", "the state of the services could not be read")
        return {"av": None, "ids": None}
    return {
        "av": attempt(note, "av", lambda: _anti_malware(host, units)),
        "ids": attempt(note, "ids", lambda: _intrusion_detection(host, units)),
    }


def _installed(units, name):
    return name in units


def _active(units, name):
    return units.get(name, {}).get("ActiveState") == "active"


def _keeps_running(units, name):
    """Active now and started by itself after a reboot."""
    return _active(units, name) and units[name].get("UnitFileState") in ("enabled", "static", "enabled-runtime")


def _anti_malware(host, units):
    if any(_installed(units, name) for name in CLAMAV_SCANNERS + CLAMAV_UPDATERS):
        updater = next((name for name in CLAMAV_UPDATERS if _keeps_running(units, name)), "")
        updater = updater or _cron_job(host, "freshclam")
        return {
            "engine": "clamav",
            "running": any(_active(units, name) for name in CLAMAV_SCANNERS),
            "auto_update": bool(updater),
            "sig_age_h": _age(host, [_clamav_time(host, path) for path in CLAMAV_FILES]),
            "source": updater,
        }
    for unit, product in AGENTS.items():
        if _installed(units, unit):
            running = _keeps_running(units, unit)
            return {"engine": product, "running": running, "auto_update": running, "sig_age_h": -1, "source": unit}
    return {"engine": "", "running": False, "auto_update": False, "sig_age_h": -1, "source": ""}


def _clamav_time(host, path):
    """When a ClamAV database was built: the ninth field of its header, as a copy has a new mtime but old content."""
    try:
        fields = host.head(path, 512).decode("ascii", "replace").split(":")
    except Absent:
        return None
    if fields[0] == "ClamAV-VDB" and len(fields) > 8 and fields[8].strip().isdigit():
        return int(fields[8])
    return host.stat(path)["mtime"]


def _age(host, times):
    times = [time for time in times if time is not None]
    return round((host.now() - max(times)) / 3600.0, 1) if times else -1


def _intrusion_detection(host, units):
    for engine, (service, rules, updaters, word, configuration) in IDS.items():
        if _installed(units, service):
            updater = next((name for name in updaters if _keeps_running(units, name)), "") or _cron_job(host, word)
            return {
                "engine": engine,
                "running": _keeps_running(units, service),
                "auto_update": bool(updater),
                "sig_age_h": _age(host, [_mtime(host, path) for path in rules]),
                "source": updater,
                "interfaces": _interfaces(host, configuration) if configuration else [],
            }
    return {"engine": "", "running": False, "auto_update": False, "sig_age_h": -1, "source": "", "interfaces": []}


def _mtime(host, path):
    try:
        return host.stat(path)["mtime"]
    except Absent:
        return None


def _cron_job(host, word):
    """The file of a system cron job that contains the word outside a comment, or ""."""
    for place in CRON:
        try:
            names = [place] if place == "/etc/crontab" else ["%s/%s" % (place, name) for name in host.list(place)]
        except Absent:
            continue
        for path in names:
            try:
                lines = host.read(path).splitlines()
            except Absent:
                continue
            if any(word in line.split("#", 1)[0] for line in lines):
                return path
    return ""


def _interfaces(host, path):
    """The interfaces of Suricata's af-packet section; `default` holds settings for the others."""
    try:
        text = host.read(path)
    except Absent:
        return []
    section = re.search(r"^af-packet:[^\n]*\n((?:[ \t#-][^\n]*\n|\n)*)", text, re.MULTILINE)
    found = re.findall(r"^\s*-\s*interface:\s*(\S+)", section.group(1) if section else "", re.MULTILINE)
    return [name for name in found if name != "default"][:100]


PART = Part("guest_protection", ["av", "ids"], collect, UNITS)
