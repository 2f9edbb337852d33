# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.dwp.hypervisor.plugins.filter.assess import FilterModule
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold

ROOT = Path(__file__).parents[4]
FILTERS = FilterModule().filters()
CHECK = "kvm-11.4.6-ssh-root"
FACTS = {"host": {"platform": "kvm"}}
TODAY = dt.datetime.now(dt.timezone.utc).date()
EXCEPTION = {
    "id": "EX-1", "checks": [CHECK], "subjects": ["kvm1"], "risk_ref": "RR-1", "justification": "j",
    "compensating_controls": ["c"], "requested_by": "a", "approved_by": "b", "approved_by_role": "o",
    "residual_risk": "r",
    "approved_on": (TODAY - dt.timedelta(days=10)).isoformat(),
    "expires_on": (TODAY + dt.timedelta(days=10)).isoformat(),
}  # fmt: skip


def assess(facts, **options):
    return FILTERS["assess"](facts, **options)


def root_login(document):
    return next(result for result in document["results"] if result["check"] == CHECK)


def test_facts_in_results_out(root_may_log_in):
    document = assess(root_may_log_in)
    assert document["schema"] == "dwp.hypervisor.subject-results/1"
    assert root_login(document)["status"] == "fail"
    assert document["subject"]["name"] == "what-it-calls-itself"
    assert document["subject"]["verdict"] == "non-compliant"
    json.dumps(document)


def test_what_is_missing_is_unknown():
    assert root_login(assess(FACTS))["status"] == "unknown"


def test_a_vcenter_is_a_controller_by_its_facts():
    document = assess({"host": {"platform": "vsphere", "product_line": "vpx", "name": "vc1"}})
    assert document["subject"]["kind"] == "controller"
    assert assess({"host": {"platform": "vsphere", "product_line": "embeddedEsx"}})["subject"]["kind"] == "host"


def test_a_subset_of_measures():
    document = assess(FACTS, measures=["11.4.6"])
    assert {result["measure"] for result in document["results"] if result["status"] != "not_evaluated"} == {"11.4.6"}


def test_registers_as_records_or_as_a_file(tmp_path, root_may_log_in):
    assert root_login(assess(root_may_log_in, exceptions=[EXCEPTION], name="kvm1"))["status"] == "excepted"
    path = tmp_path / "exceptions.yml"
    path.write_text(yaml.safe_dump([EXCEPTION]), encoding="utf-8")
    assert root_login(assess(root_may_log_in, exceptions=str(path), name="kvm1"))["status"] == "excepted"
    assert root_login(assess(root_may_log_in, exceptions=str(path), name="kvm2"))["status"] == "fail"


def test_a_host_cannot_name_itself_into_an_exception():
    facts = {"host": {"platform": "kvm", "name": "kvm1"}}
    with pytest.raises(AnsibleFilterError, match="name is needed with exceptions"):
        assess(facts, exceptions=[EXCEPTION])


def test_a_secret_in_the_facts_is_not_in_the_results(root_may_log_in):
    for context in root_may_log_in["remote_access"]["ssh"]["contexts"]:
        context["settings"] = {"permitrootlogin": "password=S3cr3t-Planted"}
    document = json.dumps(assess(root_may_log_in))
    assert "password=[removed]" in document
    assert "S3cr3t-Planted" not in document


