# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML from Python: what is not Html is escaped, so that a text of a target cannot be forgotten.

A template language would have to be compiled in every run, which costs an audit of one host as much as reading it; and
its escaping makes several objects a value, of which a fleet's pages have millions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS


class Html(str):
    """Text that is HTML already. Only the functions here make it."""

    __slots__ = ()


EMPTY = Html()
BR = Html("<br>")
# Shape and word carry the meaning; the icon is hidden from screen readers, the colour is only a third hint.
ICONS = {
    "pass": "✔",
    "fail": "✖",
    "unknown": "?",
    "manual": "✎",
    "excepted": "◐",
    "attested": "✔",
    "not_applicable": "–",
    "not_evaluated": "–",
}


def escaped(value: Any) -> str:
    """A value as HTML text or as the value of an attribute between double quotes."""
    if value.__class__ is Html:
        return str(value)
    text = value if isinstance(value, str) else str(value)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&#34;").replace("'", "&#39;")


def el(tag: str, *children: Any, **attributes: Any) -> Html:
    """An element. Attributes: class_ is class, data_status is data-status, None is left out."""
    opened = tag
    for name, value in attributes.items():
        if value is not None:
            opened += f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"'
    return Html(f"<{opened}>{''.join([escaped(child) for child in children])}</{tag}>")


def joined(pieces: Iterable[Any], between: str = "") -> Html:
    """Pieces one after the other."""
    return Html(escaped(between).join([escaped(piece) for piece in pieces]))


def p(*children: Any, **attributes: Any) -> Html:
    return el("p", *children, **attributes)


def link(href: str, text: Any) -> Html:
    return el("a", text, href=href)


def bdi(text: str) -> Html:
    """Text of a target that may be written from right to left."""
    return el("bdi", text)


def listed(entries: Iterable[Any]) -> Html:
    """A bulleted list; nothing where there is no entry."""
    items = [el("li", entry) for entry in entries]
    return el("ul", *items) if items else EMPTY


@lru_cache(maxsize=64)
def badge(status: str, word: str | None = None) -> Html:
    """A status as a word with an icon that is not spoken."""
    icon = el("span", ICONS[status], aria_hidden="true")
    return el("span", icon, " ", word or STATUS_WORDS[status], class_=f"badge {status}")


def note(*children: Any) -> Html:
    """A framed remark."""
    return el("div", *children, class_="note")


def section(anchor: str, title: str, *children: Any) -> Html:
    """A section with its heading, which links can lead to."""
    return el("section", el("h2", title, id=anchor, tabindex="-1"), *children, aria_labelledby=anchor)


class Row(list[Any]):
    """The cells of a table row; status: what the filter goes by. Where it stands in several tables, they have one
    head: it is made once."""

    def __init__(self, cells: Iterable[Any], status: str | None = None) -> None:
        super().__init__(cells)
        self.status = status
        self.made: str | None = None


def table(
    anchor: str, caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], *, filter_by: str | None = None
) -> Html:
    """A table in a region that scrolls by itself and can be reached by keyboard.

    head: one title per column; `Title|wide` and `Title|number` set the column's class. The first cell of a row names
    it. filter_by: what the script calls the choice it offers over the statuses of the rows.
    """
    titles = [title.partition("|") for title in head]
    classes = [kind or None for _title, _bar, kind in titles]
    cells = [el("th", title, scope="col", class_=kind) for (title, _bar, _kind), kind in zip(titles, classes)]
    opened = [f'<td class="{kind}">' if kind else "<td>" for kind in classes]
    opened[0] = f'<th scope="row" class="{classes[0]}">' if classes[0] else '<th scope="row">'
    made = el(
        "table",
        el("caption", caption, id=f"c-{anchor}"),
        el("thead", el("tr", *cells)),
        el("tbody", Html("".join([_row(row, opened) for row in rows]))),
        data_filter=filter_by,
    )
    return el("div", made, class_="scroll", role="region", tabindex="0", aria_labelledby=f"c-{anchor}")


def _row(row: Sequence[Any], opened: Sequence[str]) -> str:
    if not isinstance(row, Row):
        return _made(row, opened, None)
    if row.made is None:
        row.made = _made(row, opened, row.status)
    return row.made


def _made(row: Sequence[Any], opened: Sequence[str], status: str | None) -> str:
    first, *cells = [f"{begin}{escaped(cell)}" for begin, cell in zip(opened, row)]
    attribute = f' data-status="{escaped(status)}"' if status else ""
    return f"<tr{attribute}>{first}</th>{''.join([f'{cell}</td>' for cell in cells])}</tr>"
