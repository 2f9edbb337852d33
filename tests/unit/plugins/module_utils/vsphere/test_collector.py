# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector on the recording of the lab's vCenter: what it finds, and what it makes of broken answers.

Whatever a vCenter answers, what was not understood is unknown: never pass, never fail.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.evaluate import evaluate
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import Errors
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.vsphere.recorded_session import (
    ReplaySession,
    load,
    lost,
)

CALLS = load()
SAMPLES = Path(__file__).parents[2] / "plugin_utils" / "vsphere_facts"
CHECKS = [check for check in load_standard().checks.values() if check.platform == "vsphere"]


def question(key: str) -> str:
    """The kind of a call: the answers to the same question of three hosts break alike."""
    read = re.search(r"<propSet><type>(\w+)</type>", key)
    return f"properties of {read[1]}" if read else re.sub(r"(?<=-)\d+\b|<sessionId>.*", "*", key)


QUESTIONS = sorted({question(name) for name in CALLS if "ServiceInstance" not in name})


def collected(broken: Any = None) -> dict[str, collector.Subject]:
    session = ReplaySession(CALLS, broken) if broken else ReplaySession(CALLS)
    return {subject.name: subject for subject in collector.collect(session, threads=2)}


def statuses(subjects: dict[str, collector.Subject]) -> dict[tuple[str, str], str]:
    """{(subject, check): status} with the default gold configuration."""
    gold, settings = gold_config.defaults(), load_standard().gold
    return {
        (name, check.id): evaluate(check, subject.facts, gold, settings).status
        for name, subject in subjects.items()
        if subject.facts is not None
        for check in CHECKS
    }


@pytest.fixture(scope="module")
def whole() -> dict[str, collector.Subject]:
    return collected()


def test_a_vcenter_and_each_of_its_hosts_is_a_subject(whole: dict[str, collector.Subject]) -> None:
    assert [(subject.kind, name) for name, subject in whole.items()] == [
        ("controller", "vc1"),
        ("host", "esx01.lab.example"),
        ("host", "esx02.lab.example"),
        ("host", "esx03.lab.example"),
    ]
    assert all(subject.facts and subject.uuid for subject in whole.values())


def test_hosts_that_are_not_chosen_keep_their_place_and_are_asked_nothing(whole: dict[str, collector.Subject]) -> None:
    """Ids are given in this order where two boards share a UUID, and exceptions are by id."""
    session, named = ReplaySession(CALLS), []

    def choose(names: list[str]) -> list[str]:
        named.extend(names)
        return names[2:]

    found = {subject.name: subject for subject in collector.collect(session, threads=2, choose=choose)}
    assert named == [name for name, subject in whole.items() if subject.kind == "host"]
    assert list(found) == list(whole)
    assert [subject.uuid for subject in found.values()] == [subject.uuid for subject in whole.values()]
    assert [subject.reason for subject in found.values()] == [None, collector.NOT_CHOSEN, collector.NOT_CHOSEN, None]
    assert found[named[2]].facts["vms"] == whole[named[2]].facts["vms"]
    assert len([call for call in session.asked if "QueryLockdownExceptions" in call]) == 1


def test_what_a_choice_raises_ends_the_run_before_a_host_is_asked() -> None:
    session = ReplaySession(CALLS)

    def choose(_names: list[str]) -> list[str]:
        raise ValueError("no such host")

    with pytest.raises(ValueError, match="no such host"):
        next(collector.collect(session, choose=choose))
    assert not any("HostAccessManager" in call or "VirtualMachine" in call for call in session.asked)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """{path: value} of a document; lists count as a whole, except that their first entry's keys are listed."""
    if isinstance(value, dict) and path != ".advanced_options" and not path.endswith(".extra_config"):
        return {key: found for name, inner in value.items() for key, found in leaves(inner, f"{path}.{name}").items()}
    return {path: value}


@pytest.mark.parametrize(("sample", "name"), [("esxi-8.0.json", "esx02.lab.example"), ("vcenter.json", "vc1")])
def test_every_fact_of_the_contract_is_there_or_its_reason_is(
    whole: dict[str, collector.Subject], sample: str, name: str
) -> None:
    wanted = leaves(json.loads((SAMPLES / sample).read_text()))
    facts = whole[name].facts
    found, errors = leaves(facts), Errors(facts["collector"]["errors"])
    absent = [
        path for path in wanted if path not in found and not errors.reason(path) and not path.startswith(".collector")
    ]
    # What the samples show and no table of the contract names; nothing reads it.
    assert set(absent) <= {".identity.sources", ".patch.automatic.active"}, absent
    wrong = [
        f"{path}: {type(found[path]).__name__}, expected {type(value).__name__}"
        for path, value in wanted.items()
        if path in found and type(found[path]) is not type(value)
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("key", ["services", "access_entries"])
def test_entries_of_lists_have_the_keys_of_the_contract(whole: dict[str, collector.Subject], key: str) -> None:
    wanted = json.loads((SAMPLES / "esxi-8.0.json").read_text())["remote_access"][key][0]
    found = whole["esx02.lab.example"].facts["remote_access"][key][0]
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in wanted.items()}


def denied(_key: str, _answer: Any) -> Any:
    raise SoapFault("NoPermission", "", {"privilegeId": "System.Read"})


def refused(key: str, answer: Any) -> Any:
    return [500, "<html>"] if isinstance(answer, list) else {"fault": ["RuntimeFault", "it broke", {}]}