@pytest.mark.parametrize(
    "facts, options, words",
    [
        ([], {}, "the input is a list, expected a facts document"),
        ({}, {}, "host.platform of the facts is None, expected one of kvm, vsphere, hyperv"),
        ({"host": {"platform": "kmv"}}, {}, "did you mean kvm?"),
        (FACTS, {"gold": ["a"]}, "gold is a list, expected a mapping"),
        (FACTS, {"gold": {"gold_section_11_4": "must"}}, "did you mean gold_section_11_3?"),
        (FACTS, {"gold": {"gold_attestation_max_age_days": "x"}}, "expected int"),
        (FACTS, {"measures": "11.4.6"}, "expected a list of ids"),
        (FACTS, {"measures": ["11.4.66"]}, "11.4.66 is not a measure of SS-009; did you mean 11.4.6?"),
        (FACTS, {"exceptions": {"a": 1}, "name": "x"}, "is a list of records"),
        (FACTS, {"exceptions": "/nonexistent/x.yml", "name": "x"}, "/nonexistent/x.yml: cannot be read"),
        (FACTS, {"attestations": [{}], "name": "x"}, 'attestations: record 1: attestation lacks "id"'),
    ],
)
def test_bad_input_is_refused_in_words(facts, options, words):
    with pytest.raises(AnsibleFilterError) as caught:
        assess(facts, **options)
    assert words in str(caught.value)


def stored(tmp_path, facts):
    identity = {
        "id": "kvm1",
        "name": "kvm1",
        "slug": evidence.slug("kvm1"),
        "platform": "kvm",
        "kind": "host",
        "endpoint": "kvm1",
    }
    moment = dt.datetime.now(dt.timezone.utc)
    built = evidence.build(
        identity, facts, collected_at=moment, collection="1.0.0", gold=gold.defaults(), gold_sources={}
    )
    path = tmp_path / "kvm1.json"
    evidence.write_private(path, evidence.encode(built))
    return str(path)


def test_the_same_verdicts_from_stored_evidence(tmp_path, root_may_log_in):
    path = stored(tmp_path, root_may_log_in)
    again = FILTERS["reassess"](path, exceptions=[EXCEPTION])
    now = assess(root_may_log_in, exceptions=[EXCEPTION], name="kvm1")
    assert again["results"] == now["results"]
    assert again["measures"] == now["measures"]
    assert root_login(again)["status"] == "excepted"
    with pytest.raises(AnsibleFilterError, match=r"dwp\.hypervisor\.reassess: .*absent\.json: cannot be read"):
        FILTERS["reassess"](str(tmp_path / "absent.json"))


def test_the_filters_work_in_a_playbook_on_what_ansible_makes_of_facts(tmp_path, root_may_log_in):
    """ansible-core 2.19 and later tag every value; the documents have to come out plain."""
    play = [
        {
            "hosts": "localhost", "gather_facts": False, "connection": "local",
            "vars": {
                "facts": root_may_log_in, "register": [EXCEPTION], "evidence_file": stored(tmp_path, root_may_log_in),
            },
            "tasks": [
                {"ansible.builtin.set_fact": {
                    "judged": "{{ facts | dwp.hypervisor.assess(exceptions=register, name='kvm1') }}",
                    "again": "{{ evidence_file | dwp.hypervisor.reassess(exceptions=register) }}",
                }},
                {"ansible.builtin.copy": {
                    "dest": str(tmp_path / "out.json"), "mode": "0600",
                    "content": "{{ {'judged': judged, 'again': again} | to_json }}",
                }},
            ],
        }
    ]  # fmt: skip
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "localhost,", str(tmp_path / "play.yml")]
    # The directory that makes this checkout importable is also what Ansible finds it by.
    found = next(
        entry for entry in sys.path if (Path(entry) / "ansible_collections/dwp/hypervisor/galaxy.yml").is_file()
    )
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(Path(found).absolute()),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    ran = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    out = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert root_login(out["judged"])["status"] == root_login(out["again"])["status"] == "excepted"


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_option_is_documented(name):
    page = yaml.safe_load((ROOT / "plugins" / "filter" / f"{name}.yml").read_text(encoding="utf-8"))
    code = FILTERS[name].__code__
    arguments = code.co_varnames[1 : code.co_argcount]
    assert [option for option in page["DOCUMENTATION"]["options"] if option != "_input"] == list(arguments)
    assert page["DOCUMENTATION"]["positional"] == ", ".join(arguments)
