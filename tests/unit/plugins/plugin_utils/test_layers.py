# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of plugin_utils are layers: docs/development.md lists them, and each imports those above it only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[4]
UTILS = CHECKOUT / "plugins" / "plugin_utils"
PACKAGE = "ansible_collections.dwp.hypervisor.plugins.plugin_utils"
NO_CODE = {"measures", "gold_settings", "schemas", "__pycache__"}


def layers():
    """{folder: its place in the table of docs/development.md}; the top level is the first, under the empty name."""
    text = (CHECKOUT / "docs" / "development.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\(top level\)|`.+?`(?:, `.+?`)*) \|", text[: text.index("## What `make test`")], re.MULTILINE
    )
    return {
        folder: place for place, row in enumerate(rows) for folder in re.findall(r"`(\w+)/`", row) or [""]
    }  # fmt: skip


def imported(path):
    """The folders of plugin_utils that a file imports from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            below = (node.module or "")[len(PACKAGE) :].lstrip(".").split(".")[0]
            yield from (
                name if (UTILS / name).is_dir() else "" for name in ([below] if below else [a.name for a in node.names])
            )


def test_the_table_names_every_folder():
    assert set(layers()) == {path.name for path in UTILS.iterdir() if path.is_dir()} - NO_CODE | {""}


def test_no_folder_imports_one_below_it():
    place = layers()
    for path in UTILS.rglob("*.py"):
        folder = path.relative_to(UTILS).parts[0] if path.parent != UTILS else ""
        wrong = {found for found in imported(path) if found != folder and place[found] >= place[folder]}
        assert not wrong, f"{path.relative_to(UTILS)} imports {', '.join(sorted(wrong))}"