def empty(key: str, answer: Any) -> Any:
    return [200, ""] if isinstance(answer, list) else {"elements": []}


# An answer of which no server would be ashamed: there are none.
NONE_IS_AN_ANSWER = ("ListKmsClusters", "QueryLockdownExceptions", "GetAlarm", "QueryOptions")


def hollow(key: str, answer: Any) -> Any:
    """Well-formed, and nothing of what was expected in it."""
    return (
        [200, "{}"] if isinstance(answer, list) else {"elements": ["<returnval><strange>&#233;</strange></returnval>"]}
    )


def deep(key: str, answer: Any) -> Any:
    return [200, "[" * 4000] if isinstance(answer, list) else {"elements": ["<a>" * 4000 + "</a>" * 4000]}


REFUSED = (
    '<missingSet><path>%s</path><fault><fault xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:type="NoPermission"><privilegeId>System.Read</privilegeId></fault></fault></missingSet>'
)
BROKEN = [
    (asked, how)
    for asked in QUESTIONS
    for how in (denied, refused, empty, hollow, deep, lost)
    if how is not empty or not any(method in asked for method in NONE_IS_AN_ANSWER)
]


@pytest.mark.parametrize(("asked", "how"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_answer_gives_the_same_or_unknown(whole: dict[str, collector.Subject], asked: str, how: Any) -> None:
    def broken(key: str, answer: Any) -> Any:
        return how(key, answer) if question(key) == asked else answer

    try:
        found = collected(broken)
    except (Lost, SoapFault):
        # Nothing can be read at all: every subject is unknown then, with this reason.
        return
    before = statuses(whole)
    wrong = {
        key: (before[key], status)
        for key, status in statuses(found).items()
        if status not in ("unknown", before.get(key, "unknown"))
    }
    assert not wrong, wrong


def without(kind: str, path: str) -> Any:
    """A property of every object of a kind is refused."""

    def broken(_key: str, answer: Any) -> Any:
        elements = []
        for text in answer.get("elements", []) if isinstance(answer, dict) else []:
            page = ElementTree.fromstring(text)
            for found in page.iter():
                of_kind = any(inner.tag.endswith("obj") and inner.get("type") == kind for inner in found)
                for inner in [inner for inner in found if of_kind and inner.tag.endswith("propSet")]:
                    if inner[0].text == path:
                        found.remove(inner)
                        found.append(ElementTree.fromstring(REFUSED % path))
            elements.append(ElementTree.tostring(page, "unicode"))
        return {"elements": elements} if elements else answer

    return broken


@pytest.mark.parametrize(
    ("kind", "path", "fact"),
    [
        ("HostSystem", "summary.tpmAttestation", "boot.attestation"),
        ("HostSystem", "summary.managementServerIp", "host.controller_address"),
        ("HostSystem", "config.network.proxySwitch", "network.portgroups"),
        ("HostSystem", "datastore", "storage.datastores"),
        ("HostSystem", "parent", "cluster"),
        ("Datastore", "summary.type", "storage.datastores[nfs-images].kind"),
        ("Datastore", "info", "storage.datastores[nfs-images].security"),
    ],
)
def test_a_property_that_is_refused_is_not_taken_for_one_that_is_unset(kind: str, path: str, fact: str) -> None:
    facts = collected(without(kind, path))["esx02.lab.example"].facts
    reasons = {error["path"]: error["reason"] for error in facts["collector"]["errors"]}
    assert "System.Read" in reasons[fact]


def test_machines_whose_host_is_not_told_are_not_on_another() -> None:
    subjects = collected(without("VirtualMachine", "runtime.host"))
    assert subjects["esx02.lab.example"].facts["visibility"]["gaps"] == [
        "the account may not see 2 virtual machines of the host"
    ]
    assert statuses(subjects)["esx02.lab.example", "vsphere-11.1.2-vm-monitor"] == "unknown"


@pytest.mark.parametrize("path", ["runtime.powerState", "config.hardware.memoryMB", "runtime.host"])
def test_a_machine_that_does_not_tell_its_memory_weighs_nobody_knows_what(path: str) -> None:
    """On every host of its cluster, for the others have to carry it when its host is lost."""
    subjects = collected(without("VirtualMachine", path))
    for name in ("esx01.lab.example", "esx02.lab.example", "esx03.lab.example"):
        facts = subjects[name].facts
        assert "vm_memory_b" not in facts["cluster"]
        assert "cluster.vm_memory_b" in {error["path"] for error in facts["collector"]["errors"]}


def test_a_cluster_with_a_host_that_nobody_may_see_is_not_weighed() -> None:
    def broken(key: str, answer: Any) -> Any:
        if "ClusterComputeResource" not in key or "RetrievePropertiesEx" not in key:
            return answer
        return {"elements": [text.replace(">host-", ">hidden-", 1) for text in answer["elements"]]}

    subjects = collected(broken)
    facts = subjects["esx02.lab.example"].facts
    assert facts["cluster"] == {}
    reason = "the account may not see 1 hosts of the cluster"
    assert {"path": "cluster", "reason": reason} in facts["collector"]["errors"]
    # And it is a subject all the same: all of its measures are unknown.
    (hidden,) = (subject for name, subject in subjects.items() if name.startswith("hidden-"))
    assert (hidden.kind, hidden.facts) == ("host", None)
    assert hidden.reason == "not read: the account may not see this host of cluster01"
