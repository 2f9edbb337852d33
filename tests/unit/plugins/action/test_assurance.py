# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers, evidence, comparison and roll-up through the playbooks, on this machine as the audited host."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import jsonschema
import pytest
import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import disposition
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import registers
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.runs.packs import a_key, allow

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((CHECKOUT / "plugins/plugin_utils/schemas/results.json").read_text(encoding="utf-8")),
    format_checker=jsonschema.FormatChecker(),
)
TODAY = dt.datetime.now(dt.timezone.utc).date()
INVENTORY = {
    "all": {
        "children": {
            "lab": {
                "hosts": {
                    "here": {
                        "ansible_connection": "local",
                        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                        "hypervisor_platform": "kvm",
                    }
                }
            },
            "others": {"hosts": {"elsewhere": {"hypervisor_platform": "kvm"}}},
        }
    }
}
pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen")


def day(days):
    return (TODAY + dt.timedelta(days=days)).isoformat()


def play(folder, playbook, **options):
    """A playbook of the collection; returns (exit code, output)."""
    given = {"hypervisor_report_dir": str(folder / "reports"), "hypervisor_fail_on": [], **options}
    done = run_playbook(
        folder, str(CHECKOUT / "playbooks" / f"{playbook}.yml"), "--limit", "here", "-e", json.dumps(given)
    )
    return done.returncode, done.stdout + done.stderr


def document(folder, run="latest", name="results.json"):
    found = json.loads((folder / "reports" / run / name).read_text())
    if name == "results.json":
        SCHEMA.validate(found)
    return found


def exception(name, check, **changes):
    return {
        "id": name, "checks": [check], "subjects": ["here"], "risk_ref": f"RR-{name}", "justification": "j",
        "residual_risk": "r", "compensating_controls": ["none"], "requested_by": "Ada", "approved_by": "Bo",
        "approved_by_role": "risk owner", "approved_on": day(-100), "expires_on": day(200), **changes,
    }  # fmt: skip


