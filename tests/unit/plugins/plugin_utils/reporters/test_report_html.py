# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for people: what assistive technology needs, nothing from outside, nothing of a target let loose."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import report_html
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import STATUS_WORDS
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard()
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent, self.children, self.own = tag, dict(attributes), parent, [], []

    def __iter__(self):
        for child in self.children:
            yield child
            yield from child

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.own)

    @property
    def spoken(self):
        """The text without what is hidden from screen readers."""
        if self.attributes.get("aria-hidden") == "true":
            return ""
        return "".join(part if isinstance(part, str) else part.spoken for part in self.own).strip()

    def find(self, *tags):
        return [element for element in self if element.tag in tags]


class Page(HTMLParser):
    """A strict little tree: a tag that is not closed, or closed out of turn, is a fault."""

    def __init__(self, data):
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {}, None)
        self.doctype = ""
        self.feed(data.decode("utf-8"))
        assert self.here is self.root, f"<{self.here.tag}> is never closed"

    def handle_decl(self, decl):
        self.doctype = decl

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs, self.here)
        assert len(element.attributes) == len(attrs), f"an attribute of <{tag}> is there twice"
        self.here.children.append(element)
        self.here.own.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag):
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.own.append(data)


def fleet(count, checks=3):
    standard = builder.a_standard(checks)
    return standard, builder.a_run(standard, [builder.every_status(standard, f"kvm{n:02}") for n in range(count)])


def runs():
    expected = [{"name": "kvm9", "platform": "kvm", "reason": "unreachable: no route to host"}]
    previous = {"run": "20261122T010203Z", "subjects": ["kvm7-00000000"]}
    unreadable = [{"file": "subjects/x.json", "reason": "not JSON"}]
    return {
        "every status": builder.a_run(STANDARD),
        "all good": builder.a_run(STANDARD, [builder.a_document(STANDARD)]),
        "absent": builder.a_run(
            STANDARD, expected_subjects=expected, previous=previous, out_of_scope=["web1"], unreadable=unreadable
        ),
        "fleet": fleet(3)[1],
        "hostile": builder.hostile_run(STANDARD),
        "empty": builder.a_run(STANDARD, []),
    }


RUNS = runs()


@pytest.fixture(params=list(RUNS), scope="module")
def page(request):
    return Page(report_html.render(RUNS[request.param], STANDARD))


@pytest.fixture(scope="module")
def one():
    return Page(report_html.render(RUNS["every status"], STANDARD))


def test_the_page_says_what_it_is(page):
    root = page.root
    assert page.doctype == "DOCTYPE html"
    assert root.find("html")[0].attributes["lang"] == "en-GB"
    [title] = root.find("title")
    assert "SS-009 v2.0" in title.text
    assert "20261123T174400Z" in title.text
    assert "finished 23 November 2026, 17:44:00 UTC" in root.find("header")[0].text


