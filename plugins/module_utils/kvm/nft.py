# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`nft -j list ruleset` as a compact model: what can decide over a packet, and nothing else (libnftables-json(5)).

A table is {family: ip|ip6|inet, name, source, chains: {name: chain}, sets: {name: set}, dnat: [target]}.
A chain is {rules: [rule]}; a base chain also has hook, type, policy. A rule is a list of statements:
"accept" "drop" "reject" "return" "notrack" "mark", {jump: chain}, {goto: chain}, {match: {op, left, right}},
{vmap: {key, data}}, {free: what} (a condition the sender can meet or avoid), {opaque: what} (nobody here can judge it).
A set is {elements: [element], changes: bool, unread: reason}; a verdict map has [[element, verdict]] as its elements.
"""

from __future__ import annotations

import json

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable

FAMILIES = ("ip", "ip6", "inet")
HOOKS = ("prerouting", "input", "forward", "output")
MAX_ELEMENTS = 5000
VERDICTS = ("accept", "drop", "return", "continue", "reject")
# Statements that never decide over the packet at hand.
HARMLESS = (
    "counter", "log", "comment", "last", "ct helper", "ct timeout", "ct expectation", "flow", "secmark", "masquerade",
    "snat", "dup", "map", "reset",
)  # fmt: skip
# Conditions the sender controls by pace or by choice: some packets of a sender get either way.
FREE = ("limit", "quota", "ct count", "meter")
# Targets of xtables that change or record a packet; a rule goes on after them (iptables-extensions(8)).
XT_HARMLESS = frozenset(
    "AUDIT CHECKSUM CLASSIFY CONNSECMARK DSCP ECN HL IDLETIMER LED LOG MASQUERADE NETMAP NFLOG "
    "RATEEST SECMARK SET SNAT TCPMSS TCPOPTSTRIP TEE TOS TRACE TTL ULOG".split()
)


def parse(text):
    """Return (tables, names of tables that hold xtables expressions as (family, name)).

    :raises Unreadable: not the JSON nft writes.
    """
    try:
        entries = json.loads(text)["nftables"]
        return _tables(entries)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("nft -j list ruleset: unexpected output (%s)" % type(error).__name__)


def _tables(entries):
    tables, foreign = {}, set()
    for entry in entries:
        for kind, body in entry.items():
            if kind == "metainfo" or body["family"] not in FAMILIES:
                continue
            name = body["name"] if kind == "table" else body["table"]
            table = tables.setdefault((body["family"], name), new_table(body["family"], name, "nft"))
            if kind == "chain":
                table["chains"].setdefault(body["name"], {"rules": []}).update(_base(body))
            elif kind in ("set", "map"):
                table["sets"][body["name"]] = _set(body)
            elif kind == "rule":
                if any("xt" in statement for statement in body["expr"] if isinstance(statement, dict)):
                    foreign.add((body["family"], name))
                rule = [made for made in map(statement_of, body["expr"]) if made is not None]
                table["chains"].setdefault(body["chain"], {"rules": []})["rules"].append(rule)
    return [table for table in map(reduce_table, tables.values()) if table["chains"] or table["dnat"]], foreign


def new_table(family, name, source):
    """An empty table; source: nft, iptables-nft or iptables-legacy."""
    return {"family": family, "name": name, "source": source, "chains": {}, "sets": {}, "dnat": []}


def _set(body):
    found, changes = body.get("elem", []), "dynamic" in body.get("flags", [])
    if len(found) > MAX_ELEMENTS:
        return {"elements": [], "changes": changes, "unread": "more than %d elements" % MAX_ELEMENTS}
    return {"elements": elements(found), "changes": changes, "unread": ""}


def _base(body):
    if "hook" not in body:
        return {}
    # nft leaves the policy out where it is the default.
    return {"hook": body["hook"], "type": body.get("type", "filter"), "policy": body.get("policy", "accept")}


def statement_of(statement):
    """One statement of nft in the model's words, or None where it cannot decide over a packet."""
    if not isinstance(statement, dict) or len(statement) != 1:
        return {"opaque": str(statement)[:60]}
    kind, body = next(iter(statement.items()))
    if kind in HARMLESS or kind == "continue":
        return None
    if kind in VERDICTS or kind in ("jump", "goto"):
        return verdict_of(statement)
    if kind in FREE:
        return {"free": kind}
    if kind == "match":
        return {"match": {"op": body["op"], "left": body["left"], "right": simple(body["right"])}}
    if kind == "vmap":
        data = body["data"]
        return {"vmap": {"key": body["key"], "data": elements(data["set"]) if isinstance(data, dict) else data}}
    special = {
        "set": _set_update,
        "mangle": _mangle,
        "xt": _xt,
        "notrack": _notrack,
        "dnat": _dnat,
        "redirect": _redirect,
    }
    return special[kind](body) if kind in special else {"opaque": kind}


