# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about our own table and about networks of libvirt, against a host that answers like nft, systemd and virsh."""

from __future__ import annotations

import json

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import libvirt_network, nft_table
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.files import Draft

NAME = "dwp_hypervisor"
BODY = "  chain input {\n    type filter hook input priority 10; policy drop;\n    counter drop\n  }\n"


def listing(policy="drop", packets=0, seen=(), extra=()):
    table = {"family": "inet", "table": NAME}
    drop = [{"counter": {"packets": packets, "bytes": packets}}, {"drop": None}]
    return json.dumps({"nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": NAME, "handle": packets}},
        {"set": {**table, "name": "input_ip_ports", "type": "ipv4_addr", "handle": 1, "elem": list(seen)}},
        {"chain": {**table, "name": "input", "handle": 2, "hook": "input", "type": "filter", "policy": policy}},
        {"rule": {**table, "chain": "input", "handle": 3, "expr": drop}},
        *extra,
    ]})  # fmt: skip


class World:
    """The parts of engine.World that these kinds use; commands: {first words: answer}."""

    def __init__(self, **answers):
        self.answers = answers
        self.ran, self.steps, self.drafts = [], [], {}
        self.unit = {"UnitFileState": "enabled", "ActiveState": "active", "LoadState": "loaded"}

    def draft(self, path):
        return self.drafts.setdefault(path, Draft(path))

    def show(self, _name):
        return self.unit

    def step(self, entries, do):
        self.steps.append((lambda change: [change.note(entry) for entry in entries], do, ()))

    def succeed(self, argv, stdin=""):
        self.ran.append((list(argv), stdin))
        return next((text for words, text in self.answers.items() if words.replace("_", " ") in " ".join(argv)), "")


class Change:
    def __init__(self):
        self.entries, self.saved = [], []

    def note(self, entry):
        self.entries.append(entry)

    def keep(self, data):
        self.saved.append(data)
        return str(len(self.saved))


def row(path, sections):
    return {"kind": "nft_table", "name": NAME, "sections": sections, "path": str(path), "unit": "ours.service",
            "stamp": str(path) + ".stamp", "then": []}  # fmt: skip


def host(tables=(NAME,), live=None, wanted=None):
    found = World()
    found.answers = {
        "unshare": wanted or listing(),
        "list tables": json.dumps({"nftables": [{"table": {"family": "inet", "name": name}} for name in tables]}),
        "nft -j list table": live or listing(),
        "nft -s -t list table": "table inet dwp_hypervisor {\n}\n",
    }
    return found


def test_a_new_table_is_loaded_once_and_starts_with_the_host(tmp_path):
    world = host(tables=())
    world.unit = {"UnitFileState": "", "ActiveState": "inactive", "LoadState": "not-found"}
    path = tmp_path / "firewall.nft"
    changed = nft_table.nft_table(row(path, {"input": BODY}), world)
    assert changed["nftables dwp_hypervisor: input"] == ["absent", "input, 1 rules, drops"]
    assert changed["ours.service: at boot"] == ["not loaded", "loaded"]
    nft_table.nft_table(row(path, {"output": "  chain output {\n  }\n"}), world)
    text = world.draft(str(path)).text
    assert text.startswith("#!/usr/sbin/nft -f\n") and "delete table inet dwp_hypervisor\n" in text
    assert "flush" not in text
    assert list(nft_table.sections_of(text)) == ["input", "output"]
    path.write_text(text)
    before = len(world.ran)
    change = Change()
    for note, do, _files in world.steps:
        note(change)
        do()
    done = [" ".join(argv) for argv, _stdin in world.ran[before:]]
    assert [words for words in done if words.startswith(("nft -f", "systemctl"))] == [
        f"nft -f {path}",
        "systemctl --quiet enable ours.service",
        "systemctl --quiet start ours.service",
    ]
    # Newest first, the way back: stop, disable, the stamp goes, the table as it was (there was none).
    assert [entry["argv"] for entry in reversed(change.entries)] == [
        ["systemctl", "--quiet", "stop", "ours.service"],
        ["systemctl", "--quiet", "disable", "ours.service"],
        ["rm", "-f", str(path) + ".stamp"],
        ["nft", "-f", "-"],
    ]
    assert change.saved == [b"table inet dwp_hypervisor\ndelete table inet dwp_hypervisor\n"]