def attestation(name, **changes):
    return {
        "id": name, "subjects": ["here"], "statement": "s", "evidence_ref": "DOC-1", "signed_by": "Ada",
        "accepted_by": "Bo",
        "signed_on": day(-1), "expires_on": day(200), **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An archive of two runs: the first without registers, the second with one of everything in them."""
    path = tmp_path_factory.mktemp("assurance")
    (path / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
    code, output = play(path, "audit", hypervisor_run_id="first")
    assert code == 0, output
    results = document(path)["results"]
    drift = {entry["check"] for entry in document(path)["drift"]}
    failing = [r["check"] for r in results if r["measured"] == "fail" and r["tier"] == 1]
    failing.sort(key=lambda check: check not in drift)
    passing = [r["check"] for r in results if r["measured"] == "pass"]
    manual = [r["check"] for r in results if r["measured"] == "manual"]
    # As if that run had been a while ago: what it saw is older than some approvals.
    since = path / "reports" / "first" / "failing-since.json"
    since.write_text(since.read_text().replace(TODAY.isoformat(), day(-50)))
    archive.seal(path / "reports" / "first", None)
    records = [
        exception("active", failing[0]),
        exception("pending", failing[1], approved_on=day(1)),
        exception("expiring", failing[2], expires_on=day(5)),
        exception("expired", failing[3], expires_on=day(-1)),
        exception("unused", failing[0], subjects=["nowhere"]),
        exception("limited", failing[0], subjects=["elsewhere"]),
        exception("closable", passing[0]),
        exception("late", failing[4], approved_on=day(-10)),
        exception("changed", failing[5], accepted_value="nothing like it"),
        exception("newcomer", failing[6], subjects=None, groups=["lab"], approved_subjects=["somebody-else"]),
        exception("group", failing[7], subjects=None, groups=["lab"], platforms=["kvm"], approved_subjects=["here"]),
    ]
    records = [{key: value for key, value in record.items() if value is not None} for record in records]
    (path / "exceptions.yml").write_text(yaml.safe_dump(records))
    (path / "proof.txt").write_text("the proof")
    # A measure of which no check is excepted or attested: which ones fail depends on the machine.
    taken = {r["measure"] for r in results if r["check"] in (*failing[:8], *manual[:2])}
    measure = next(r["measure"] for r in results if r["check"] in failing[8:] and r["measure"] not in taken)
    signed = [
        attestation("attested", checks=[manual[0]], evidence_file="proof.txt", satisfied_by="SS-025"),
        attestation("contradicted", measure=measure),
        attestation("over", checks=[manual[1]], expires_on=day(-1), signed_on=day(-30)),
    ]
    (path / "attestations.yml").write_text(yaml.safe_dump(signed))
    key = a_key(path, "authority")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "dwp.hypervisor.register", path / "exceptions.yml"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    options = {
        "hypervisor_exceptions_file": str(path / "exceptions.yml"),
        "hypervisor_attestations_file": str(path / "attestations.yml"),
        "hypervisor_allowed_signers": str(allow(path, key)),
        "hypervisor_signing_key": str(key),
    }
    code, output = play(path, "audit", hypervisor_run_id="second", **options)
    assert code == 0, output
    (path / "facts.json").write_text(json.dumps({"failing": failing, "manual": manual, "options": options}))
    return path


def known(folder):
    return json.loads((folder / "facts.json").read_text())


def records_of(folder, kind="exceptions", run="second"):
    return {record["id"]: record for record in document(folder, run)["registers"][kind]["records"]}


@pytest.mark.parametrize(
    ("name", "state", "note"),
    [
        ("active", "active", None), ("pending", "pending", "late"), ("expiring", "expiring", None),
        ("expired", "expired", None), ("unused", "active", "unused"), ("limited", "active", "not_in_this_run"),
        ("closable", "active", "closable"), ("late", "active", "late"), ("changed", "active", "changed"),
        ("newcomer", "active", "changed"), ("group", "active", None),
    ],
)  # fmt: skip
def test_every_state_of_an_exception(folder, name, state, note):
    record = records_of(folder)[name]
    assert record["state"] == state
    if note:
        assert note in record["notes"]
    else:
        assert not {"unused", "closable", "late", "changed"} & set(record["notes"])


def status_of(folder, check, run="second"):
    return next(result for result in document(folder, run)["results"] if result["check"] == check)


def test_only_what_was_approved_is_excepted_and_measured_stays(folder):
    failing = known(folder)["failing"]
    wanted = ["excepted", "fail", "excepted", "fail", "excepted", "fail", "fail", "excepted"]
    found = [status_of(folder, check) for check in (*failing[:4], *failing[4:8])]
    assert [result["status"] for result in found] == wanted
    assert {result["measured"] for result in found} == {"fail"}
    assert "expired on" in found[3]["message"]
    assert "was approved when this subject was not in its scope" in found[6]["message"]
    summary = document(folder, "second")["summary"]
    assert summary["score_after_exceptions"] >= summary["score"]


def test_an_exception_stops_the_enforcement_of_exactly_that(folder):
    failing = known(folder)["failing"]
    second = document(folder, "second")
    enforced = {entry["check"] for entry in disposition.enforceable(second["drift"], second["results"])}
    excepted = {failing[0], failing[2], failing[4], failing[7]}
    assert enforced == {entry["check"] for entry in second["drift"]} - excepted
    assert {failing[1], failing[3], failing[5], failing[6]} <= enforced


def test_attestations_are_shown_with_their_proof_and_a_probe_contradicts_them(folder):
    manual = known(folder)["manual"]
    result = status_of(folder, manual[0])
    assert (result["measured"], result["status"]) == ("manual", "attested")
    assert result["attestation"]["satisfied_by"] == "SS-025"
    assert "proof.txt, SHA-256 " in result["attestation"]["evidence"]
    assert status_of(folder, manual[1])["status"] == "manual"
    second = document(folder, "second")
    assert "contradicted" in records_of(folder, "attestations")["contradicted"]["notes"]
    (against,) = second["attestations"]["contradicted"]
    contradicted = status_of(folder, against["checks"][0])
    assert contradicted["status"] == "fail"
    assert "Attestation contradicted says otherwise: the probe decides." in contradicted["message"]


def test_signatures_are_checked_and_the_unsigned_register_is_bannered(folder):
    found = document(folder, "second")["registers"]
    assert found["exceptions"]["signature"] == {"state": "verified", "signer": "authority@example.org", "banner": None}
    assert "attestations.yml is not signed" in found["attestations"]["signature"]["banner"]
    assert (folder / "reports/second/registers/exceptions.yml.sig").is_file()


@pytest.mark.parametrize("fault", ["changed after signing", "signed by somebody else"])
def test_a_wrong_signature_stops_the_run_before_anything_is_contacted(folder, tmp_path, fault):
    register = tmp_path / "exceptions.yml"
    register.write_bytes((folder / "exceptions.yml").read_bytes())
    shutil.copy(folder / "exceptions.yml.sig", tmp_path)
    options = {**known(folder)["options"], "hypervisor_exceptions_file": str(register)}
    if fault == "changed after signing":
        register.write_text(register.read_text() + "\n")
    else:
        options["hypervisor_allowed_signers"] = str(allow(tmp_path, a_key(tmp_path, "other")))
    before = sorted((folder / "reports").iterdir())
    code, output = play(folder, "audit", **options)
    assert code == 2
    assert "expected a signature of the Authority over this very file" in " ".join(output.split())
    assert "Collect and assess" not in output
    assert sorted((folder / "reports").iterdir()) == before


def test_the_stubs_ask_for_everything_and_are_refused_as_they_are(folder, tmp_path):
    first = document(folder, "first")
    path = folder / "reports" / "first" / "attestation-stubs.yml"
    manual = {result["check"] for result in first["results"] if result["status"] == "manual"}
    assert {entry["check"] for entry in first["evidence_wanted"]} == manual
    stubs = yaml.safe_load(path.read_text())
    assert {stub["checks"][0] for stub in stubs} == manual
    with pytest.raises(registers.RegisterError, match=r"found \"\"; expected text"):
        registers.load_attestations(str(path))
    asked = load_standard().checks[known(folder)["manual"][1]]
    assert f"# Ask for: {asked.data.get('manual', 'show that ' + asked.passes)}"[:60] in path.read_text()
    for stub in stubs:
        stub.update(
            statement="s", evidence_ref="e", signed_by="a", accepted_by="b", signed_on=day(0), expires_on=day(1)
        )
    (tmp_path / "filled.yml").write_text(yaml.safe_dump(stubs))
    code, output = play(folder, "audit", hypervisor_run_id="filled", hypervisor_report_dir=str(tmp_path / "reports"),
                        hypervisor_attestations_file=str(tmp_path / "filled.yml"))  # fmt: skip
    assert code == 0, output
    found = json.loads((tmp_path / "reports/filled/results.json").read_text())
    assert found["evidence_wanted"] == []
    assert {r["status"] for r in found["results"] if r["measured"] == "manual"} <= {"attested"}


def test_the_run_before_is_compared_with_and_chained(folder):
    second, first = document(folder, "second"), document(folder, "first")
    assert first["comparison"] is None
    assert second["comparison"]["with"]["run"] == "first"
    assert [entry["what"] for entry in second["comparison"]["content"]] == ["exceptions", "attestations"]
    counts = second["comparison"]["counts"]
    assert (counts["newly_failing"], counts["content_changed"], counts["scope_changed"]) == (0, 0, 0)
    assert counts["still_failing"] > 5
    assert second["run"]["previous"]["run"] == "first"
    assert [point["run"] for point in second["trend"]] == ["first", "second"]
    assert status_of(folder, known(folder)["failing"][0])["failing_since"].startswith(day(-50))
    assert second["completeness"] == {
        "complete": True, "expected": 36, "evaluated": 36, "not_evaluated": 0, "missing": [],
    }  # fmt: skip


def test_the_evidence_says_who_what_and_by_what(folder):
    second = document(folder, "second")
    slug = second["subjects"][0]["slug"]
    found = json.loads((folder / f"reports/second/evidence/{slug}.json").read_text())
    about = found["provenance"]
    assert about["run"] == "second"
    assert about["standard"] == {"id": "SS-009", "version": "2.0"}
    assert about["collector"] == {"name": "kvm_info", "facts": found["facts"]["schema_version"]}
    assert about["by"]["user"] and about["by"]["controller"]
    assert about["catalogue_sha256"] == second["run"]["catalogue_sha256"]
    assert about["gold_sha256"] == second["subjects"][0]["gold"]["sha256"]
    assert about["registers"]["exceptions"] == second["registers"]["exceptions"]["sha256"]


def test_a_subset_run_is_not_complete_and_changes_scope_only(folder, tmp_path):
    shutil.copytree(folder / "reports", tmp_path / "reports", symlinks=True)
    code, output = play(folder, "audit", hypervisor_run_id="subset", hypervisor_measures=["11.4.6"],
                        hypervisor_report_dir=str(tmp_path / "reports"))  # fmt: skip
    assert code == 0, output
    found = json.loads((tmp_path / "reports/subset/results.json").read_text())
    assert found["completeness"]["complete"] is False
    assert found["completeness"]["not_evaluated"] == 35
    assert found["subjects"][0]["verdict"] != "compliant"
    assert found["comparison"]["counts"]["scope_changed"] > 50
    assert found["comparison"]["counts"]["fixed"] == found["comparison"]["counts"]["newly_failing"] == 0
    assert found["trend"][-1]["scope_changed"] is True


def test_verify_proves_the_archive_and_names_what_was_changed(folder, tmp_path):
    shutil.copytree(folder / "reports", tmp_path / "copy", symlinks=True)
    options = {
        "hypervisor_verify": str(tmp_path / "copy"),
        "hypervisor_allowed_signers": str(folder / "allowed_signers"),
    }
    code, output = play(folder, "verify", **options)
    assert code == 0, output
    assert "signed by authority@example.org" in output
    path = next((tmp_path / "copy/second/subjects").glob("*.json"))
    lines = path.read_text().split("\n")
    number = next(number for number, line in enumerate(lines) if '"measured":"fail"' in line)
    lines[number] = lines[number].replace('"measured":"fail"', '"measured":"pass"')
    path.write_text("\n".join(lines))
    code, output = play(folder, "verify", **options)
    assert code == 2
    assert f"subjects/{path.name}:{number + 1}: this line was changed, subject here" in " ".join(output.split())
    script = subprocess.run([sys.executable, "-I", str(tmp_path / "copy/second/verify.py")], check=False, timeout=60)
    assert script.returncode == 1


def test_compare_playbook(folder, tmp_path):
    options = {
        "hypervisor_compare_before": str(folder / "reports/first"),
        "hypervisor_compare_after": str(folder / "reports/second"),
        "hypervisor_compare_dest": str(tmp_path / "comparison.json"),
    }
    code, output = play(folder, "compare", **options)
    assert code == 0, output
    assert "still failing" in output
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert {entry["class"] for entry in found["changes"]} >= {"still_failing"}
    code, output = play(folder, "compare", **options, hypervisor_compare_fail_on=["still_failing"])
    assert code == 2
    code, output = play(folder, "compare", **{**options, "hypervisor_compare_before": str(tmp_path)})
    assert (code, "holds no run: expected a report directory" in " ".join(output.split())) == (2, True)


def test_another_gold_configuration_is_marked_and_no_posture(folder):
    options = {"hypervisor_reassess": str(folder / "reports/second"), "hypervisor_run_id": "again"}
    settings = {"gold_kvm_type_position": "type1_minimised_host", "gold_attestation_max_age_days": 10}
    code, output = play(folder, "reassess", **options, hypervisor_reassess_gold={"gold_kvm_type_positon": "x"})
    assert (code, "did you mean gold_kvm_type_position?" in " ".join(output.split())) == (2, True)
    code, output = play(folder, "reassess", **options, hypervisor_reassess_gold=settings)
    assert code == 0, output
    again, second = document(folder, "again"), document(folder, "second")
    assert again["run"]["mode"] == "reassess"
    assert again["run"]["reassessment"]["of"] == "second"
    assert again["run"]["reassessment"]["changed"] == ["gold"]
    assert again["run"]["reassessment"]["before"] == second["summary"]["by_verdict"]
    assert again["subjects"][0]["collected_at"][:19] == second["subjects"][0]["collected_at"][:19]
    assert [point["run"] for point in again["trend"]][-1] == "again"
    counts = again["comparison"]["counts"]
    assert (counts["fixed"], counts["newly_failing"], counts["scope_changed"]) == (0, 0, 0)
    assert (folder / "reports" / "latest").readlink().name == "second", "it is no newer look at the hosts"


def test_the_same_registers_and_gold_say_the_same_again(folder):
    code, output = play(
        folder, "reassess", hypervisor_reassess=str(folder / "reports/second"), hypervisor_run_id="same"
    )
    assert code == 0, output
    same, second = document(folder, "same"), document(folder, "second")
    assert same["run"]["reassessment"]["changed"] == []
    pairs = [
        {result["check"]: (result["measured"], result["status"]) for result in found["results"]}
        for found in (same, second)
    ]
    assert pairs[0] == pairs[1]


def test_another_edition_of_the_standard_is_marked(folder, tmp_path):
    shutil.copytree(CHECKOUT / "plugins/plugin_utils/measures", tmp_path / "measures")
    (tmp_path / "measures" / "EDITION").write_text("SS-009 2.1\n")
    code, output = play(
        folder, "reassess", hypervisor_reassess=str(folder / "reports/second"), hypervisor_run_id="edition",
        hypervisor_measures_directory=str(tmp_path / "measures"),
    )  # fmt: skip
    assert code == 0, output
    found = document(folder, "edition")
    assert found["standard"]["version"] == "2.1"
    assert "standard" in found["run"]["reassessment"]["changed"]
    # And it cannot be put together with results of the other edition.
    code, output = play(folder, "report", hypervisor_report_sources=[
        str(folder / "reports/second"), {"directory": str(folder / "reports/edition"), "line": "external"},
    ])  # fmt: skip
    assert code == 2
    assert "mixed standards: " in output
    assert "is SS-009 2.1" in " ".join(output.split())


def test_a_roll_up_shows_lines_of_defence_and_signatures(folder, tmp_path):
    sources = [
        {"directory": str(folder / "reports/first"), "line": "external", "supplier": "Example Ltd"},
        str(folder / "reports/second"),
    ]
    given = {
        "hypervisor_report_sources": sources, "hypervisor_report_dir": str(tmp_path / "rollup"),
        "hypervisor_run_id": "all", "hypervisor_allowed_signers": str(folder / "allowed_signers"),
    }  # fmt: skip
    code, output = play(folder, "report", **given)
    assert code == 0, output
    found = json.loads((tmp_path / "rollup/all/results.json").read_text())
    SCHEMA.validate(found)
    part = found["rollup"]
    assert [source["signature"]["state"] for source in part["sources"]] == ["unsigned", "verified"]
    assert [source["line"] for source in part["sources"]] == ["external", "first"]
    assert found["summary"]["subjects"] == 1
    failing = known(folder)["failing"]
    assert next(r for r in found["results"] if r["check"] == failing[0])["status"] == "fail", "the worst line counts"
    assert any(entry["disagree"] for entry in part["lines"])
    assert found["run"]["mode"] == "rollup"
    for extra in ("report.html", "results.csv", "results.junit.xml", "MANIFEST.sha256"):
        assert (tmp_path / "rollup/all" / extra).is_file()


def test_a_roll_up_refuses_duplicates_changes_and_nonsense(folder, tmp_path):
    def refused(*sources):
        code, output = play(folder, "report", hypervisor_report_sources=list(sources))
        assert code == 2, output
        return " ".join(output.split())

    first, second = str(folder / "reports/first"), str(folder / "reports/second")
    assert "subject here was assessed twice by the first line" in refused(first, second)
    shutil.copytree(second, tmp_path / "changed", symlinks=True)
    (tmp_path / "changed" / "results.csv").write_text("x")
    assert "is not as it was sealed: results.csv" in refused(str(tmp_path / "changed"))
    assert "did you mean external?" in refused({"directory": first, "line": "extern"})
    assert "is not as it was sealed" in refused(str(tmp_path))


def test_registers_playbook_checks_reports_and_converts(folder, tmp_path):
    options = known(folder)["options"]
    given = {
        "hypervisor_exceptions_file": options["hypervisor_exceptions_file"],
        "hypervisor_exceptions_to": str(tmp_path / "risks.csv"),
        "hypervisor_allowed_signers": options["hypervisor_allowed_signers"],
    }
    code, output = play(folder, "registers", **given)
    assert code == 0, output
    assert "signed by authority@example.org" in output
    assert "newcomer  active" in output
    assert "not approved for here" in output
    back = {
        "hypervisor_exceptions_file": str(tmp_path / "risks.csv"),
        "hypervisor_exceptions_to": str(tmp_path / "back.yml"),
    }  # fmt: skip
    code, output = play(folder, "registers", **back)
    assert code == 0, output
    assert registers.load_exceptions(str(tmp_path / "back.yml")) == registers.load_exceptions(
        options["hypervisor_exceptions_file"]
    )
    code, output = play(folder, "registers", **back, hypervisor_registers_fail_on=["expired", "unsigned"])
    assert code == 2
    assert "exception expired is expired" in " ".join(output.split())
    code, output = play(folder, "registers")
    assert (code, "name a register" in output) == (2, True)


def test_a_run_on_a_full_disk_says_so_and_the_last_run_stays(folder, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k,mode=0700", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        code, output = play(folder, "audit", hypervisor_report_dir=str(disk), hypervisor_run_id="full")
        assert code == 2
        assert "No space left on device" in output
        assert not (disk / "full" / "MANIFEST.sha256").exists()
        assert not (disk / "latest").exists()
        assert not list(disk.rglob("*.part"))
        for path in disk.rglob("*.json"):
            assert path.stat().st_size == 0 or json.loads(path.read_text())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_signing_key_that_does_not_work_stops_the_run_before_anything_is_contacted(folder, tmp_path):
    code, output = play(folder, "audit", hypervisor_report_dir=str(tmp_path / "reports"),
                        hypervisor_signing_key=str(tmp_path / "absent"))  # fmt: skip
    assert code == 2
    assert "absent cannot sign" in output
    assert "Collect and assess" not in output
    assert not (tmp_path / "reports").exists()


def test_two_audits_at_once_with_one_run_id_get_directories_of_their_own(folder, tmp_path):
    reports = str(tmp_path / "reports")
    found = []

    def audit():
        found.append(play(folder, "audit", hypervisor_report_dir=reports, hypervisor_run_id="job"))

    threads = [threading.Thread(target=audit) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _output in found] == [0, 0], found
    assert sorted(path.name for path in (tmp_path / "reports").iterdir() if path.is_dir()) == ["job", "job-2", "latest"]
    assert play(folder, "verify", hypervisor_verify=reports)[0] == 0
    second = {json.loads((tmp_path / "reports" / run / "run.json").read_text())["run"]["previous"] is None
              for run in ("job", "job-2")}  # fmt: skip
    assert second == {True, False}, "one of them names the other"


def test_a_killed_audit_leaves_no_half_file_and_no_evidence(folder, tmp_path):
    reports = tmp_path / "reports"
    assert play(folder, "audit", hypervisor_report_dir=str(reports), hypervisor_run_id="good")[0] == 0
    rolls = random.Random(20261123)
    for attempt in range(4):
        options = {"hypervisor_report_dir": str(reports), "hypervisor_run_id": f"killed-{attempt}"}
        process = subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yml", "--limit", "here", "-e",
             json.dumps(options), str(CHECKOUT / "playbooks" / "audit.yml")],
            cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
                "ANSIBLE_HOME": str(folder / "home"),
            },
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not (reports / f"killed-{attempt}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rolls.uniform(0, 1.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        for path in reports.rglob("*.json"):
            assert path.stat().st_size == 0 or json.loads(path.read_text()), path
    code, output = play(folder, "audit", hypervisor_report_dir=str(reports), hypervisor_run_id="after")
    assert code == 0, output
    sealed = sorted(path.parent.name for path in reports.glob("*/MANIFEST.sha256") if not path.parent.is_symlink())
    assert {"good", "after"} <= set(sealed)
    assert pack_verify.verify_chain(reports) == []
    assert [finding for run in sealed for finding in pack_verify.verify_pack(reports / run)] == []
