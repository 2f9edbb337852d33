# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter and its hosts: what is judged where, what is inherited, and the sample documents as a whole."""

from __future__ import annotations

import copy
import datetime as dt
import re

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess, unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.inheritance import ON_HOSTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.redaction import redact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.checks.case_files import SAMPLES, paths_of, sample

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.timezone.utc)
VCENTER = {"id": "vc1", "name": "vc1", "slug": "vc1-0", "platform": "vsphere", "kind": "controller", "endpoint": "vc1"}
HOST = {**VCENTER, "id": "esx1", "name": "esx1", "slug": "esx1-0", "kind": "host", "controller": "vc1"}
ALONE = {key: value for key, value in HOST.items() if key != "controller"}
# What the samples are set up for; everything else is the default.
GOLD = {
    "gold_admin_cidrs": ["192.0.2.0/24"],
    "gold_mgmt_cidrs": ["192.0.2.0/24"],
    "gold_log_servers": ["log1.example.test"],
    "gold_remote_admins": ["alice"],
    "gold_vsphere_builds": {"8.0.3": 24674464, "vcenter-8.0.3": 24674346},
    "gold_vsphere_permissions": [{"principal": "%DWP\\vm-operators", "role": "vm-operator", "objects": ["prod-vms"]}],
    "gold_crypto_admins": ["%DWP\\hv-admins"],
    "gold_log_admins": ["%DWP\\hv-admins"],
    "gold_image_admins": ["%DWP\\hv-admins"],
    "gold_guest_access_principals": ["%DWP\\hv-admins"],
    "gold_deny_map": [{"principal": "DWP\\mallory", "domain_uuid": "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f09"}],
}


def document(facts, subject, **options):
    gold = {**gold_config.defaults(), **GOLD, **options.pop("gold", {})}
    return assess(facts, standard=load_standard(), gold=gold, now=NOW, subject=subject, **options)


def statuses(found, key="measured"):
    return {result["check"]: result[key] for result in found["results"]}


@pytest.fixture(scope="module")
def vcenter():
    return document(sample("vcenter"), VCENTER)


@pytest.fixture(scope="module")
def host(vcenter):
    return document(sample("esxi-8.0"), HOST, inherited=vcenter["results"])


def test_the_sample_host_is_as_the_gold_configuration_wants_it(host):
    """But for what no ESXi host can do (its drivers run in its kernel), and policies nobody declared."""
    found = statuses(host)
    own = {
        check: found[check]
        for check in found
        if check.startswith("vsphere-") and load_standard().checks[check].judged_on != "controller"
    }
    odd = {check: status for check, status in own.items() if status != "pass"}
    assert odd == {
        "vsphere-11.2.6-host-drivers": "fail",
        "vsphere-11.2.6-passthrough": "not_applicable",
        "vsphere-11.3.2-policy": "not_evaluated",
        "vsphere-11.3.4-policy": "not_evaluated",
        "vsphere-11.3.5-host-av": "manual",
        "vsphere-11.4.6-ssh-root": "not_applicable",
    }


def test_the_sample_vcenter_is_as_the_gold_configuration_wants_it(vcenter):
    odd = {
        check.id: statuses(vcenter)[check.id]
        for check in load_standard().checks.values()
        if check.platform == "vsphere" and check.judged_on == "controller" and statuses(vcenter)[check.id] != "pass"
    }
    # vCenter 8 tells nobody its global permissions.
    assert odd == dict.fromkeys(
        (
            "vsphere-11.2.2-global-perms",
            "vsphere-11.2.5-crypto-priv",
            "vsphere-11.2.8-privileges",
            "vsphere-11.4.1-directory-accounts",
            "vsphere-11.4.4-role-privs",
            "vsphere-11.4.5-guest-ops",
        ),
        "manual",
    )


def test_every_subject_has_all_measures(vcenter, host):
    assert len(vcenter["measures"]) == len(host["measures"]) == 36
    assert "unknown" not in {entry["status"] for entry in host["measures"]}


def test_a_controller_is_not_judged_as_a_host(vcenter):
    for result in vcenter["results"]:
        check = load_standard().checks[result["check"]]
        if check.judged_on == "host":
            assert (result["measured"], result["message"]) == ("not_applicable", ON_HOSTS)
    assert statuses(vcenter)["vsphere-11.4.8-build"] == "pass"


def test_a_host_inherits_what_is_judged_on_its_controller(vcenter, host):
    for check in load_standard().checks.values():
        if check.platform in ("all", "vsphere") and check.judged_on == "controller":
            above = next(result for result in vcenter["results"] if result["check"] == check.id)
            below = next(result for result in host["results"] if result["check"] == check.id)
            assert (below["measured"], below["status"]) == (above["measured"], above["status"])
            assert below["subject"] == "esx1" and below["message"].startswith("judged on vc1: ")


def test_inherited_results_keep_the_standards_order_and_are_set_nowhere_twice(vcenter, host):
    order = list(load_standard().checks)
    places = [order.index(result["check"]) for result in host["results"]]
    assert places == sorted(places) and len(set(places)) == len(places)
    assert not [entry for entry in host["drift"] if load_standard().checks[entry["check"]].judged_on == "controller"]


