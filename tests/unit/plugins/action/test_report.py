# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report action: as a function on a run directory, and in a play."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import signal

import jsonschema
import pytest

from ansible_collections.dwp.hypervisor.plugins.action import report as action
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory as rd
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import defaults
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((CHECKOUT / "plugins/plugin_utils/schemas/results.json").read_text(encoding="utf-8")),
    format_checker=jsonschema.FormatChecker(),
)
NOW = dt.datetime(2026, 11, 23, 17, 44, tzinfo=dt.timezone.utc)
STARTED = "2026-11-23T17:43:50+00:00"
ALWAYS = "LINES.json MANIFEST.sha256 attestation-stubs.yml failing-since.json run.json subjects verify.py".split()
DEFAULT = "report report.html results.csv results.json results.junit.xml ohdf results.oscal.json results.poam.json"
FILES = sorted([*ALWAYS, *DEFAULT.split()])
ESCAPES = "\x1b]0;owned\x07\x1b[2J"


def a_document(name="kvm1", facts=None):
    """What the audit action writes for a host that shows nothing: everything is unknown."""
    subject = {
        "id": name,
        "name": name,
        "slug": evidence.slug(name),
        "platform": "kvm",
        "kind": "host",
        "endpoint": name,
        "tags": {},
    }
    return assess(facts or {}, standard=load_standard(), gold=defaults(), now=NOW, subject=subject)


@pytest.fixture
def reports(tmp_path):
    """A report directory with the results of kvm1 in run-1."""
    directory = rd.prepare(tmp_path / "reports", "run-1")
    rd.write(directory, dict([rd.subject_file(a_document())]))
    return tmp_path / "reports"


def given(reports, **options):
    values = {key: argument.get("default") for key, argument in action.ARGUMENTS.items()}
    return {**values, "report_dir": str(reports), "run_id": "run-1", "started": STARTED, **options}


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def results(directory):
    return json.loads((directory / "results.json").read_text())


def test_everything_is_written_and_the_result_is_small(reports):
    found = action.report(given(reports), False, NOW)
    assert names(reports / "run-1") == FILES
    SCHEMA.validate(results(reports / "run-1"))
    assert (reports / "latest").readlink().name == "run-1"
    assert found["report_path"] == str(reports / "run-1" / "report.html")
    assert found["changed"] is False
    assert found["failed_gate"] is True
    assert found["summary"]["subjects"] == 1
    assert found["ansible_stats"] == {
        "data": {"hypervisor_summary": found["summary"]},
        "per_host": False,
        "aggregate": False,
    }
    assert len(json.dumps(found["ansible_stats"])) < 10_000, "AWX keeps it with the job"


def test_an_expected_host_without_results_gets_a_file_and_is_counted(reports):
    found = action.report(given(reports, expected_subjects=[{"name": "kvm9", "platform": "kvm"}]), False, NOW)
    assert found["summary"]["unreachable"] == 1
    written = json.loads((reports / "run-1" / "subjects" / f"{evidence.slug('kvm9')}.json").read_text())
    assert {entry["status"] for entry in written["measures"]} == {"unknown"}
    again = action.report(given(reports, started=None), False, NOW)
    assert again["summary"] == found["summary"], "written again, it is still there"


def test_the_formats_are_options(reports):
    found = action.report(given(reports, formats=["csv"]), False, NOW)
    assert names(reports / "run-1") == sorted([*ALWAYS, "results.csv"])
    assert found["report_path"] == str(reports / "run-1")


def test_written_again_a_report_keeps_what_only_the_audit_knew(reports):
    action.report(given(reports, out_of_scope=["web1"]), True, NOW)
    later = NOW + dt.timedelta(days=1)
    action.report(given(reports, run_id=None, started=None, marking="OFFICIAL"), False, later)
    document = results(reports / "run-1")
    assert document["marking"] == "OFFICIAL"
    assert document["scope"]["out_of_scope"] == ["web1"]
    assert document["run"]["started"] == STARTED
    assert document["run"]["finished"] == "2026-11-24T17:44:00Z"
    assert document["run"]["mode"] == "check"


