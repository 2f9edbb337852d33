# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages for people: what assistive technology needs, nothing from outside, nothing of a target let loose."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import (
    page_frame,
    results_json,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters.html_page import Page
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters.html_sites import (
    PAGES,
    RUNS,
    SITES,
    parsed,
    some_pages,
)
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters.test_data_reports import VALIDATOR


@pytest.fixture(params=PAGES, ids=[f"{kind}-{name}" for kind, name in PAGES])
def page(request):
    return parsed(*request.param)


def test_the_runs_these_pages_are_made_of_are_what_the_schema_says():
    for run in RUNS.values():
        VALIDATOR.validate(json.loads(results_json.render(run)))


def test_the_page_says_what_it_is(page):
    root = page.root
    assert page.doctype == "DOCTYPE html"
    assert root.find("html")[0].attributes["lang"] == "en-GB"
    [title] = root.find("title")
    assert root.find("h1")[0].text in title.text
    assert "20261123T174400Z" in title.text
    assert "SS-009 v2.0" in root.find("header")[0].text
    assert "finished 23 November 2026, 17:44:00 UTC" in root.find("header")[0].text


def test_titles_tell_the_pages_of_a_site_apart():
    for site in SITES.values():
        titles = [re.search(rb"<title>(.*?)</title>", data)[1] for data in site.values()]
        assert len(set(titles)) == len(titles)


def test_headings_are_in_order(page):
    levels = [int(element.tag[1]) for element in page.root.find("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(following <= level + 1 for level, following in zip(levels, levels[1:]))


def test_ids_are_unique_and_labels_lead_somewhere(page):
    ids = [element.attributes["id"] for element in page.root if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    labels = [element.attributes["aria-labelledby"] for element in page.root if "aria-labelledby" in element.attributes]
    assert set(labels) <= set(ids)


@pytest.mark.parametrize("kind", SITES)
def test_every_link_leads_to_a_page_of_the_report(kind):
    site = SITES[kind]
    for name, data in site.items():
        text = data.decode("utf-8")
        for href in set(re.findall(r'href="([^"]*)"', text)):
            path, _hash, anchor = href.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            assert target in site, f"{name}: {href}"
            assert not anchor or f'id="{anchor}"' in site[target].decode("utf-8"), f"{name}: {href}"


def test_there_are_landmarks_and_a_way_past_the_navigation(page):
    root = page.root
    assert [len(root.find(tag)) for tag in ("header", "main", "footer", "nav")] == [1, 1, 1, 1]
    first = root.find("body")[0].find("a")[0]
    assert first.attributes == {"class": "skip", "href": "#content"}
    assert root.find("main")[0].attributes["id"] == "content"
    assert root.find("nav")[0].attributes["aria-label"]


def test_every_table_has_a_caption_and_scoped_headers(page):
    for table in page.root.find("table"):
        assert len(table.find("caption")) == 1
        assert table.find("caption")[0].text.strip()
        head, *rows = table.find("tr")
        assert {cell.attributes.get("scope") for cell in head.find("th")} == {"col"}
        assert all(cell.text.strip() for cell in head.find("th"))
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
    words = {*STATUS_WORDS.values(), *(word for word, _status in page_frame.VERDICTS.values())}
    words |= {"No", "Stale", "Disagree", "Pending", "Active", "Expiring", "Expired"}
    badges = [element for element in page.root.find("span") if "badge" in element.attributes.get("class", "").split()]
    for badge in badges:
        assert badge.spoken in words
        assert badge.spoken != badge.text.strip(), "there is an icon besides the word"


def test_nothing_comes_from_outside_and_only_the_own_script_runs(page):
    assert not page.root.find("link", "img", "iframe", "object", "embed", "form", "base")
    for element in page.root:
        assert not [name for name in element.attributes if name.startswith("on") or name in ("src", "style", "action")]
        if "href" in element.attributes:
            assert not re.match(r"[a-z]+:|/", element.attributes["href"])
    for style in page.root.find("style"):
        assert "url(" not in style.text
        assert "@import" not in style.text
    [script] = page.root.find("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    [policy] = [e for e in page.root.find("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"] == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


@pytest.mark.parametrize(("kind", "text"), builder.HOSTILE.items(), ids=builder.HOSTILE)
def test_hostile_text_is_shown_and_stays_text(kind, text):
    site = SITES["hostile"]
    data = b"".join(site.values())
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data)
    assert "\u202e" not in data.decode("utf-8")
    for name in (*some_pages("hostile"), f"report/subjects/hostile-{kind}.html"):
        root = parsed("hostile", name).root
        assert [len(root.find(tag)) for tag in ("title", "style", "script")] == [1, 2, 1]
        assert text not in root.text or len(text) < 200
    if kind in ("html", "attribute", "formula", "command", "traversal", "astral", "template", "cdata"):
        assert text[:40] in parsed("hostile", f"report/subjects/hostile-{kind}.html").root.text


def test_the_marking_is_on_top_at_the_bottom_and_on_every_printed_page():
    for name, data in SITES["everything"].items():
        page = Page(data)
        marked = [element for element in page.root if element.attributes.get("class") == "marking"]
        assert [element.text for element in marked] == ["OFFICIAL-SENSITIVE"] * 2, name
        assert [element.parent.tag for element in marked] == ["header", "footer"]
        printed = next(element for element in page.root.find("style") if element.attributes.get("media") == "print")
        assert printed.text.count("OFFICIAL-SENSITIVE") == 2


def test_a_marking_cannot_end_the_style_sheet():
    css = page_frame.css_string('</style>"} * { display: none } /* \\')
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


def test_text_stands_out_from_its_background_in_light_dark_and_print():
    style = parsed("empty").root.find("style")[0].text
    palettes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", found)) for found in re.findall(r":root {(.*?)}", style)]
    assert len(palettes) == 3, "light, dark and print"
    for palette in palettes:
        for ink in ("ink", "link", "fail", "unknown", "manual", "excepted", "pass", "quiet"):
            assert contrast(palette[ink], palette["back"]) >= 4.5, ink
        assert contrast(palette["ink"], palette["soft"]) >= 4.5
        assert contrast(palette["edge"], palette["back"]) >= 3, "what a control is known by"
    assert contrast("#0b0c0c", "#ffdd00") >= 4.5, "what has the focus"
