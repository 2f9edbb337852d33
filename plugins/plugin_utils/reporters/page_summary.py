# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first half of report.html as plain data: the answer, scope, assumptions and totals."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.expect import describe
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import STATUS_WORDS, count, plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.run_report import CSF_FUNCTIONS, VERDICTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import SECTIONS, Standard

# Past these a table no longer answers anything at a glance and the page grows without bound; results.json has all.
MAX_SUBJECT_ROWS = 500
MAX_NAMES = 8
PLATFORM_WORDS = {"kvm": "KVM", "vsphere": "VMware vSphere", "hyperv": "Hyper-V"}
NOT_SHOWN = (o.UNKNOWN, o.MANUAL, o.NOT_EVALUATED)
EXPIRY_WARNING = dt.timedelta(days=30)


def names_of(run: Mapping[str, Any]) -> dict[str, str]:
    """Subject id -> the name people know it by, made distinct by its id where two subjects share a name."""
    names = Counter(subject["name"] for subject in run["subjects"])
    return {
        subject["id"]: plain(subject["name"] if names[subject["name"]] == 1 else subject["id"], 80)
        for subject in run["subjects"]
    }


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def answer(run: Mapping[str, Any], standard: Standard, names: Mapping[str, str]) -> dict[str, Any]:
    """Verdict per subject in words, what is not demonstrated, what is excepted and until when."""
    tallies: dict[str, dict[str, int]] = {subject["id"]: {} for subject in run["subjects"]}
    for entry in run["measures"]:
        if entry["obligation"] == "must":
            tally = tallies[entry["subject"]]
            tally[entry["status"]] = tally.get(entry["status"], 0) + 1
    failing = {
        entry["measure"] for entry in run["measures"] if entry["obligation"] == "must" and entry["status"] == o.FAIL
    }
    ordered = sorted(run["subjects"], key=lambda subject: (VERDICTS.index(subject["verdict"]), names[subject["id"]]))
    return {
        "sentences": _sentences(run),
        "subjects": [_subject_row(subject, tallies[subject["id"]], names) for subject in ordered[:MAX_SUBJECT_ROWS]],
        "subjects_left_out": max(len(ordered) - MAX_SUBJECT_ROWS, 0),
        "failing": [measure for measure in standard.measures if measure in failing],
        "not_demonstrated": _not_demonstrated(run, standard, names),
        "excepted": _excepted(run, names),
        "register": {
            state: [{"id": plain(entry["id"], 80), "subject": names[entry["subject"]]} for entry in entries]
            for state, entries in run["exceptions"].items()
            if entries
        },
    }


def _sentences(run: Mapping[str, Any]) -> list[str]:
    summary, total = run["summary"], len(run["subjects"])
    if not total:
        return ["No subject was assessed, so nothing is demonstrated."]
    standard = f"{run['standard']['id']} v{run['standard']['version']}"
    verdicts = [(verdict, summary["by_verdict"][verdict]) for verdict in VERDICTS if summary["by_verdict"][verdict]]
    if len(verdicts) == 1:
        who = "The subject is" if total == 1 else f"All {total:,} subjects are"
        found = [f"{who} {_in_words(verdicts[0][0])} {standard}."]
    else:
        parts = ", ".join(f"{number:,} {'is' if number == 1 else 'are'} {verdict}" for verdict, number in verdicts)
        found = [f"Of {total:,} subjects assessed against {standard}, {parts}."]
    score = f"{summary['score']:.0%} of the mandatory measures that apply are met"
    if summary["score_after_exceptions"] != summary["score"]:
        score += f", {summary['score_after_exceptions']:.0%} when accepted exceptions are counted as met"
    found.append(f"{score}.")
    if summary["unreachable"]:
        found.append(f"{count(summary['unreachable'], 'subject')} could not be read: every measure of it is unknown.")
    return found


def _in_words(verdict: str) -> str:
    return "not demonstrated to comply with" if verdict == VERDICTS[1] else f"{verdict} with"


