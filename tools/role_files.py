# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the roles: the gold configuration as defaults and argument spec; README and meta of every role."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import area_roles
import yaml
from markdown_text import plain, table

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import describe
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import GoldSetting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

GENERATED_AREA = "# Generated from plugins/plugin_utils/measures and gold_settings: edit there, then run `make docs`.\n"
GENERATED = "# Generated from plugins/plugin_utils/gold_settings: edit there, then run `make docs`.\n"
OVERRIDES = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "description": [
        "Other gold settings for some subjects: a list of C({subjects: pattern, gold: {...}}).",
        "C(subjects) is a shell pattern, or a list of them, on a subject's name, id or endpoint. The last match wins.",
    ],
}


def files(standard: Standard, roles: Path) -> dict[Path, str]:
    """{path: text} of the gold role's files, of the enforcing roles' argument specs, and of every role's README."""
    spec = _gold_spec(standard)
    made = {
        Path("roles/gold/defaults/main.yml"): _gold_defaults(standard),
        Path("roles/gold/meta/argument_specs.yml"): "---\n" + GENERATED + _dump(spec),
        Path("roles/gold/meta/main.yml"): _meta(spec["argument_specs"]["main"]),
        Path("roles/gold/README.md"): _gold_readme(standard),
    }
    enforcing = area_roles.specs(standard)
    for role, found in enforcing.items():
        made[Path(f"roles/{role}/meta/argument_specs.yml")] = "---\n" + GENERATED_AREA + _dump(found)
    written = {
        path.parts[-3]: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(roles.glob("*/meta/argument_specs.yml"))
    }
    for role, found in {**written, **enforcing}.items():
        if role != "gold":
            main = found["argument_specs"]["main"]
            made[Path(f"roles/{role}/README.md")] = _readme(role, main, area_roles.what_is_set(standard, role))
            made[Path(f"roles/{role}/meta/main.yml")] = _meta(
                main, ["dwp.hypervisor.gold"] if role in enforcing else []
            )
    return made


def _areas(standard: Standard) -> dict[str, list[GoldSetting]]:
    areas: dict[str, list[GoldSetting]] = {}
    for setting in standard.gold.values():
        areas.setdefault(setting.area, []).append(setting)
    return areas


def _gold_defaults(standard: Standard) -> str:
    lines = ["---", GENERATED.rstrip()]
    for area, settings in _areas(standard).items():
        lines += ["", f"# --- {area} ---"]
        for setting in settings:
            words = f"{_words(setting.description)} Threshold from {setting.threshold_source}. {_floor(setting)}."
            lines += ["", *(f"# {line}" for line in textwrap.wrap(words, 114, break_on_hyphens=False))]
            lines.append(_dump({setting.name: setting.default}).rstrip())
    lines += ["", "# --- every area ---", "", f"# {_words(OVERRIDES['description'][0])}", "gold_overrides: []"]
    return "\n".join(lines) + "\n"


def _gold_spec(standard: Standard) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for setting in standard.gold.values():
        option: dict[str, Any] = {"type": setting.type}
        if setting.elements:
            option["elements"] = setting.elements
        if setting.choices:
            option["choices"] = list(setting.choices)
        option["default"] = setting.default
        option["description"] = [
            " ".join(setting.description.split()),
            f"Threshold from {setting.threshold_source}. {_floor(setting)}.",
        ]
        options[setting.name] = option
    options["gold_overrides"] = OVERRIDES
    return {
        "argument_specs": {
            "main": {
                "short_description": "The gold configuration of measure 11.4.7",
                "description": [
                    "Defines every desired setting once, for audit and enforcement alike. Has no tasks.",
                    "A value weaker than its floor fails the audit whatever the gold configuration says.",
                ],
                "options": options,
            }
        }
    }


def _gold_readme(standard: Standard) -> str:
    lines = [
        "# gold",
        "",
        "The gold configuration (measure 11.4.7): every desired setting, once, for audit and enforcement alike. The",
        "role has no tasks; a play lists it so that its defaults are in force, and your inventory overrides them.",
        "",
        "    - hosts: all",
        "      roles: [dwp.hypervisor.gold]",
        "",
        "Every value that differs from its default is listed in the report. A value weaker than its floor fails the",
        "audit whatever the gold configuration says; a stricter one passes.",
    ]
    for area, settings in _areas(standard).items():
        rows = [
            [
                f"`{setting.name}`",
                setting.type + (f" of {setting.elements}" if setting.elements else ""),
                f"`{setting.default}`" if setting.default not in ("", [], {}) else "empty",
                plain(_floor(setting)),
                plain(setting.threshold_source),
                plain(setting.description),
            ]
            for setting in settings
        ]
        head = ["setting", "type", "default", "floor", "threshold from", "meaning"]
        lines += ["", f"## {area}", "", *table(head, rows)]
    lines += ["", "## every area", "", f"`gold_overrides`: {' '.join(map(plain, OVERRIDES['description']))}"]
    return "\n".join(lines) + "\n"


def _readme(role: str, spec: dict[str, Any], more: list[str]) -> str:
    lines = [f"# {role}", "", plain(spec["short_description"]) + "."]
    for paragraph in spec.get("description", []):
        lines += ["", plain(paragraph)]
    lines += more
    rows = [
        [
            f"`{name}`",
            option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else ""),
            f"`{option['default']}`" if option.get("default") not in (None, "", [], {}) else _no_default(option),
            plain(" ".join(_paragraphs(option["description"]))),
        ]
        for name, option in spec.get("options", {}).items()
    ]
    if rows:
        lines += ["", *table(["variable", "type", "default", "meaning"], rows)]
    return "\n".join(lines) + "\n"


def _meta(spec: dict[str, Any], dependencies: Sequence[str] = ()) -> str:
    info = {
        "author": "dwp.hypervisor contributors",
        "description": spec["short_description"],
        "license": "GPL-3.0-or-later",
        "min_ansible_version": "2.16",
    }
    made: dict[str, Any] = {"galaxy_info": info}
    if dependencies:
        # The gold configuration's defaults reach a role through its dependencies, so that it can be used alone.
        made["dependencies"] = [{"role": name} for name in dependencies]
    return "---\n# Generated from argument_specs.yml by `make docs`.\n" + _dump(made)


def _no_default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "required"
    return "empty" if "default" in option else ""


def _paragraphs(description: str | list[str]) -> list[str]:
    return [description] if isinstance(description, str) else description


def _floor(setting: GoldSetting) -> str:
    if setting.floor is None:
        return f"No floor: {_words(setting.floor_reason).rstrip('.')}"
    return f"Floor: {describe(setting.floor)}"


def _words(text: str) -> str:
    """The text without what Markdown needs: code marks and escapes."""
    return re.sub(r"\\([*_\[\]])", r"\1", plain(text).replace("`", ""))


def _dump(data: Any) -> str:
    return yaml.dump(data, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False)


class _Indented(yaml.SafeDumper):
    """Lists are indented below their key, as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
