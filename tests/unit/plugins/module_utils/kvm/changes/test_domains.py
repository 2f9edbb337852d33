# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about virtual machines, with a virsh that is made up."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import domains, engine
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan

UUID = "11111111-1111-4111-8111-111111111111"
XML = "<domain><name>web</name><vcpu>8</vcpu><devices><graphics passwd='tops3cret'/></devices></domain>"


class Libvirt:
    """One machine: its definition, and what virsh answers about it."""

    def __init__(self, xml=XML):
        self.xml, self.persistent, self.broken, self.calls, self.state = xml, "yes", "", [], "running"
        self.tune = "vcpu_quota     : -1\n"

    def __call__(self, argv, stdin=""):
        assert argv[:4] == ["virsh", "-q", "-c", "qemu:///system"]
        command = argv[4]
        self.calls.append(command)
        if command == "domxml-to-native" and self.broken and self.broken in stdin:
            raise engine.ChangeError("virsh ended with 1: error: %s near tops3cret" % self.broken)
        if command == "define":
            assert argv[5:] == ["--validate", "/dev/stdin"]
            self.xml = stdin
        answers = {"dominfo": "Persistent:     %s\n" % self.persistent, "dumpxml": self.xml, "domstate": self.state}
        answers["schedinfo"] = answers["domiftune"] = self.tune
        return answers.get(command, "")


class Change:
    """A change that keeps its saved files in a directory of the test."""

    def __init__(self, path):
        self.path, self.entries = str(path), []
        (path / "saved").mkdir()

    def keep(self, data):
        name = str(len(list(self._saved().iterdir())) + 1)
        (self._saved() / name).write_bytes(data)
        return name

    def _saved(self):
        return pathlib.Path(self.path) / "saved"

    def note(self, entry):
        self.entries.append(entry)


@pytest.fixture
def libvirt(monkeypatch):
    made = Libvirt()
    monkeypatch.setattr(engine.World, "succeed", staticmethod(made))
    monkeypatch.setattr(domains.shutil, "which", lambda _name: None)
    return made


def vcpu(count):
    return plan.domain(UUID, [plan.domain_set("vcpu", text=str(count))], pending="vm_power")


def carry_out(world, change):
    for note, do, _files in world.steps:
        note(change)
        do()


def test_several_rows_end_in_one_definition(libvirt, tmp_path):
    world = engine.World()
    assert domains.domain(vcpu(3), world) == {"web: vcpu": ["8", "3"]}
    row = plan.domain(UUID, [plan.domain_set("cputune/quota", text="50000")])
    assert domains.domain(row, world) == {"web: cputune/quota": [None, "50000"]}
    assert "define" not in libvirt.calls and libvirt.xml == XML
    change = Change(tmp_path)
    carry_out(world, change)
    assert libvirt.calls.count("define") == 1
    assert list(world.machines) == [UUID]
    assert "<vcpu>3</vcpu>" in libvirt.xml and "<quota>50000</quota>" in libvirt.xml and "tops3cret" in libvirt.xml
    (entry,) = change.entries
    assert (tmp_path / "saved" / entry["stdin"]).read_text() == XML
    assert "tops3cret" not in str(entry["argv"])


def test_second_run_finds_nothing_to_do(libvirt):
    world = engine.World()
    assert domains.domain(vcpu(8), world) == {}
    assert world.steps == [] and "domxml-to-native" not in libvirt.calls


def test_a_definition_that_could_not_start_is_refused_without_its_password(libvirt):
    libvirt.broken = "<vcpu>3</vcpu>"
    with pytest.raises(ValueError, match=r"web could not start with the new definition: .*\(not shown\)"):
        domains.domain(vcpu(3), engine.World())


def test_what_was_broken_before_is_not_blamed_on_the_change(libvirt):
    libvirt.broken = "<name>"
    assert domains.domain(vcpu(3), engine.World())


def test_a_machine_without_a_definition_is_not_given_one(libvirt):
    libvirt.persistent = "no"
    with pytest.raises(ValueError, match="no stored definition"):
        domains.domain(vcpu(3), engine.World())


def test_somebody_else_was_faster(libvirt, tmp_path):
    world = engine.World()
    domains.domain(vcpu(3), world)
    libvirt.xml = XML.replace("8", "6")
    with pytest.raises(ValueError, match="by somebody else"):
        carry_out(world, Change(tmp_path))
    assert "define" not in libvirt.calls


@pytest.mark.parametrize(
    ("now", "left", "outcome"),
    [
        ("after", "after", "defined"),
        ("before", "after", "nothing"),
        ("foreign", "after", "left"),
        ("", "after", "left"),
        ("half", "", "defined"),
    ],
)
def test_undo_redefines_unless_somebody_changed_it_since(tmp_path, now, left, outcome):
    """The script itself, with a virsh on the PATH that prints `now` and records what it is told to define."""
    virsh = tmp_path / "virsh"
    virsh.write_text('#!/bin/sh\ncase "$*" in *dumpxml*) printf %%s "%s";; *) cat > %s/got;; esac\n' % (now, tmp_path))
    virsh.chmod(0o755)
    mark = tmp_path / "left"
    mark.write_text(domains._digest(left) if left else "")
    argv = ["/bin/sh", "-c", domains.UNDO, "sh", "qemu:///system", UUID, str(mark), domains._digest("before")]
    environment = {"PATH": "%s:/usr/bin:/bin" % tmp_path}
    done = subprocess.run(argv, input=b"before", env=environment, capture_output=True, check=False)
    assert (done.returncode, (tmp_path / "got").exists()) == {
        "defined": (0, True),
        "nothing": (0, False),
        "left": (1, False),
    }[outcome]
    assert outcome != "left" or b"somebody else since" in done.stdout


def test_live_limit(libvirt, tmp_path):
    world = engine.World()
    row = plan.domain_live(UUID, "schedinfo", {"vcpu_quota": "50000"})
    assert domains.domain_live(row, world) == {UUID + ": schedinfo now": ["vcpu_quota=-1", "vcpu_quota=50000"]}
    change = Change(tmp_path)
    carry_out(world, change)
    assert change.entries[0]["argv"][-4:] == [UUID, "--live", "--set", "vcpu_quota=-1"]
    libvirt.tune = "vcpu_quota     : 50000\n"
    assert domains.domain_live(row, engine.World()) == {}


def test_live_limit_of_a_machine_that_is_off_is_nothing(libvirt):
    libvirt.state = "shut off\n"
    assert domains.domain_live(plan.domain_live(UUID, "schedinfo", {"vcpu_quota": "1000"}), engine.World()) == {}


def test_live_limit_this_libvirt_does_not_know(libvirt):
    with pytest.raises(ValueError, match="shows no quota"):
        domains.domain_live(plan.domain_live(UUID, "schedinfo", {"quota": "1"}), engine.World())


def test_live_bandwidth_keeps_the_other_direction():
    shown = {"inbound.average": "5", "inbound.peak": "7", "inbound.burst": "0", "inbound.floor": "0"}
    assert domains._options("domiftune", shown, {"outbound.average": "9"}) == [
        "--inbound",
        "5,7,0",
        "--outbound",
        "9,0,0",
    ]