def _subject_row(subject: Mapping[str, Any], tally: Mapping[str, int], names: Mapping[str, str]) -> dict[str, Any]:
    applicable = sum(number for status, number in tally.items() if status != o.NOT_APPLICABLE)
    return {
        "name": names[subject["id"]],
        "product": plain(subject["product"], 120) or PLATFORM_WORDS[subject["platform"]],
        "verdict": subject["verdict"],
        "reachable": subject["reachable"],
        "met": f"{tally.get(o.PASS, 0) + tally.get(o.ATTESTED, 0)} of {applicable}",
        "fail": tally.get(o.FAIL, 0),
        "not_demonstrated": sum(tally.get(status, 0) for status in NOT_SHOWN),
        "excepted": tally.get(o.EXCEPTED, 0),
        "tags": ", ".join(
            f"{plain(key, 40)}: {plain(value, 60)}" for key, value in sorted(subject["tags"].items()) if value
        ),
    }


def _not_demonstrated(run: Mapping[str, Any], standard: Standard, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per must and status, with the reason of the first check behind it."""
    reachable = {subject["id"] for subject in run["subjects"] if subject["reachable"]}
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in run["measures"]:
        # A silent subject is one fact, told in the scope, and not 36 rows here.
        if entry["obligation"] == "must" and entry["status"] in NOT_SHOWN and entry["subject"] in reachable:
            groups.setdefault((entry["measure"], entry["status"]), []).append(entry["subject"])
    reasons: dict[tuple[str, str], str] = {}
    for result in run["results"]:
        if result["tier"] == 1 and result["obligation"] == "must" and result["subject"] in reachable:
            reasons.setdefault((result["measure"], result["status"]), plain(result["message"], 200))
    order = list(standard.measures)
    return [
        {
            "measure": measure,
            "title": standard.measures[measure].title,
            "status": status,
            "subjects": some([names[subject] for subject in subjects]),
            "reason": reasons.get((measure, status), ""),
        }
        for (measure, status), subjects in sorted(
            groups.items(), key=lambda found: (order.index(found[0][0]), found[0][1])
        )
    ]


def _excepted(run: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per exception in force, the first to expire first."""
    today = run["run"]["finished"][:10]
    soon = (dt.date.fromisoformat(today) + EXPIRY_WARNING).isoformat()
    groups: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for result in run["results"]:
        exception = result["exception"]
        if exception and result["status"] == o.EXCEPTED:
            key = (str(exception["expires_on"]), str(exception["id"]), str(exception["risk_ref"]))
            group = groups.setdefault(key, {"checks": [], "subjects": []})
            group["checks"].append(result["check"])
            group["subjects"].append(names[result["subject"]])
    return [
        {
            "id": plain(found, 80),
            "risk_ref": plain(risk_ref, 80),
            "expires_on": plain(expires_on, 40),
            "soon": expires_on <= soon,
            "checks": list(dict.fromkeys(group["checks"])),
            "subjects": some(list(dict.fromkeys(group["subjects"]))),
        }
        for (expires_on, found, risk_ref), group in sorted(groups.items())
    ]


def scope(run: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What was and was not looked at."""
    left_out = sorted({entry["measure"] for entry in run["measures"] if entry["status"] == o.NOT_EVALUATED})
    silent: dict[str, list[str]] = {}
    for subject in run["subjects"]:
        if not subject["reachable"]:
            silent.setdefault(plain(subject["unreachable_reason"], 300), []).append(names[subject["id"]])
    platforms = Counter(f"{PLATFORM_WORDS[subject['platform']]} {subject['kind']}" for subject in run["subjects"])
    return {
        "platforms": ", ".join(count(number, kind) for kind, number in sorted(platforms.items())),
        "unreachable": [{"reason": reason, "subjects": found} for reason, found in sorted(silent.items())],
        "out_of_scope": [plain(name, 80) for name in run["scope"]["out_of_scope"]],
        "unreadable": [{key: plain(value) for key, value in found.items()} for found in run["scope"]["unreadable"]],
        "left_out": left_out,
        "previous": run["scope"]["previous"] or {"run": "", "subjects": []},
    }


def assumptions(run: Mapping[str, Any], standard: Standard, names: Mapping[str, str]) -> dict[str, Any]:
    """Every value and reading the verdicts rest on that somebody could have chosen otherwise."""
    return {
        "section_11_3": _section_11_3(run),
        "gold": _gold(run, standard, names),
        "substitutes": _substitutes(run["results"]),
        "measures": [
            {
                "id": measure.id,
                "title": measure.title,
                "interpretation": measure.interpretation,
                "limits": [measure.limits[key] for key in sorted(measure.limits) if key in _platforms(run)],
            }
            for measure in standard.measures.values()
        ],
    }


def _platforms(run: Mapping[str, Any]) -> set[str]:
    return {"all"} | {subject["platform"] for subject in run["subjects"]}


def _section_11_3(run: Mapping[str, Any]) -> str:
    obligations = {entry["obligation"] for entry in run["measures"] if entry["section"] == "11.3"}
    if obligations == {"must"}:
        return (
            "Section 11.3 is counted as mandatory on every subject. This is the default: its preamble calls the "
            "measures advisory where appropriate, their sentences say must."
        )
    if obligations == {"advisory"}:
        return (
            "Section 11.3 is counted as advisory on every subject, as gold_section_11_3 says; the Authority's recorded "
            "position is in the settings below."
        )
    if not obligations:
        return "Section 11.3: no subject was assessed."
    return (
        "Section 11.3 is counted as mandatory on some subjects and as advisory on others; the settings below say which."
    )


def _gold(run: Mapping[str, Any], standard: Standard, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per setting and value that is not the default, with the subjects it holds for."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for subject in run["subjects"]:
        for entry in subject["gold"]["non_default"]:
            group = groups.setdefault((entry["name"], plain(entry["value"])), {**entry, "subjects": []})
            group["subjects"].append(names[subject["id"]])
    total = len(run["subjects"])
    rows = []
    for (name, value), group in sorted(groups.items(), key=lambda found: found[0]):
        setting = standard.gold.get(name)
        floor = describe(setting.floor) if setting and setting.floor else (setting.floor_reason if setting else "")
        rows.append(
            {
                "name": plain(name, 80),
                "value": value or "(empty)",
                "default": plain(group["default"]) or "(empty)",
                "floor": plain(floor),
                "floor_ok": group["floor_ok"],
                "source": plain(group["threshold_source"], 120),
                "subjects": "all" if len(group["subjects"]) == total else some(group["subjects"]),
            }
        )
    return rows


def _substitutes(results: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Checks whose threshold a sibling standard would give and a named substitute stands in for it, each once."""
    found: dict[str, dict[str, str]] = {}
    for result in results:
        if result["check"] not in found and "substitute" in (result["threshold_source"] or ""):
            found[result["check"]] = {
                "measure": result["measure"],
                "title": plain(result["title"], 120),
                "expected": plain(result["expected"], 160),
                "source": plain(result["threshold_source"], 120),
            }
    return list(found.values())


def totals(run: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of measures by section and by CSF function: only the columns that hold anything."""
    sections, functions = run["summary"]["by_section"], run["summary"]["by_csf"]
    rows = {
        "sections": [(f"{section} {SECTIONS[section]}", group) for section, group in sections.items()],
        "functions": [(f"{CSF_FUNCTIONS[name]} ({name})", group) for name, group in functions.items()],
    }
    groups = [group for _name, group in rows["sections"]]
    used = [s for s in STATUS_WORDS if any(tally[s] for group in groups for tally in group.values())]
    advisory = any(any(group["advisory"].values()) for group in groups)
    return {
        "columns": [{"status": status, "word": STATUS_WORDS[status]} for status in used],
        "tables": [
            {
                "id": f"{kind}-{obligation}",
                "caption": caption,
                "head": "Section" if kind == "sections" else "CSF function",
                "rows": [(name, [group[obligation][status] for status in used]) for name, group in rows[kind]],
            }
            for kind, obligation, caption in (
                ("sections", "must", "Mandatory measures by section of the standard"),
                ("functions", "must", "Mandatory measures by NIST CSF 1.1 function"),
                *(
                    (("sections", "advisory", "Recommended and advisory parts by section of the standard"),)
                    if advisory
                    else ()
                ),
            )
        ],
    }
