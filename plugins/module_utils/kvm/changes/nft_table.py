# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about one nftables table of our own: the file that holds it, the table as it runs, the unit that loads it.

The table is made of sections, each below a comment in the file. What runs is compared with the file by loading the
file in a network namespace of its own and asking nft for both: a rule nft only spells differently is no difference.
"""

from __future__ import annotations

import json
import os
import re

HEAD = """\
#!/usr/sbin/nft -f
# Written by dwp.hypervisor: by hand nothing stays here. Only this table is loaded, every other one is left alone.
table inet {name}
delete table inet {name}
table inet {name} {{
"""
MARK = "  # section %s\n"
_SECTION = re.compile(r"^  # section (\w+)\n(.*?)(?=^  # section |^\}$)", re.MULTILINE | re.DOTALL)
SCRATCH = ["unshare", "--net", "sh", "-c", 'nft -f - && exec nft -j list table inet "$1"', "sh"]


def nft_table(row, world):
    """Sections of the table; returns {section: [before, after]}."""
    name, draft = row["name"], world.draft(row["path"])
    before = sections_of(draft.text)
    kept = dict(before)
    kept.update(row["sections"])
    text = text_of(name, kept)
    wanted = objects(world.succeed(SCRATCH + [name], text)) if text else {}
    live = running(name, world)
    changed = {}
    for section, body in sorted(row["sections"].items()):
        now, then = _part(live, section), _part(wanted, section)
        if now != then or before.get(section) != body:
            old, new = _words(before.get(section), now), _words(body, then)
            changed["nftables %s: %s" % (name, section)] = [old, new + (", other rules" if old == new else "")]
    draft.text = text
    boots = world.show(row["unit"])
    if text and (boots["UnitFileState"] != "enabled" or boots["ActiveState"] != "active"):
        changed["%s: at boot" % row["unit"]] = ["not loaded", "loaded"]
    if changed and not getattr(draft, "loads", False):
        # Several rows may be about the table; it is loaded once, as the last of them leaves it.
        draft.loads = True
        draft.validate = ["nft", "-c", "-f", "%s"]
        _load(row, world, draft, boots)
    return changed


def sections_of(text):
    """{section: text} of a file that text_of() wrote."""
    return {match.group(1): match.group(2) for match in _SECTION.finditer(text or "")}


def text_of(name, sections):
    """The file with these sections, None where there are none."""
    held = [(section, body) for section, body in sorted(sections.items()) if body is not None]
    if not held:
        return None
    return HEAD.format(name=name) + "".join(MARK % section + body for section, body in held) + "}\n"


def running(name, world):
    """The objects of the table as it runs, {} where there is none."""
    tables = json.loads(world.succeed(["nft", "-j", "list", "tables"]))["nftables"]
    if not any(entry.get("table", {}).get("name") == name and entry["table"]["family"] == "inet" for entry in tables):
        return {}
    return objects(world.succeed(["nft", "-j", "list", "table", "inet", name]))


def objects(text):
    """{(kind, name): description} of the answer of `nft -j list table`, without what packets change.

    :raises ValueError: not the answer of nft.
    """
    found = {}
    for entry in json.loads(text)["nftables"]:
        for kind, body in entry.items():
            if kind in ("metainfo", "table"):
                continue
            body = _bare({key: value for key, value in body.items() if key not in ("handle", "elem")})
            if kind == "rule":
                found.setdefault(("rules", body["chain"]), []).append(body["expr"])
            else:
                found[kind, body["name"]] = body
    return found


def _bare(value):
    if isinstance(value, dict):
        # A counter is {"packets", "bytes"} in a rule and null in what a set's elements get.
        return {key: None if key == "counter" else _bare(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_bare(entry) for entry in value]
    return value


def _part(found, section):
    """What belongs to a section: its chain, and whatever begins with its name."""
    return {key: value for key, value in found.items() if key[1] == section or key[1].startswith(section + "_")}


def _words(body, part):
    if not part:
        return "absent"
    chain = next((value for (kind, _name), value in part.items() if kind == "chain" and "hook" in value), {})
    drops = any({"drop": None} in expr for (kind, _name), rules in part.items() if kind == "rules" for expr in rules)
    rules = sum(len(value) for (kind, _name), value in part.items() if kind == "rules")
    return "%s, %d rules, %s%s" % (
        chain.get("hook", "no hook"),
        rules,
        "drops" if drops else "only observes",
        "" if body is not None else " (not in the file)",
    )


def _load(row, world, draft, boots):
    name, unit, stamp = row["name"], row["unit"], row["stamp"]
    clear = "table inet %s\ndelete table inet %s\n" % (name, name)

    def note(change):
        # -t leaves out what packets put into sets; there are no others in our table.
        saved = clear + (
            world.succeed(["nft", "-s", "-t", "list", "table", "inet", name]) if running(name, world) else ""
        )
        change.note({"op": "run", "argv": ["nft", "-f", "-"], "stdin": change.keep(saved.encode("utf-8"))})
        if not os.path.exists(stamp):
            change.note({"op": "run", "argv": ["rm", "-f", stamp], "stdin": None})

    def load():
        if draft.text is None:
            world.succeed(["nft", "-f", "-"], clear)
            return
        world.succeed(["nft", "-f", draft.path])
        with open(stamp, "w", encoding="utf-8"):
            os.utime(stamp)

    world.steps.append((note, load, ()))
    if draft.text is None:
        return
    for state, good, do, undo in (
        ("UnitFileState", "enabled", "enable", "disable"),
        ("ActiveState", "active", "start", "stop"),
    ):
        if boots[state] != good:
            world.step(
                [{"op": "run", "argv": ["systemctl", "--quiet", undo, unit], "stdin": None}],
                lambda do=do: world.succeed(["systemctl", "--quiet", do, unit]),
            )


KINDS = {"nft_table": nft_table}