def verdict_of(verdict):
    """{"accept": null} -> "accept", {"jump": {"target": x}} -> {"jump": x}."""
    kind, body = next(iter(verdict.items()))
    if kind in ("jump", "goto"):
        return {kind: body["target"]}
    return kind if kind in VERDICTS else {"opaque": kind}


def elements(found):
    """The elements of a set or map without their counters, time-outs and comments."""
    return [[simple(entry[0]), verdict_of(entry[1])] if _is_pair(entry) else simple(entry) for entry in found]


def _is_pair(entry):
    return isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict)


def simple(value):
    """An element, bare."""
    if isinstance(value, dict) and "elem" in value:
        return simple(value["elem"]["val"])
    if isinstance(value, dict) and "set" in value:
        return {"set": [simple(entry) for entry in value["set"]]}
    return value


def _set_update(body):
    limited = any(kind in FREE for statement in body.get("stmt", []) for kind in statement)
    return {"updates": str(body.get("set", "")).lstrip("@"), "free": "rate of the sender" if limited else ""}


def _mangle(body):
    key = body.get("key", {})
    return "mark" if key.get("meta", {}).get("key") == "mark" or key.get("ct", {}).get("key") == "mark" else None


def _notrack(_body):
    return "notrack"


def _xt(body):
    name = str(body.get("name") if isinstance(body, dict) else body)
    if isinstance(body, dict) and body.get("type") == "target":
        if name in XT_HARMLESS:
            return None
        return {"REJECT": "reject", "MARK": "mark", "CONNMARK": "mark"}.get(name, {"opaque": "xtables target " + name})
    return {"match": {"op": "==", "left": {"xt": name}, "right": True}}


def _dnat(body):
    target = body.get("addr") if isinstance(body, dict) else None
    return {"dnat": target if isinstance(target, str) else "?"}


def _redirect(_body):
    return {"dnat": "redirect"}


def reduce_table(table):
    """Keep the base chains that see packets of the host, what they reach, and the sets these name."""
    chains = table["chains"]
    nat = [name for name, chain in chains.items() if chain.get("type") == "nat" and chain.get("hook") == "prerouting"]
    for rule in (rule for name in _reachable(table, nat) for rule in chains[name]["rules"]):
        table["dnat"] += [
            statement["dnat"] for statement in rule if isinstance(statement, dict) and "dnat" in statement
        ]
    wanted = [
        name
        for name, chain in chains.items()
        if chain.get("type") in ("filter", "route") and chain.get("hook") in HOOKS
    ]
    table["chains"] = {name: chains[name] for name in _reachable(table, wanted)}
    named = set()
    for chain in table["chains"].values():
        chain["rules"] = [_settle(rule, table["sets"], named) for rule in chain["rules"]]
    table["sets"] = {name: entry for name, entry in table["sets"].items() if name in named}
    table["dnat"] = sorted(set(table["dnat"]))
    return table


def _reachable(table, start):
    chains = table["chains"]
    seen, queue = [], list(start)
    while queue:
        name = queue.pop(0)
        if name in chains and name not in seen:
            seen.append(name)
            queue += [target for rule in chains[name]["rules"] for target in _targets(rule, table["sets"])]
    return seen


def _targets(rule, sets):
    """The chains a rule may send a packet to, also by a named verdict map."""
    for statement in rule:
        if not isinstance(statement, dict):
            continue
        for kind in ("jump", "goto"):
            if kind in statement:
                yield statement[kind]
        data = statement["vmap"]["data"] if "vmap" in statement else []
        if isinstance(data, str):
            data = sets.get(data.lstrip("@"), {"elements": []})["elements"]
        for entry in data:
            if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict):
                yield from entry[1].values()


def _settle(rule, sets, named):
    """Note which sets a rule names, and mark those that packets themselves change (nft 1.0 hides the flag)."""
    kept = []
    for statement in rule:
        named.update(_names(statement))
        if isinstance(statement, dict) and "updates" in statement:
            if statement["updates"] in sets:
                sets[statement["updates"]]["changes"] = True
            if statement["free"]:
                kept.append({"free": statement["free"]})
        else:
            kept.append(statement)
    return kept


def _names(value):
    if isinstance(value, str):
        return {value[1:]} if value.startswith("@") else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for part in parts for name in _names(part)}