def test_a_failing_vcenter_fails_its_hosts(monkeypatch):
    """What a role would set is drift of the vCenter alone; no role sets alarms yet."""
    monkeypatch.setitem(load_standard().checks["vsphere-11.3.7-alarm"].data, "enforced", True)
    facts = copy.deepcopy(sample("vcenter"))
    facts["alarms"] = []
    above = document(facts, VCENTER)
    below = document(sample("esxi-8.0"), HOST, inherited=above["results"])
    assert statuses(below)["vsphere-11.3.7-alarm"] == "fail"
    assert {entry["check"] for entry in above["drift"]} >= {"vsphere-11.3.7-alarm"}
    assert "vsphere-11.3.7-alarm" not in {entry["check"] for entry in below["drift"]}


def test_an_exception_of_the_vcenter_counts_for_its_hosts():
    facts = copy.deepcopy(sample("vcenter"))
    facts["alarms"] = []
    record = {
        "id": "EX-1",
        "checks": ["vsphere-11.3.7-alarm"],
        "subjects": ["vc1"],
        "risk_ref": "RR-1",
        "approved_on": "2026-11-01",
        "expires_on": "2026-12-31",
    }
    above = document(facts, VCENTER, exceptions=[record])
    below = document(sample("esxi-8.0"), HOST, inherited=above["results"])
    assert statuses(above, "status")["vsphere-11.3.7-alarm"] == "excepted"
    assert statuses(below, "status")["vsphere-11.3.7-alarm"] == "excepted"


def test_a_host_without_the_results_of_its_vcenter_does_not_guess():
    facts = {**copy.deepcopy(sample("vcenter")), **copy.deepcopy(sample("esxi-8.0"))}
    found = document(facts, HOST)
    assert statuses(found)["vsphere-11.2.2-custom-roles"] == "unknown"
    message = next(result["message"] for result in found["results"] if result["check"] == "vsphere-11.2.2-custom-roles")
    assert message == "judged on the controller vc1, whose results are missing"


def test_results_of_another_controller_are_not_taken(vcenter):
    found = document(sample("esxi-8.0"), {**HOST, "controller": "vc2"}, inherited=vcenter["results"])
    assert statuses(found)["vsphere-11.2.2-custom-roles"] == "unknown"


def test_a_stand_alone_host_is_its_own_controller():
    facts = copy.deepcopy(sample("esxi-8.0"))
    facts["host"].update(controller="", controller_address="")
    facts["rbac"] = {
        "roles": [{"id": -1, "name": "Admin", "system": True, "privileges": ["Host.Config.AdvancedConfig"]}],
        "permissions": [
            {"principal": "root", "group": False, "role": "Admin", "entity": "ha-folder-root", "entity_type": "Folder",
             "entity_id": "ha-folder-root", "root": True, "propagate": True},
        ],
        "global_permissions": [],
    }  # fmt: skip
    found = statuses(document(facts, ALONE))
    assert found["vsphere-11.4.4-role-privs"] == "pass"
    assert found["vsphere-11.2.2-global-perms"] == "not_applicable"
    assert found["vsphere-11.2.3-capability"] == "fail"


def test_an_unreachable_host_inherits_nothing(vcenter):
    found = unreachable(HOST, standard=load_standard(), reason="notResponding", now=NOW)
    assert [entry["status"] for entry in found["measures"]] == ["unknown"] * 36


def test_a_host_is_judged_again_with_its_controller(tmp_path, vcenter, host):
    gold = {**gold_config.defaults(), **GOLD}
    for subject, facts in ((VCENTER, sample("vcenter")), (HOST, sample("esxi-8.0"))):
        slug = evidence.slug(subject["id"])
        record = evidence.build(
            {**subject, "slug": slug}, facts, collected_at=NOW, collection="1", gold=gold, gold_sources={}
        )
        (tmp_path / f"{slug}.json").write_bytes(evidence.encode(record))
    again = evidence.reassess(tmp_path / f"{evidence.slug('esx1')}.json", load_standard())
    assert statuses(again) == statuses(host)


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.json")))
def test_redaction_takes_nothing_from_the_facts_of_vsphere(name):
    """What is judged is redacted first; a key that looks like a secret would make its check unknown for ever."""
    assert redact(sample(name)) == sample(name)


def test_the_contract_names_every_fact_that_a_check_reads():
    """README.md of the sample documents is what the collector is built by."""
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:\.[a-z0-9_]+)*)(?:\[\])?`", text))
    for first, others in re.findall(r"^\| `([a-z_.]+)`((?:, `\.[a-z_]+`)+)", text, re.MULTILINE):
        named |= {first.rpartition(".")[0] + part for part in re.findall(r"`(\.[a-z_]+)`", others)}
    lacking = {
        path
        for check in load_standard().checks.values()
        if check.platform == "vsphere"
        for path in paths_of(check)
        if not path.startswith("advanced_options") and not any(_covers(name, path) for name in named)
    }
    assert not lacking


def _covers(name, path):
    return path == name or name.startswith(path + ".") or path.startswith(name + ".")
