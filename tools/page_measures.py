# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/measures: one page per measure and their index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_text import plain, table
from seen import PROVEN, WHERE, Seen, statuses_at

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import describe
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SECTIONS, Check, Measure, Standard

FOLDER = Path("docs/measures")
ROLES = Path(__file__).resolve().parents[1] / "roles"
PLATFORMS = {"all": "Every platform", "kvm": "KVM", "vsphere": "VMware vSphere", "hyperv": "Microsoft Hyper-V"}
LOCKOUT = ("none", "low", "medium", "high")
LICENCE = (
    "Quoted from the DWP Hypervisor Security Standard SS-009 v2.0. Contains public sector information licensed under "
    "the [Open Government Licence v3.0](https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/)."
)


def pages(standard: Standard, seen: Seen) -> dict[Path, str]:
    """{path: text} of the index and of every measure's page."""
    made = {FOLDER / "index.md": _index(standard)}
    for measure in standard.measures.values():
        made[FOLDER / f"{measure.id}.md"] = "\n".join(_measure(measure, standard, seen)).rstrip() + "\n"
    return made


def _index(standard: Standard) -> str:
    lines = [
        "# The measures",
        "",
        f"The {len(standard.measures)} measures of SS-009 v{standard.version}, and how many checks test each. Tier 1",
        'checks decide a measure, tier 2 checks inform. A check of "every platform" asks for what no machine can read.',
        "",
    ]  # fmt: skip
    for section, title in SECTIONS.items():
        rows = [
            [
                f"[{measure.id}]({measure.id}.md)",
                plain(measure.title),
                measure.obligation,
                measure.severity,
                *(str(sum(check.platform == platform for check in measure.checks) or "") for platform in PLATFORMS),
            ]
            for measure in standard.measures.values()
            if measure.section == section
        ]
        if rows:
            head = ["measure", "title", "obligation", "severity", *PLATFORMS.values()]
            lines += [f"## {section} {title}", "", *table(head, rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def _measure(measure: Measure, standard: Standard, seen: Seen) -> Iterator[str]:
    yield f"# {measure.id} {plain(measure.title)}"
    yield ""
    yield f"> {plain(measure.text)}"
    yield ""
    yield LICENCE
    yield ""
    rows = [
        ["Section", f"{measure.section} {SECTIONS[measure.section]}"],
        ["Obligation", measure.obligation],
        ["Severity", measure.severity],
        ["Kind", measure.kind],
        ["NIST CSF 1.1, as printed", ", ".join(measure.nist_csf)],
        ["NIST CSF 2.0, related", ", ".join(measure.nist_csf_2)],
        ["CIS Controls v8, related", ", ".join(measure.cis_v8)],
        ["Area", f"`{measure.role}`"],
    ]
    yield from table(["", ""], rows)
    yield ""
    yield "## How it is read here"
    yield ""
    yield plain(measure.interpretation)
    yield ""
    if measure.limits:
        yield "## Limits"
        yield ""
        for platform, limit in measure.limits.items():
            yield f"- {PLATFORMS.get(platform, platform)}: {plain(limit)}"
        yield ""
    for platform, name in PLATFORMS.items():
        checks = [check for check in measure.checks if check.platform == platform]
        if checks:
            yield f"## {name}"
            yield ""
        for check in checks:
            yield from _check(check, standard, seen)


def _check(check: Check, standard: Standard, seen: Seen) -> Iterator[str]:
    yield f"### {plain(check.title)}"
    yield ""
    yield f"`{check.id}`, {check.obligation}, {check.severity}" + (", tier 2: informs only" if check.tier == 2 else "")
    yield ""
    for label, text in _rows(check, standard, seen):
        yield f"- **{label}**: {text}"
    yield ""


def _rows(check: Check, standard: Standard, seen: Seen) -> Iterator[tuple[str, str]]:
    data = check.data
    yield "Read", plain(check.probe)
    yield "Passes when", plain(check.passes)
    if "persistent" in data:
        yield "Persistent", "what runs and what is configured have to agree; running only is a fail"
    for rule in data.get("not_applicable", []):
        yield "Does not apply when", plain(rule["reason"])
    if "empty" in data:
        yield "Nothing to look at", f"{data['empty']['status'].replace('_', ' ')}: {plain(data['empty']['reason'])}"
    if "manual" in data:
        yield "Decided by", f"an attestation in date, else manual: {plain(data['manual'])}"
    for name in check.gold:
        yield "Gold setting", _setting(standard.gold[name])
    if threshold := data.get("threshold_source"):
        yield "Threshold from", plain(threshold)
    yield "How to set it", plain(check.fix)
    if data.get("enforced"):
        yield "Set by", f"{_role(check.role, check.platform)}; {_disruption(check.disruption)}"
    elif check.platform != "all":
        yield "Set by", "hand"
    if check.platform in PROVEN:
        places = [
            f"{WHERE[where]}: {', '.join(statuses_at(seen, where, check.id))}"
            for where in PROVEN[check.platform]
            if statuses_at(seen, where, check.id)
        ]
        yield "Seen", "; ".join(places) or "nowhere yet"
    if check.judged_on == "controller" and check.platform != "kvm":
        yield "Judged on", "the controller (vCenter); its hosts inherit the result"
    if data.get("verified") is False:
        yield "Note", "a name used here was found in no vendor's material and on no real host"
    elif check.platform == "vsphere":
        yield "Note", "names are the vendor's; not yet run on a real host"
    if data.get("source"):
        yield "Sources", plain(", ".join(map(str, data["source"])))


def _role(role: str, platform: str) -> str:
    exists = (ROLES / role / "tasks" / f"{platform}.yml").is_file()
    return f"role `{role}`" if exists else f"hand; role `{role}` does not set it on this platform yet"


def _setting(setting: Any) -> str:
    floor = f"floor: {plain(describe(setting.floor))}" if setting.floor else f"no floor: {plain(setting.floor_reason)}"
    default = "empty" if setting.default in ("", [], {}) else f"`{setting.default}`"
    return f"`{setting.name}`, default {default}, {floor}, threshold from {plain(setting.threshold_source)}"


def _disruption(disruption: dict[str, Any]) -> str:
    parts = [f"lock-out risk {LOCKOUT[disruption['lockout']]}"]
    if disruption["restart"]:
        parts.append(f"restarts {plain(disruption['restart'])}")
    parts += [
        text
        for key, text in (
            ("reboot", "needs a reboot"),
            ("maintenance", "needs an evacuated host"),
            ("vm_power", "needs VMs powered off and on"),
        )
        if disruption[key]
    ]
    if disruption["rollback"]:
        parts.append(f"rollback: {plain(disruption['rollback'])}")
    return "; ".join(parts)