def test_a_run_that_the_next_one_names_is_not_written_again(reports):
    action.report(given(reports), False, NOW)
    directory = rd.prepare(reports, "run-2")
    rd.write(directory, dict([rd.subject_file(a_document())]))
    action.report(given(reports, run_id="run-2"), False, NOW)
    sealed = (reports / "run-1" / "MANIFEST.sha256").read_bytes()
    with pytest.raises(OSError, match=r"the manifest of run run-2 names its hash\. Name the directory in"):
        action.report(given(reports, run_id="run-1", started=None), False, NOW)
    assert (reports / "run-1" / "MANIFEST.sha256").read_bytes() == sealed
    assert (reports / "latest").readlink().name == "run-2"


def test_the_results_of_an_earlier_run_with_the_same_id_are_not_this_runs(reports):
    action.report(given(reports), False, NOW)
    later = NOW + dt.timedelta(days=1)
    expected = [{"name": "kvm1", "platform": "kvm"}]
    found = action.report(given(reports, started="2026-11-24T17:00:00Z", expected_subjects=expected), False, later)
    document = results(reports / "run-1")
    assert [subject["reachable"] for subject in document["subjects"]] == [False]
    SCHEMA.validate(document)
    assert "run id was used before" in found["reasons"][0]


def test_a_run_without_results_is_an_error_unless_an_audit_asks(tmp_path):
    with pytest.raises(ValueError, match=r"no results to report in .*run an audit first"):
        action.report(given(tmp_path, started=None), False, NOW)
    assert not (tmp_path / "run-1").exists()
    found = action.report(given(tmp_path), False, NOW)
    assert found["reasons"] == ["no subject was assessed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run_id": "../../etc"}, "not usable as a directory name"),
        ({"fail_on": ["failed"]}, "did you mean fail"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(reports, options, message):
    with pytest.raises(ValueError, match=message):
        action.report(given(reports, **options), False, NOW)
    assert names(reports / "run-1") == ["subjects"]


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: One of the hosts has failed before
      ansible.builtin.fail:
      when: inventory_hostname == 'broken'
    - dwp.hypervisor.report:
        report_dir: {reports}
        run_id: run-1
        started: "{started}"
        fail_on: {fail_on}
        expected_subjects:
          - {{name: kvm1, platform: kvm}}
          - {{name: broken, platform: kvm}}
          - {{name: kvm9, platform: kvm}}
      register: found
    - name: Leave a trace
      ansible.builtin.copy:
        content: "{{{{ found | to_json }}}}"
        dest: {reports}/returned.json
        mode: "0600"
      check_mode: false
      run_once: true
      delegate_to: localhost
    - name: The gate
      ansible.builtin.fail:
        msg: "{{{{ found.reasons }}}}"
      when: found.failed_gate
      run_once: true
"""
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  hosts: {broken: , kvm1: , kvm9: }
"""


def play(tmp_path, reports, *arguments, fail_on="[fail, unknown, manual]", **environment):
    """Run the play of this file; returns (exit code, output, what the action returned)."""
    (tmp_path / "play.yml").write_text(PLAY.format(reports=reports, started=STARTED, fail_on=fail_on))
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    done = run_playbook(tmp_path, "play.yml", *arguments, **{"ANSIBLE_SHOW_CUSTOM_STATS": "true", **environment})
    returned = reports / "returned.json"
    return done.returncode, done.stdout, json.loads(returned.read_text()) if returned.exists() else done.stderr


def test_in_a_play_it_runs_once_and_the_gate_decides_last(tmp_path, reports):
    code, output, returned = play(tmp_path, reports)
    assert code == 2
    assert output.count("SS-009 v2.0: 3 subjects") == 1
    assert "The gate fails:" in output
    assert re.search(r"^broken +not demonstrated +no result of this subject in this run$", output, re.MULTILINE)
    assert '"hypervisor_summary"' in output.partition("CUSTOM STATS")[2]
    assert returned["failed_gate"] is True
    assert names(reports / "run-1") == FILES


def test_an_empty_fail_on_never_fails_the_play(tmp_path, reports):
    code, _output, returned = play(tmp_path, reports, "--limit", "kvm1", fail_on="[]")
    assert (code, returned["failed_gate"], returned["reasons"]) == (0, False, [])


def test_check_mode_writes_the_same_report(tmp_path, reports):
    code, output, _returned = play(tmp_path, reports, "--check")
    assert code == 2
    assert "SS-009 v2.0: 3 subjects" in output
    assert results(reports / "run-1")["run"]["mode"] == "check"
    assert names(reports / "run-1") == FILES


# ansible-core brings no JSON callback of its own; ansible.posix.json does what this one does.
JSON_CALLBACK = """
import json
import os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "one_json"

    def v2_playbook_on_stats(self, stats):
        self._display.display(json.dumps(sorted(stats.processed)))
"""


def test_a_json_callback_gets_json_only(tmp_path, reports):
    (tmp_path / "one_json.py").write_text(JSON_CALLBACK)
    callback = {"ANSIBLE_STDOUT_CALLBACK": "one_json", "ANSIBLE_CALLBACK_PLUGINS": str(tmp_path)}
    _code, output, returned = play(tmp_path, reports, ANSIBLE_SHOW_CUSTOM_STATS="false", **callback)
    assert json.loads(output) == ["broken", "kvm1", "kvm9"]
    assert returned["console"][0].startswith("SS-009 v2.0: 3 subjects")


def test_a_hosts_own_text_cannot_reach_the_terminal(tmp_path, reports):
    document = a_document("kvm2")
    document["subject"]["name"] = document["subject"]["product"] = f"evil{ESCAPES}"
    for result in document["results"]:
        result.update(status="fail", measured="fail", message=ESCAPES, title=f"title{ESCAPES}")
    rd.write(reports / "run-1", dict([rd.subject_file(document)]))
    _code, output, _returned = play(tmp_path, reports)
    assert "evil\\x1b]0;owned" in output
    assert "\x1b" not in output
    assert "\x07" not in output


def test_in_the_background_the_same_is_written(reports):
    here, there = reports / "run-1", reports / "run-2"
    rd.prepare(reports, "run-2")
    rd.write(there, dict([rd.subject_file(a_document())]))
    told = action.report(given(reports, run_id="run-2", background=True), False, NOW)
    archive.settled(there)
    assert (reports / "latest").readlink().name == "run-2"
    assert told["report_path"] == str(there / "report.html")
    (reports / "latest").unlink()
    archive.unseal(there)
    action.report(given(reports), False, NOW)
    assert names(here) == sorted([*names(there), "MANIFEST.sha256"]) == FILES
    one, other = ((folder / "results.csv").read_bytes() for folder in (here, there))
    assert one == other


def test_a_report_that_nobody_wrote_to_the_end_is_not_taken_for_one(reports, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results.csv")

    with monkeypatch.context() as patched:
        patched.setattr(action, "write", full)
        action.report(given(reports, background=True), False, NOW)
        with pytest.raises(archive.ArchiveError, match=r"run-1 is not sealed: .* No space left on device"):
            archive.settled(reports / "run-1")
    assert not (reports / "latest").exists()
    action.report(given(reports), False, NOW)
    assert archive.BROKEN not in names(reports / "run-1")
    archive.settled(reports / "run-1")


def test_who_was_killed_left_no_word(reports, monkeypatch):
    monkeypatch.setattr(action, "write", lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL))
    action.report(given(reports, background=True), False, NOW)
    with pytest.raises(archive.ArchiveError, match=r"run-1 is not sealed: .*\(with no word of why"):
        archive.settled(reports / "run-1")
