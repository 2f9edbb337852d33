# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say to whom: the answer, registers, history, what a pass proves, measures and subjects."""

from __future__ import annotations

import time

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import page_frame, page_tables, report_html
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters.html_page import Page
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters.html_sites import (
    RUNS,
    SITES,
    STANDARD,
    parsed,
    section,
    some_pages,
)


def test_the_page_begins_with_the_answer():
    page = parsed("every status")
    anchors = [element.attributes["aria-labelledby"] for element in page.root.find("section")]
    assert anchors == (
        "answer marking registers trend changes totals measures coverage subjects todo wanted scope about".split()
    )
    answer = section(page, "answer").text
    assert "The subject is non-compliant with SS-009 v2.0." in answer
    assert "83% of the mandatory measures that apply are met" in answer
    assert "86% when accepted exceptions are counted as met" in answer
    assert "11.4.6 (1)" in answer
    assert "1 failing measure on 1 subject is accepted by the Authority" in answer
    assert "1 could not be read (unknown); 1 need a signed statement" in answer
    assert "The matrix is not full: 35 of 36 cells" in answer
    assert "Exception EX-1 can be closed: what it accepts passes now: kvm1." in answer
    assert "Exception EX-2 has expired, so what it covered fails again: kvm1." in answer
    assert "There is no earlier run to compare with." in answer


def test_registers_show_state_notes_people_and_the_banner():
    page = parsed("everything")
    notes = [element.text for element in page.root if element.attributes.get("class") == "note"]
    assert any("not signed by the Authority" in text for text in notes)
    assert "EX-3 (RISK-EX-3) has expired" in section(page, "answer").text
    assert "EX-2 (RISK-EX-2) expires soon: 1 December 2026, in 8 days." in section(page, "answer").text
    text = section(page, "registers").text
    for expected in (
        "Pending",
        "Expiring",
        "matches nothing",
        "can be closed: all it covers passes",
        "approved after the first run that saw the failure",
        "contradicted: a probe says otherwise",
        "D. Owner, Risk owner",
        "RISK-EX-0",
        "A. Owner; B. Auditor",
        "Satisfied by SS-025",
        "signature verified by owner@authority.example",
    ):
        assert expected in text


def test_the_trend_is_a_picture_with_its_numbers_in_a_table():
    found = section(parsed("everything"), "trend")
    [picture] = found.find("svg")
    assert picture.attributes["role"] == "img"
    assert "50% on 2026-11-01" in picture.attributes["aria-label"]
    assert len(picture.find("polyline")) == 2
    assert len([line for line in picture.find("line") if line.attributes["class"] == "break"]) == 3
    rows = found.find("table")[0].find("tr")[1:]
    assert [row.find("th")[0].text for row in rows] == [point["run"] for point in RUNS["everything"]["trend"]]
    assert rows[2].find("td")[-1].text == "other content"
    assert not section(parsed("empty"), "trend").find("svg"), "one point is no trend"


def test_changes_are_counted_by_class_and_what_judged_is_told_apart():
    text = section(parsed("everything"), "changes").text
    for expected in (
        "Newly failing",
        "Exception expired",
        "no change of posture",
        "Gold configuration",
        "because fixed",
        "gone/0",
    ):
        assert expected in text
    assert "1 newly failing" in section(parsed("everything"), "answer").text


def test_a_roll_up_names_its_sources_freshness_and_disagreement():
    text = section(parsed("everything"), "sources").text
    for expected in (
        "north",
        "External",
        "Stale",
        "Not signed",
        "Example Ltd",
        "(no supplier)",
        "they disagree on 1",
        "Disagree",
    ):
        assert expected in text
    anchors = [element.attributes["aria-labelledby"] for element in parsed("every status").root.find("section")]
    assert "sources" not in anchors


def test_the_matrix_says_what_a_pass_proves():
    found = section(parsed("every status"), "coverage")
    assert len(found.find("table")[0].find("tr")) == 37
    assert "Automated: 2 read" in found.text
    for word in ("Partial", "Attestation only", "Platform cannot", "Not tested"):
        assert word in [term.text for term in found.find("dt")]


def test_scope_names_who_could_not_be_read_and_who_was_not_looked_at():
    text = section(parsed("absent"), "scope").text
    for expected in ("kvm9", "unreachable: no route to host", "web1", "subjects/x.json", "kvm7-00000000", "11.3.6"):
        assert expected in text


def test_assumptions_name_settings_floors_substitutes_and_the_position_on_section_11_3():
    text = parsed("every status", page_frame.ASSUMPTIONS).root.text
    for expected in (
        "gold_ssh_permit_root",
        "prohibit-password",
        "Section 11.3 is counted as mandatory",
        "substitute: CIS 4.3",
        "How 11.1.1 is read.",
    ):
        assert expected in text
    advisory = builder.a_document(STANDARD)
    for entry in advisory["measures"]:
        entry["obligation"] = "advisory" if entry["section"] == "11.3" else "must"
    site = dict(report_html.files(builder.a_run(STANDARD, [advisory]), STANDARD))
    assert b"Section 11.3 is counted as advisory on every subject" in site[page_frame.ASSUMPTIONS]


def test_what_to_do_comes_by_severity_with_fix_role_and_what_it_disturbs():
    found = section(parsed("every status"), "todo")
    rows = [[cell.spoken for cell in row.find("td")] for row in found.find("tr")[1:]]
    deciding = [row[0] for row in rows if "Supplementary" not in row[0]][:3]
    assert len(deciding) == 3
    order = ["Critical", "High", "Medium", "Low"]
    assert deciding == sorted(deciding, key=order.index)
    for expected in ("Set it to no in a drop-in", "remote_access", "high risk of locking", "to undo: restore the file"):
        assert expected in found.text