def test_headings_are_in_order(page):
    levels = [int(element.tag[1]) for element in page.root.find("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(following <= level + 1 for level, following in zip(levels, levels[1:]))


def test_ids_are_unique_and_every_internal_link_and_label_leads_somewhere(page):
    ids = [element.attributes["id"] for element in page.root if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    targets = [element.attributes["href"][1:] for element in page.root.find("a")]
    targets += [
        element.attributes["aria-labelledby"] for element in page.root if "aria-labelledby" in element.attributes
    ]
    assert set(targets) <= set(ids)


def test_there_are_landmarks_and_a_way_past_the_navigation(page):
    root = page.root
    assert [len(root.find(tag)) for tag in ("header", "main", "footer", "nav")] == [1, 1, 1, 1]
    first = root.find("body")[0].find("a")[0]
    assert first.attributes == {"class": "skip", "href": "#answer"}
    assert root.find("nav")[0].attributes["aria-label"]


def test_every_table_has_a_caption_and_scoped_headers(page):
    tables = page.root.find("table")
    for table in tables:
        assert len(table.find("caption")) == 1
        assert table.find("caption")[0].text.strip()
        head, *rows = table.find("tr")
        assert {cell.attributes.get("scope") for cell in head.find("th")} == {"col"}
        assert not head.find("td")
        for row in rows:
            assert [cell.attributes.get("scope") for cell in row.find("th")] == ["row"]
            assert len(row.find("th", "td")) == len(head.find("th"))
        assert not [cell for cell in table.find("th", "td") if {"colspan", "rowspan"} & set(cell.attributes)]


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(page):
    for table in page.root.find("table"):
        region = table.parent.attributes
        assert (region["role"], region["tabindex"], region["class"]) == ("region", "0", "scroll")
        assert region["aria-labelledby"] == table.find("caption")[0].attributes["id"]


def test_a_status_is_a_word_and_its_icon_is_not_spoken(page):
    words = {*STATUS_WORDS.values(), "No", *(word for word, _status in report_html.VERDICTS.values())}
    badges = [element for element in page.root.find("span") if "badge" in element.attributes.get("class", "").split()]
    assert len(badges) != 1, "a verdict, and at least the measures behind it"
    for badge in badges:
        assert badge.spoken.split(":")[0] in words
        assert badge.spoken != badge.text.strip(), "there is an icon besides the word"


def test_nothing_comes_from_outside_and_nothing_runs(page):
    assert not page.root.find("script", "link", "img", "iframe", "object", "embed", "form", "base", "svg")
    for element in page.root:
        assert not [name for name in element.attributes if name.startswith("on") or name in ("src", "style", "action")]
        if "href" in element.attributes:
            assert element.attributes["href"].startswith("#")
    for style in page.root.find("style"):
        assert "url(" not in style.text
        assert "@import" not in style.text
    [policy] = [e for e in page.root.find("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"].startswith("default-src 'none'")


@pytest.mark.parametrize(("kind", "text"), builder.HOSTILE.items(), ids=builder.HOSTILE)
def test_hostile_text_is_shown_and_stays_text(kind, text):
    data = report_html.render(RUNS["hostile"], STANDARD)
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data)
    assert "\u202e" not in data.decode("utf-8")
    page = Page(data)
    shown = page.root.text
    assert [len(page.root.find(tag)) for tag in ("title", "style")] == [1, 2]
    if kind in ("html", "attribute", "formula", "command", "traversal", "astral", "template", "cdata"):
        assert text[:40] in shown
    assert text not in shown or len(text) < 200


def test_the_marking_is_on_top_at_the_bottom_and_on_every_printed_page(one):
    marked = [element for element in one.root if element.attributes.get("class") == "marking"]
    assert [element.text for element in marked] == ["OFFICIAL-SENSITIVE"] * 2
    assert [element.parent.tag for element in marked] == ["header", "footer"]
    printed = next(element for element in one.root.find("style") if element.attributes.get("media") == "print")
    assert printed.text.count("OFFICIAL-SENSITIVE") == 2


def test_a_marking_cannot_end_the_style_sheet():
    css = report_html.css_string('</style>"} * { display: none } /* \\')
    assert not set(css) & set('<>"{}*/')
    assert re.fullmatch(r"(?:[A-Za-z0-9 -]|\\[0-9a-f]+ )*", css)


def luminance(colour):
    """WCAG 2.2, definition of relative luminance."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_from_its_background(one):
    style = one.root.find("style")[0].text
    inks = set(re.findall(r"(?<![-\w])color: (#[0-9a-f]{6})", style)) | set(
        re.findall(r"--(?:ink|link): (#[0-9a-f]{6})", style)
    )
    assert len(inks) >= 8
    assert min(contrast(ink, "#ffffff") for ink in inks) >= 4.5
    assert contrast("#0b0c0c", "#ffdd00") >= 4.5, "what has the focus"


def section(page, anchor):
    return next(element for element in page.root.find("section") if element.attributes["aria-labelledby"] == anchor)


def test_the_page_begins_with_the_answer(one):
    anchors = [element.attributes["aria-labelledby"] for element in one.root.find("section")]
    assert anchors == ["answer", "marking", "scope", "assumptions", "totals", "failures", "everything", "about"]
    answer = section(one, "answer").text
    assert "The subject is non-compliant with SS-009 v2.0." in answer
    assert "83% of the mandatory measures that apply are met" in answer
    assert "86% when accepted exceptions are counted as met" in answer
    assert "/etc/sudoers: permission denied" in answer
    assert "RISK-0042" in answer
    assert "2026-12-01 (within 30 days)" in answer
    assert "Exception EX-1 on kvm1 passes now, so the exception can be closed." in answer
    assert "Exception EX-2 on kvm1 has expired" in answer


def test_scope_names_who_could_not_be_read_and_who_was_not_looked_at():
    text = section(Page(report_html.render(RUNS["absent"], STANDARD)), "scope").text
    for expected in ("kvm9", "unreachable: no route to host", "web1", "subjects/x.json", "kvm7-00000000", "11.3.6"):
        assert expected in text


def test_assumptions_name_settings_floors_substitutes_and_the_position_on_section_11_3(one):
    text = section(one, "assumptions").text
    for expected in (
        "gold_ssh_permit_root",
        "prohibit-password",
        "Section 11.3 is counted as mandatory",
        "substitute: CIS 4.3",
    ):
        assert expected in text
    assert "How 11.1.1 is read." in text
    advisory = builder.a_document(STANDARD)
    for entry in advisory["measures"]:
        entry["obligation"] = "advisory" if entry["section"] == "11.3" else "must"
    shown = section(Page(report_html.render(builder.a_run(STANDARD, [advisory]), STANDARD)), "assumptions").text
    assert "Section 11.3 is counted as advisory on every subject" in shown


def test_failures_come_by_severity_with_expected_actual_fix_and_role(one):
    found = section(one, "failures")
    severities = [heading.text.split()[0] for heading in found.find("h3")]
    assert severities == ["High", "Medium"]
    for expected in (
        "Expected: no",
        "Actual: yes",
        "Set it to no in a drop-in",
        "Role: remote_access",
        "high risk of locking",
    ):
        assert expected in found.text
    assert "vm-4: has no label" in found.text
    assert "and 3 more in results.json" in found.text
    assert "a restart changes it" in found.text


def test_every_measure_and_every_check_is_there(one):
    found = section(one, "everything")
    assert len(found.find("details")) == 36
    for check in STANDARD.checks:
        assert f"({check})" in found.text
    assert "Attested by A. Owner (AT-3) until 2027-09-30." in found.text
    assert "no image library on this host" in found.text


def test_subjects_that_agree_share_a_row_and_one_that_differs_does_not():
    documents = [builder.a_document(STANDARD, builder.a_subject(f"kvm{n:02}")) for n in range(19)]
    documents.append(
        builder.a_document(STANDARD, builder.a_subject("odd"), {"11.4.6": {"status": "fail", "actual": "yes"}})
    )
    page = Page(report_html.render(builder.a_run(STANDARD, documents), STANDARD))
    measure = next(found for found in page.root.find("details") if found.attributes.get("id") == "m-11-4-6")
    rows = [[cell.spoken for cell in row.find("td")][:2] for row in measure.find("tr")[1:]]
    assert rows[0] == ["Fail", "odd"], "the worst first"
    assert rows[1][0] == "Pass"
    assert rows[1][1].endswith("and 11 more")
    assert len(rows) == 2 * 3


def test_a_silent_subject_is_counted_with_each_measure_and_told_once():
    found = section(Page(report_html.render(RUNS["absent"], STANDARD)), "everything")
    assert "no route to host" not in found.text
    assert all("Unknown" in summary.spoken for summary in found.find("summary"))
    expected = [{"name": "kvm9", "platform": "kvm", "reason": "unreachable: no route to host"}]
    alone = builder.a_run(STANDARD, [], expected_subjects=expected)
    assert "no route to host" in section(Page(report_html.render(alone, STANDARD)), "everything").text


def test_two_subjects_with_one_name_are_told_apart():
    documents = [
        builder.a_document(STANDARD, builder.a_subject("kvm1", id=f"{site}/kvm1")) for site in ("north", "south")
    ]
    text = section(Page(report_html.render(builder.a_run(STANDARD, documents), STANDARD)), "answer").text
    assert "north/kvm1" in text
    assert "south/kvm1" in text


def test_twenty_hosts_that_all_differ_stay_below_a_megabyte_and_a_second():
    standard = builder.a_standard(4)
    documents = []
    for host in range(20):
        changes = {
            check: {
                "status": ("fail", "pass", "unknown")[(host + number) % 3],
                "actual": f"value {host}.{number}",
                "message": f"host {host} has its own reason for check {number}, as long as a reason usually is",
            }
            for number, check in enumerate(standard.checks)
        }
        documents.append(builder.a_document(standard, builder.a_subject(f"kvm{host:02}"), changes))
    run = builder.a_run(standard, documents)
    started = time.perf_counter()
    data = report_html.render(run, standard)
    # Generous: a shared runner is slow; 0.1 s is what two cores take.
    assert time.perf_counter() - started < 2
    assert len(data) < 1_000_000
    assert b"more different outcomes" in data
    assert len(report_html.render(fleet(20, 3)[1], STANDARD)) < 300_000
