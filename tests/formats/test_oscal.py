# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OSCAL: accepted by compliance-trestle; every UUID defined once and every reference led somewhere; the counts."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.catalog import Catalog
from trestle.oscal.component import ComponentDefinition
from trestle.oscal.poam import PlanOfActionAndMilestones

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import oscal_poam, results_oscal

DOCUMENTS = {
    "results.oscal.json": AssessmentResults,
    "results.poam.json": PlanOfActionAndMilestones,
    "oscal/standard.json": Catalog,
    "oscal/component.json": ComponentDefinition,
}


def walk(node, key=""):
    """Every (key, value) of a document, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield name, value
            yield from walk(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, key)


def faults(document, controls=()):
    """What trestle does not see: a UUID defined twice, a reference to nothing, a control nobody defines."""
    found = list(walk(document))
    defined = Counter(value for key, value in found if key == "uuid")
    referred = {value for key, value in found if key.endswith("-uuid")}
    referred |= {value[1:] for key, value in found if key == "href" and value.startswith("#")}
    named = {value for key, value in found if key in ("control-id", "target-id")}
    return {
        "twice": [value for value, number in defined.items() if number > 1],
        "dangling": sorted(referred - set(defined)),
        "no control": sorted(named - set(controls)) if controls else [],
    }


def prop(node, name):
    return next((entry["value"] for entry in node["props"] if entry["name"] == name), None)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_trestle_accepts_it(report, name):
    assert DOCUMENTS[name].oscal_read(report.directory / name) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"state":"satisfied"', '"state":"excepted"'),
        ('"methods":["TEST"]', '"methods":[]'),
        ('"ss009-11.4.6"', '"11.4.6"'),
        ('"collected":"2026-11-23T17:43:58Z"', '"collected":"2026-11-23T17:43:58"'),
    ],
)
def test_trestle_refuses_what_is_wrong(reports, tmp_path, old, new):
    text = (reports["every status"].directory / "results.oscal.json").read_text()
    assert old in text
    (tmp_path / "broken.json").write_text(text.replace(old, new, 1))
    with pytest.raises(Exception, match="Schema validation failed"):
        AssessmentResults.oscal_read(tmp_path / "broken.json")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_uuid_is_defined_once_and_every_reference_leads_somewhere(report, name):
    catalog = report.read("oscal/standard.json")
    controls = {value for key, value in walk(catalog) if key == "id"}
    assert {f"ss009-{measure}" for measure in report.standard.measures} <= controls
    assert faults(report.read(name), controls) == {"twice": [], "dangling": [], "no control": []}


def test_the_own_check_sees_what_trestle_does_not(reports, tmp_path):
    document = reports["every status"].read("results.oscal.json")
    first = document["assessment-results"]["results"][0]
    lost = first["observations"].pop(0)["uuid"]
    first["findings"][0]["target"]["target-id"] = "ss009-99"
    first["risks"].append(first["risks"][0])
    (tmp_path / "broken.json").write_text(json.dumps(document))
    assert AssessmentResults.oscal_read(tmp_path / "broken.json") is not None
    found = faults(document, {"ss009-11.1.1"})
    assert found["dangling"] == [lost]
    assert first["risks"][0]["uuid"] in found["twice"]
    assert "ss009-99" in found["no control"]


def test_the_assessment_results_count_what_results_json_counts(report):
    results = report.read("results.oscal.json")["assessment-results"]["results"]
    run = report.read("results.json")
    assert len(results) == max(len(run["subjects"]), 1)
    observations = [entry for result in results for entry in result.get("observations", ())]
    findings = [entry for result in results for entry in result.get("findings", ())]
    risks = [entry for result in results for entry in result.get("risks", ())]
    assert Counter(prop(entry, "status") for entry in observations) == Counter(
        entry["status"] for entry in run["results"]
    )
    assert Counter(prop(entry, "measured") for entry in observations) == Counter(
        entry["measured"] for entry in run["results"]
    )
    expected = Counter(
        results_oscal.STATES[entry["status"]] for entry in run["measures"] if entry["status"] in results_oscal.STATES
    )
    assert Counter(tuple(entry["target"]["status"].values()) for entry in findings) == expected
    deciding = Counter(
        results_oscal.RISK_STATUS[entry["status"]]
        for entry in run["results"]
        if entry["tier"] == 1 and entry["status"] in results_oscal.RISK_STATUS
    )
    assert Counter(entry["status"] for entry in risks) == deciding


def test_an_accepted_failure_stays_not_satisfied_with_an_open_risk_until_its_date(reports):
    first = reports["every status"].read("results.oscal.json")["assessment-results"]["results"][0]
    finding = next(entry for entry in first["findings"] if entry["target"]["target-id"] == "ss009-11.2.6_smt")
    assert finding["target"]["status"] == {"state": "not-satisfied", "reason": "fail"}
    risk = next(entry for entry in first["risks"] if prop(entry, "check") == "kvm-11.2.6-check-0")
    assert (risk["status"], risk["deadline"]) == ("deviation-approved", "2026-12-01T23:59:59Z")
    attested = next(entry for entry in first["observations"] if prop(entry, "status") == "attested")
    assert attested["expires"] == "2027-09-30T23:59:59Z"
    assert attested["methods"] == ["INTERVIEW", "EXAMINE"]


def test_the_plan_of_action_counts_what_is_not_met(report):
    document = report.read("results.poam.json")["plan-of-action-and-milestones"]
    run = report.read("results.json")
    planned = Counter(
        entry["status"] for entry in run["results"] if entry["tier"] == 1 and entry["status"] in oscal_poam.PLANNED
    )
    counted = Counter()
    for item in document["poam-items"]:
        if "props" in item:
            counted[prop(item, "status")] += int(prop(item, "subjects"))
    assert counted == planned
    listed = sum(len(observation["subjects"]) for observation in document.get("observations", ()))
    assert listed == sum(planned.values())
    assert len(document["poam-items"]) >= 1


def test_the_component_says_what_a_pass_proves_on_each_platform(reports):
    document = reports["real"].read("oscal/component.json")["component-definition"]
    [component] = document["components"]
    requirements = component["control-implementations"][0]["implemented-requirements"]
    assert len(requirements) == 36
    remote = next(entry for entry in requirements if entry["control-id"] == "ss009-11.4.6")
    assert prop(remote, "coverage-kvm") == "automated"
    assert prop(remote, "role") == "remote_access"
    assert {prop(entry, "coverage-kvm") for entry in requirements} == {"automated", "partial", "attestation-only"}


def test_an_expired_exception_leaves_the_risk_open_and_is_in_its_log(reports):
    [first] = reports["expired"].read("results.oscal.json")["assessment-results"]["results"]
    risk = next(entry for entry in first["risks"] if prop(entry, "check") == "kvm-11.4.6-check-0")
    assert risk["status"] == "open"
    assert risk["risk-log"]["entries"][0]["title"] == "Exception EX-3 expired on 2026-11-20"