def test_the_page_of_a_measure_answers_six_questions():
    page = parsed("every status", "report/measures/11.4.6.html")
    anchors = [element.attributes["aria-labelledby"] for element in page.root.find("section")]
    assert anchors == ["asked", "looked", "found", "means", "todo", "owner"]
    for anchor, expected in (
        ("asked", "The hypervisor must do what 11.4.6 says."),
        ("asked", "How 11.4.6 is read."),
        ("looked", "sshd -T -C user=root"),
        ("looked", "automated"),
        ("found", "root can log in"),
        ("found", "a restart changes it"),
        ("means", "The measure is not met there."),
        ("todo", "Set it to no in a drop-in"),
        ("owner", "Example Ltd"),
    ):
        assert expected in section(page, anchor).text
    vms = parsed("every status", "report/measures/11.2.1.html").root.text
    assert "vm-4: has no label" in vms
    assert "and 3 more in results.json" in vms


def test_a_manual_measure_says_what_evidence_to_ask_for():
    page = parsed("every status", "report/measures/11.1.3.html")
    assert "Ask for evidence" in section(page, "todo").text
    assert "attestation-stubs.yml" in section(page, "todo").text
    assert "11.1.3" in section(parsed("every status"), "wanted").text


def test_the_page_of_a_subject_has_every_check_and_both_verdicts():
    run = RUNS["every status"]
    page = parsed("every status", f"report/subjects/{run['subjects'][0]['slug']}.html")
    assert len(section(page, "checks").find("tr")) == len(run["results"]) + 1
    assert len(section(page, "measures").find("tr")) == 37
    text = section(page, "checks").text
    assert "Attested by A. Owner (AT-3) until 2027-09-30." in text
    assert "no image library on this host" in text
    assert "Measured: fail." in text


def test_subjects_that_agree_share_a_row_and_one_that_differs_does_not():
    documents = [builder.a_document(STANDARD, builder.a_subject(f"kvm{n:02}", slug=f"kvm-{n}")) for n in range(19)]
    documents.append(
        builder.a_document(
            STANDARD, builder.a_subject("odd", slug="odd-1"), {"11.4.6": {"status": "fail", "actual": "yes"}}
        )
    )
    site = dict(report_html.files(builder.a_run(STANDARD, documents), STANDARD))
    found = section(Page(site["report/measures/11.4.6.html"]), "found")
    rows = [[cell.spoken for cell in row.find("td")][:2] for row in found.find("tr")[1:]]
    assert rows[0] == ["Fail", "odd"], "the worst first"
    assert rows[1][0] == "Pass"
    assert rows[1][1].endswith("and 11 more")
    assert len(rows) == 2 * 3


def test_two_subjects_with_one_name_are_told_apart():
    documents = [
        builder.a_document(STANDARD, builder.a_subject("kvm1", id=f"{site}/kvm1", slug=f"kvm1-{site}"))
        for site in ("north", "south")
    ]
    site = dict(report_html.files(builder.a_run(STANDARD, documents), STANDARD))
    text = section(Page(site["report.html"]), "subjects").text
    assert "north/kvm1" in text
    assert "south/kvm1" in text


def test_past_fifty_subjects_the_others_are_on_a_page_of_their_own():
    assert page_frame.ALL_SUBJECTS not in SITES["every status"]
    shown = section(parsed("fleet"), "subjects")
    assert len(shown.find("tr")) == page_tables.FRONT_SUBJECTS + 1
    assert "All 60 subjects" in shown.text
    assert len(parsed("fleet", page_frame.ALL_SUBJECTS).root.find("table")[0].find("tr")) == 61


def test_the_filter_needs_nothing_and_takes_nothing_away():
    """Every row is in the page; the script only hides what the reader filters out."""
    for name in some_pages("fleet"):
        page = parsed("fleet", name)
        assert not [element for element in page.root if "hidden" in element.attributes]
        assert not page.root.find("input", "select", "noscript")
    filtered = [table for table in parsed("fleet").root.find("table") if "data-filter" in table.attributes]
    assert {table.parent.attributes["aria-labelledby"] for table in filtered} >= {"c-measures", "c-subjects", "c-todo"}


def test_many_hosts_that_all_differ_stay_small_and_fast():
    standard = builder.a_standard(4)
    documents = []
    for host in range(120):
        changes = {
            check: {
                "status": ("fail", "pass", "unknown")[(host + number) % 3],
                "actual": f"value {host}.{number}",
                "message": f"host {host} has its own reason for check {number}, as long as a reason usually is",
            }
            for number, check in enumerate(standard.checks)
        }
        subject = builder.a_subject(f"kvm{host:02}", slug=f"kvm-{host}")
        documents.append(builder.a_document(standard, subject, changes))
    run = builder.a_run(standard, documents)
    started = time.perf_counter()
    site = dict(report_html.files(run, standard))
    # Generous: a shared runner is slow; 1 s is what one core takes.
    assert time.perf_counter() - started < 10
    assert len(site["report.html"]) < 300_000
    assert max(map(len, site.values())) < 1_000_000
    assert b"more different outcomes" in site["report/measures/11.4.6.html"]


def test_the_same_run_gives_the_same_pages():
    assert dict(report_html.files(RUNS["everything"], STANDARD)) == SITES["everything"]
