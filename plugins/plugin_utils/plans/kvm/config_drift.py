# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a KVM host's configuration are recorded, told, and found (11.3.7, 11.4.7)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import audit_rules, qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation

HEAD = "# Written by dwp.hypervisor; a later run replaces it.\n"
# Its own configuration and database: the site's own, if it has one, means other files and other rules.
AIDE_CONF = "/etc/aide/dwp-hypervisor.conf"
AIDE_DATABASE = "/var/lib/aide/dwp-hypervisor.db"
AIDE_UNIT = "dwp-hypervisor-aide"
SYSTEMD = "/etc/systemd/system"
# family: (how to install AIDE, its own configuration, the name of the option for the database to compare with)
AIDE = {
    "debian": ("apt-get install aide", "/etc/aide/aide.conf", "database_in"),
    "rhel": ("dnf install aide", "/etc/aide.conf", "database"),
}
# What decides how the host runs guests and who may reach it; state that changes by itself is left out.
AIDE_RULES = """\
report_url=stdout
Dwp = p+u+g+ftype+s+acl+xattrs+sha512
/boot Dwp
/etc Dwp
!/etc/(mtab|adjtime|resolv\\.conf|aide/.*|cups/.*)$
!/etc/libvirt/qemu/autostart$
/usr/bin Dwp
/usr/sbin Dwp
/usr/local Dwp
/usr/lib/systemd Dwp
/usr/share/polkit-1 Dwp
"""
# Whether it ever was started or not.
STOP = ("/bin/sh", "-c", 'systemctl stop "$1" 2> /dev/null || :', "sh")
REFERENCE = """\
set -e
mkdir -p /var/lib/aide
test -e "$2" && exit 0
"$1" --config="$3" --init > /dev/null
mv -f "$2.new" "$2"
"""


def change_logged(situation: Situation) -> list[Row]:
    """kvm-11.3.7-audit: watches on the configuration, and libvirt's own messages to the audit system."""
    level = int(situation.gold["gold_libvirt_audit_level"])
    watches = [audit_rules.watch(str(path), required=True) for path in situation.gold["gold_config_watch_paths"]]
    rows = audit_rules.rules(situation, "config", watches)
    if level >= 2 and audit_rules.missing(situation):
        raise Refusal(
            f"gold_libvirt_audit_level is {level}, with which libvirt's daemons do not start while auditing is off, "
            "and it is off: start auditd first"
        )
    for daemon in situation.facts["libvirt_daemons"]["daemons"]:
        if int(daemon["audit_level"]) < level:
            then = qemu_conf.take_up(situation, f"{daemon['name']}.service")
            rows.append(plan.keys(daemon["conf"], {"audit_level": str(level)}, syntax="libvirt", then=then))
    return rows


def change_notified(situation: Situation) -> list[Row]:
    """kvm-11.3.7-notify: who is told is the site's, and so is the test."""
    days = situation.gold["gold_notify_test_days"]
    if not situation.gold["gold_notify"].get("target"):
        what = "have the monitoring system tell somebody when libvirt's configuration changes"
        return [plan.by_hand(f"{what}, test it, and declare it: gold_notify: {{target: …, tested_on: YYYY-MM-DD}}")]
    return [
        plan.by_hand(
            f"test that {situation.gold['gold_notify']['target']} is told of a change (once in {days} days) and put "
            "the date into gold_notify.tested_on"
        )
    ]


def native_tool(situation: Situation) -> list[Row]:
    """kvm-11.4.7-native-tool: AIDE with a reference of this host as it is, compared every day.

    The reference vouches for the host as it was found: make a new one after an approved change (the file's first lines
    say how).
    """
    tools = {tool["id"]: tool for tool in situation.facts["drift"]["tools"]}
    aide, install = tools["aide"], AIDE[situation.family][0]
    if not aide["program"]:
        return [plan.by_hand(f"neither AIDE nor OpenSCAP is installed: {install}, then enforce this again")]
    foreign = aide["reference"] and aide["reference"] != AIDE_DATABASE
    conf = AIDE[situation.family][1] if foreign else AIDE_CONF
    rows = [] if foreign else [_reference(situation, aide["program"])]
    service = (
        f"{HEAD}[Unit]\nDescription=Compare this host with AIDE's reference\n\n"
        "[Service]\nType=oneshot\nNice=19\nIOSchedulingClass=idle\n"
        f"ExecStart={aide['program']} --config={conf} --check\n"
    )
    timer = (
        f"{HEAD}[Unit]\nDescription=Compare this host with AIDE's reference every day\n\n"
        "[Timer]\nOnCalendar=daily\nRandomizedDelaySec=1h\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )
    name = f"{AIDE_UNIT}.timer"
    start = plan.run("systemctl", "start", name, undo=[*STOP, name])
    return [
        *rows,
        plan.file(f"{SYSTEMD}/{AIDE_UNIT}.service", service),
        plan.file(f"{SYSTEMD}/{name}", timer, then=[start]),
        plan.link(f"{SYSTEMD}/timers.target.wants/{name}", f"{SYSTEMD}/{name}", then=[start]),
    ]


def _reference(situation: Situation, program: str) -> Row:
    option = AIDE[situation.family][2]
    again = f"{program} --config={AIDE_CONF} --init && mv -f {AIDE_DATABASE}.new {AIDE_DATABASE}"
    text = (
        f"{HEAD}# A new reference, after an approved change: {again}\n"
        f"{option}=file:{AIDE_DATABASE}\ndatabase_out=file:{AIDE_DATABASE}.new\ngzip_dbout=yes\n{AIDE_RULES}"
    )
    argv = ("/bin/sh", "-c", REFERENCE, "sh", program, AIDE_DATABASE, AIDE_CONF)
    make = plan.run(*argv, undo=["true"], touches=[AIDE_DATABASE])
    return plan.file(AIDE_CONF, text, mode="0600", then=[make])


PLANS: dict[str, Planner] = {
    "kvm-11.3.7-audit": change_logged,
    "kvm-11.3.7-notify": change_notified,
    "kvm-11.4.7-native-tool": native_tool,
}
