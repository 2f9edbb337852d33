# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on patches, configuration change and the gold configuration (11.3.7, 11.4.7, 11.4.8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import days_between, hours_between
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need, need_list
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.visibility import unseen

# The longest a fix may wait whatever gold says (substitutes: Cyber Essentials, MoJ; context of SS-033).
LONGEST_DAYS = {"critical": 14, "high": 14, "medium": 28, "low": 90}
# A guest started this long after QEMU's files were written runs the new ones: package scripts take a moment.
SLACK_S = 60


def updates_installed(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """No security update older than its window. Holds are shown; an update whose age nobody can tell is unknown.

    A package list that is old cannot say that nothing is pending. But what it lists as pending has waited at least
    since
    the list was made, which is enough to fail.
    """
    days = {
        severity: min(gold["gold_patch_days"].get(severity, limit), limit) for severity, limit in LONGEST_DAYS.items()
    }
    expected = "no security update older than " + ", ".join(f"{limit} days ({name})" for name, limit in days.items())
    loose = [name for name, limit in LONGEST_DAYS.items() if gold["gold_patch_days"].get(name, limit) > limit]
    if loose:
        return o.failed(
            gold["gold_patch_days"], expected, f"gold_patch_days is weaker than the floor for {', '.join(loose)}"
        )
    listed, now = facts["list_date"], facts["now"]
    items = [o.item(need(entry, "id"), _update(entry, days, listed, now)) for entry in facts["pending"]]
    age = hours_between(listed, now, "the package list's date")
    stale = age > gold["gold_patch_list_max_age_hours"] or age < -24
    if stale and not any(entry.status == o.FAIL for entry in items):
        return o.unknown(f"the package lists are {age:.0f} h old: what is pending now is unknown", listed, expected)
    return o.combine(items, empty=o.passed({"pending": 0, "lists": listed}, expected), expected=expected)


def _update(entry: Mapping[str, Any], days: Mapping[str, int], listed: str, now: str) -> Outcome:
    severity = need(entry, "severity") or "critical"
    limit = days.get(severity, days["critical"])
    issued = need(entry, "issued")
    age = days_between(issued or listed, now, f"the date of {entry['id']}")
    actual = {key: entry.get(key) for key in ("installed", "available", "severity", "issued", "hold")}
    held = ", on hold" if need(entry, "hold") is True else ""
    if age > limit:
        return o.failed(
            actual, None, f"has waited {'' if issued else 'at least '}{age:.0f} days{held}, the window is {limit}"
        )
    if not issued:
        return o.unknown(f"is pending{held}, since when is unknown: the lists carry no date for each update", actual)
    return o.passed(actual, None)


def running_is_installed(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """No reboot pending, the newest kernel runs, no guest runs an older QEMU, no processor weakness is open."""
    expected = "nothing that is installed waits for a restart; no processor weakness is open"
    items = [o.item("restart", _flag(facts["reboot_required"])), o.item("kernel", _kernel(facts))]
    for process in facts["processes"]:
        if need(process, "kind", what="process") == "guest":
            items.append(
                o.item(str(process.get("guest") or process.get("pid")), _guest(process, facts["qemu_installed_at"]))
            )
    for name, text in facts["vulnerabilities"].items():
        items.append(o.item(name, _weakness(text)))
    return o.combine(items, empty=o.unknown("nothing was read"), expected=expected)


def _flag(required: Any) -> Outcome:
    return o.failed(True, False, "the distribution asks for a restart") if required is True else o.passed(False)


def _kernel(facts: Mapping[str, Any]) -> Outcome:
    running, newest = facts["kernel_running"], facts["kernel_newest"]
    if not newest:
        return o.passed(running, None, "no other kernel is installed")
    if newest == running:
        return o.passed(running)
    return o.failed(running, newest, f"{running} runs, {newest} is installed")


def _guest(process: Mapping[str, Any], installed_at: float) -> Outcome:
    started = need(process, "started", what="guest")
    if not installed_at or started >= installed_at - SLACK_S:
        return o.passed(started)
    return o.failed(started, None, "the guest still runs the QEMU from before its update: migrate or power-cycle it")


def _weakness(text: Any) -> Outcome:
    if not isinstance(text, str):
        raise MissingFact("the kernel's answer on a processor weakness was not read")
    return o.failed(text, None, text) if text.lower().startswith("vulnerable") else o.passed(text)


def support_and_mechanism(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A supported system, and updates that come by a declared way which tests them first.

    Updates that a host applies by itself, without a ring of hosts that get them first, are not "satisfactorily tested".
    """
    mechanism, dates = gold["gold_patch_mechanism"], gold["gold_support_dates"]
    system = f"{facts['os_id']}-{facts['os_version']}"
    end = dates.get(system) or dates.get(system.partition(".")[0])
    automatic = need(facts["automatic"], "active", what="automatic updates")
    actual = {"system": system, "supported until": end, "applies updates by itself": automatic, **mechanism}
    expected = "a supported system, and a declared mechanism with a test ring"
    if end is None:
        return o.unknown(f"gold_support_dates has no entry for {system}", actual, expected)
    faults = []
    if days_between(end, facts["now"], "the end of support") > 1:
        faults.append(f"support of {system} ended on {end}")
    if not mechanism.get("name"):
        faults.append("no patching mechanism is declared in gold_patch_mechanism")
    elif not mechanism.get("test_ring"):
        faults.append("no test ring is declared" + (", and the host applies updates by itself" if automatic else ""))
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def microcode_current(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The kernel's own verdict on old microcode where it gives one, else that a microcode package is installed."""
    word = facts["vulnerabilities"].get("old_microcode", "")
    package = need(facts["microcode"], "package", what="microcode")
    actual = {
        "old_microcode": word or "the kernel does not say",
        "package": package or "none",
        "revision": facts["microcode"].get("revision"),
    }
    expected = "microcode that the kernel does not call old"
    if word is None:
        raise MissingFact("vulnerabilities.old_microcode was not read")
    if word.lower().startswith("vulnerable"):
        return o.failed(actual, expected, f"the kernel says: {word}")
    if word:
        return o.passed(actual, expected)
    if not package:
        return o.failed(actual, expected, "no microcode package is installed")
    return o.manual("this kernel does not judge microcode; the revision needs evidence", actual, expected)


def vulnerability_scan(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """What the scanner says of the host; nothing supplied is manual."""
    scan, limit = gold["gold_vulnerability_scan"], gold["gold_scan_max_age_days"]
    expected = f"an authenticated scan within {limit} days without criticals beyond their window"
    if not scan:
        return o.manual("the scanner's answer was not supplied in gold_vulnerability_scan", None, expected)
    age = days_between(scan.get("date"), facts["now"], "gold_vulnerability_scan.date")
    faults = []
    if not 0 <= age <= limit:
        faults.append(f"the scan is {age:.0f} days old")
    if scan.get("authenticated") is not True:
        faults.append("the scan was not authenticated")
    if scan.get("open_criticals") != 0:
        faults.append(f"{scan.get('open_criticals')} criticals are open beyond their window")
    return o.failed(scan, expected, "; ".join(faults)) if faults else o.passed(scan, expected)


def vm_baseline(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Each virtual machine's configuration against its approved hash; one without an approved hash is manual.

    Whether the list is whole is told by libvirt, or by vSphere (machines_seen), whose own machines come and go.
    """
    approved = gold["gold_vm_baseline"]
    visibility = facts["visibility"] if facts["visibility"] is not None else facts["machines_seen"]
    if visibility is None:
        raise MissingFact("whether every virtual machine is visible was not read")
    items = []
    for vm in facts["vms"]:
        if vm.get("system"):
            items.append(o.item(need(vm, "id"), o.not_applicable("a machine of vSphere itself", vm["system"])))
            continue
        uuid, found = need(vm, "id"), need(vm, "config_hash")
        wanted = approved.get(uuid)
        if wanted is None:
            verdict = o.manual("has no approved configuration in gold_vm_baseline", found)
        elif wanted == found:
            verdict = o.passed(found, wanted)
        else:
            verdict = o.failed(found, wanted, "its configuration differs from the approved one")
        items.append(o.item(uuid, verdict))
    items += unseen(visibility)
    return o.combine(
        items, empty=o.not_applicable("no virtual machine is defined"), expected="the approved configuration"
    )


def vm_changes_logged(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A loaded and configured audit watch on the configuration, and libvirt's own audit messages."""
    least, paths = gold["gold_libvirt_audit_level"], gold["gold_config_watch_paths"]
    items = [o.item(f"watch on {path}", _watched(path, facts["audit"])) for path in paths]
    for daemon in facts["daemons"]:
        name, level = need(daemon, "name"), need(daemon, "audit_level")
        good = o.passed(level) if int(level) >= least else o.failed(level, least, f"audit_level is {level}")
        items.append(o.item(name, good))
    expected = f"watches for writes on {', '.join(paths)}; audit_level of at least {least}"
    return o.combine(items, empty=o.failed(expected=expected, message="no watch is asked for"), expected=expected)


def _watched(path: str, audit: Mapping[str, Any]) -> Outcome:
    service = need(audit, "service", what="audit")
    if need(service, "active") is not True and not need(service, "installed"):
        return o.failed("auditd is not installed", None, "auditd is not installed")
    loaded = _watching(path, need_list(audit, "rules", what="audit"))
    configured = _watching(path, need_list(audit, "rules_configured", what="audit"))
    if loaded and configured:
        return o.passed(loaded[0], persistent=True)
    if loaded:
        return o.failed(
            loaded[0], None, "the watch is loaded, but not configured to survive a restart", persistent=False
        )
    return o.failed(configured or "none", None, "no audit watch for writes and attributes is loaded")


def _watching(path: str, rules: list[str]) -> list[str]:
    """Rules that watch `path` for writes and attribute changes, in either notation of auditctl(8)."""
    where = re.compile(rf"(?:-w |-F (?:dir|path)=){re.escape(path.rstrip('/'))}/?(?:\s|$)")
    return [
        rule
        for rule in rules
        if where.search(rule)
        and re.search(r"(?:-p |-F perm=)\w*w\w*", rule)
        and re.search(r"(?:-p |-F perm=)\w*a\w*", rule)
    ]


def change_notified(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A declared target and a recent test; nothing declared is a fail, for nobody would be told."""
    notify, limit = gold["gold_notify"], gold["gold_notify_test_days"]
    expected = f"a target, tested within {limit} days"
    if not notify.get("target"):
        return o.failed(notify or "none", expected, "gold_notify names nobody")
    if not notify.get("tested_on"):
        return o.failed(notify, expected, "the notification was never tested")
    age = days_between(notify["tested_on"], facts["now"], "gold_notify.tested_on")
    if 0 <= age <= limit:
        return o.passed(notify, expected)
    return o.failed(notify, expected, f"the last test was {age:.0f} days ago")


def baseline_checked(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """This run compares the host with the gold configuration; the configuration in force has to be the approved one."""
    approved = gold["gold_baseline_sha256"]
    in_force = facts["gold_sha256"]
    actual = {"gold configuration": in_force, "compared at": facts["now"]}
    if not approved:
        return o.manual("no gold configuration is approved in gold_baseline_sha256", actual)
    if approved == in_force:
        return o.passed(actual, approved)
    return o.failed(actual, approved, "the gold configuration in force is not the approved one")


def native_tool(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """A tool on the host that compares it with a reference on a schedule."""
    items = []
    for tool in facts["tools"]:
        if need(tool, "reference"):
            scheduled = need(tool, "scheduled")
            found = o.passed(dict(tool)) if scheduled is True else o.failed(dict(tool), None, "is not scheduled")
            items.append(o.item(need(tool, "id"), found))
    good = [entry for entry in items if entry.status == o.PASS]
    return o.combine(good or items, empty=o.failed("none", "aide or openscap", "no such tool has a reference state"))


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "updates_installed": updates_installed,
    "running_is_installed": running_is_installed,
    "support_and_mechanism": support_and_mechanism,
    "microcode_current": microcode_current,
    "vulnerability_scan": vulnerability_scan,
    "vm_baseline": vm_baseline,
    "vm_changes_logged": vm_changes_logged,
    "change_notified": change_notified,
    "baseline_checked": baseline_checked,
    "native_tool": native_tool,
}
