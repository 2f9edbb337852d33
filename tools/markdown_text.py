# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from the data files as Markdown."""

from __future__ import annotations

import re


def plain(text: object) -> str:
    """One line of Markdown that shows text as it is: Ansible's V(x) as code, no tag and no emphasis by accident."""
    line = " ".join(str(text).split())
    line = re.sub(r"\b[VOCIB]\(([^()]*)\)", r"`\1`", line)
    parts = line.split("`")
    if len(parts) % 2 == 0:  # a lone backtick opens no code
        parts = [line.replace("`", "'")]
    return "`".join(part if index % 2 else _escape(part) for index, part in enumerate(parts))


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _escape(text: str) -> str:
    return re.sub(r"([*_\[\]])", r"\\\1", text.replace("<", "&lt;").replace(">", "&gt;"))