def written(tmp_path, sections):
    path = tmp_path / "firewall.nft"
    path.write_text(nft_table.text_of(NAME, sections))
    return path


def test_what_packets_change_is_no_difference(tmp_path):
    path = written(tmp_path, {"input": BODY})
    world = host(live=listing(packets=9, seen=[{"elem": {"val": "192.0.2.7"}}]))
    assert nft_table.nft_table(row(path, {"input": BODY}), world) == {}
    assert world.steps == [] and not world.draft(str(path)).changed


@pytest.mark.parametrize(
    "live",
    [
        listing(policy="accept"),
        listing(extra=[{"rule": {"family": "inet", "table": NAME, "chain": "input", "expr": [{"accept": None}]}}]),
    ],
)
def test_a_table_somebody_changed_is_put_right(tmp_path, live):
    path = written(tmp_path, {"input": BODY})
    world = host(live=live)
    assert list(nft_table.nft_table(row(path, {"input": BODY}), world)) == ["nftables dwp_hypervisor: input"]
    change = Change()
    world.steps[0][0](change)
    # The way back loads what ran, whatever it was.
    assert change.saved[0].endswith(b"table inet dwp_hypervisor {\n}\n")


def test_a_table_that_is_gone_is_loaded_again(tmp_path):
    path = written(tmp_path, {"input": BODY})
    found = nft_table.nft_table(row(path, {"input": BODY}), host(tables=("other",)))
    assert found == {"nftables dwp_hypervisor: input": ["absent", "input, 1 rules, drops"]}


def test_other_sections_stay(tmp_path):
    path = written(tmp_path, {"input": BODY, "output": "  chain output {\n  }\n"})
    world = host()
    nft_table.nft_table(row(path, {"input": BODY.replace("10", "20")}), world)
    assert nft_table.sections_of(world.draft(str(path)).text)["output"] == "  chain output {\n  }\n"


def test_the_last_section_takes_the_table_with_it(tmp_path):
    path = written(tmp_path, {"input": BODY})
    world = host()
    assert nft_table.nft_table(row(path, {"input": None}), world)["nftables dwp_hypervisor: input"][1] == "absent"
    assert world.draft(str(path)).text is None
    for _note, do, _files in world.steps:
        do()
    assert world.ran[-1] == (["nft", "-f", "-"], "table inet dwp_hypervisor\ndelete table inet dwp_hypervisor\n")


def test_an_answer_that_is_not_nfts_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r".*"):
        nft_table.objects("no JSON")


INFO = "Name:           default\nUUID:           1\nActive:         {}\nPersistent:     yes\nAutostart:      {}\n"


def network(active, autostart, ports=""):
    found = World()
    found.answers = {
        "net-list": "default\nother\n", "net-info": INFO.format(active, autostart), "net-port-list": ports
    }  # fmt: skip
    return found


def wanted(**states):
    return {"kind": "libvirt_network", "name": "default", "autostart": None, "active": None, **states}


def test_a_network_stops_and_comes_back():
    world = network("yes", "yes")
    changed = libvirt_network.libvirt_network(wanted(autostart=False, active=False), world)
    assert changed == {
        "libvirt network default: at boot": ["starts", "does not start"],
        "libvirt network default: now": ["running", "stopped"],
    }
    change = Change()
    for note, do, _files in world.steps:
        note(change)
        do()
    done = [argv[4:] for argv, _stdin in world.ran[-2:]]
    assert done == [["net-autostart", "default", "--disable"], ["net-destroy", "default"]]
    assert [entry["argv"][4:] for entry in change.entries] == [["net-autostart", "default"], ["net-start", "default"]]


def test_a_network_in_use_is_never_stopped():
    with pytest.raises(ValueError, match="plugged into it"):
        libvirt_network.libvirt_network(wanted(active=False), network("yes", "no", "00000000-0000\n\n"))


def test_a_network_as_it_should_be_or_not_there():
    assert libvirt_network.libvirt_network(wanted(autostart=False, active=False), network("no", "no")) == {}
    assert libvirt_network.libvirt_network({**wanted(active=False), "name": "gone"}, network("yes", "yes")) == {}
