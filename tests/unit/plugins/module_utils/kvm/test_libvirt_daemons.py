# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt_daemons: which daemon asks what, whether it is in force, and which sockets are there."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import libvirt_daemons as part
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

GROUP = {"/etc/group": "root:x:0:\nkvm:x:104:\nlibvirt:x:113:\n"}
STAT = "88 (libvirtd) S " + " ".join(["0"] * 18) + " 10000 0"  # 100 s after boot


def host(units, files, stats=None):
    """A host with these units installed, and systemd's answer about them."""
    wanted = [unit for unit in part.units_of_libvirt() if unit in units] or part.units_of_libvirt()
    states = {unit: {"Id": unit, **units.get(unit, {"LoadState": "not-found"})} for unit in wanted}
    blocks = ["".join(f"{key}={value}\n" for key, value in state.items()) for state in states.values()]
    command = " ".join(systemd.command(wanted))
    installed = {f"/usr/lib/systemd/system/{unit}": "" for unit in units}
    stats = {"/dev/kvm": {"mode": "0660", "gid": 104, "type": "char"}, **(stats or {})}
    return FakeHost(files={**GROUP, **installed, **files}, stats=stats, commands={command: (0, "\n".join(blocks), "")})


def service(pid=88, state="active"):
    return {"LoadState": "loaded", "ActiveState": state, "MainPID": pid}


def socket(path, triggers, state="active", mode="0666"):
    return {"LoadState": "loaded", "ActiveState": state, "UnitFileState": "enabled", "SocketMode": mode,
            "Listen": f"{path} (Stream)", "Triggers": triggers}  # fmt: skip


def monolithic(conf="", conf_mtime=0.0, argv="/usr/sbin/libvirtd\0--timeout\0120\0", mode="0666", **more):
    units = {
        "libvirtd.service": service(),
        "libvirtd.socket": socket("/run/libvirt/libvirt-sock", "libvirtd.service"),
        "libvirtd-tls.socket": socket("[::]:16514", "libvirtd.service", "inactive"),
        **more,
    }
    files = {
        "/etc/libvirt/libvirtd.conf": conf,
        "/proc/88/stat": STAT,
        "/proc/88/cmdline": argv,
        "/proc/uptime": "1000.00 1\n",
        "/usr/share/polkit-1/actions/org.libvirt.unix.policy": "",
    }
    stats = {
        "/run/libvirt/libvirt-sock": {"mode": mode, "gid": 113, "type": "socket"},
        "/etc/libvirt/libvirtd.conf": {"mtime": conf_mtime},
    }
    return collect(host(units, files, stats))


def collect(machine):
    notes = []
    facts = part.PART.collect(machine, lambda path, reason: notes.append((path, reason)))
    return facts, {daemon["name"]: daemon for daemon in facts["libvirt_daemons"]["daemons"]}, notes


def test_defaults_are_resolved():
    facts, known, notes = monolithic()
    daemon = known["libvirtd"]
    assert facts["libvirt_daemons"]["mode"] == "monolithic" and facts["rbac"]["driver"] == "none"
    assert (daemon["access_drivers"], daemon["auth_unix_rw"], daemon["audit_level"]) == ([], "polkit", 1)
    assert daemon["sockets"][0] == {
        "unit": "libvirtd.socket", "kind": "rw", "active": True, "enabled": True,
        "listen": ["/run/libvirt/libvirt-sock"],
        "unit_mode": "0666", "mode": "0666", "user": "root", "group": "libvirt",
    }  # fmt: skip
    assert facts["libvirt_daemons"]["dev_kvm"] == {"mode": "0660", "user": "root", "group": "kvm"}
    assert notes == []


def test_configured():
    conf = '# access_drivers = [ "none" ]\naccess_drivers = [ "polkit" ]\nauth_unix_rw = "none"\naudit_level = 2\n'
    facts, known, _notes = monolithic(conf)
    assert known["libvirtd"]["access_drivers"] == ["polkit"] and known["libvirtd"]["auth_unix_rw"] == "none"
    assert known["libvirtd"]["audit_level"] == 2 and facts["rbac"]["driver"] == "polkit"


@pytest.mark.parametrize(("mtime", "in_force"), [(1799999050.0, True), (1799999500.0, False)])
def test_in_force_only_when_started_after_the_change(mtime, in_force):
    facts, known, _notes = monolithic('access_drivers = [ "polkit" ]\n', conf_mtime=mtime)
    assert known["libvirtd"]["in_force"] is in_force
    assert facts["rbac"]["driver"] == ("polkit" if in_force else "none")


def test_command_line():
    known = monolithic(argv="/usr/sbin/libvirtd\0--listen\0-f\0/etc/other.conf\0")[1]
    assert known["libvirtd"]["listen_argument"] is True and known["libvirtd"]["conf"] == "/etc/other.conf"


def test_a_file_libvirt_would_refuse_is_noted():
    facts, _known, notes = monolithic("access_drivers polkit\n")
    assert facts["rbac"]["driver"] is None
    assert {path for path, _reason in notes} == {"libvirt_daemons.daemons[libvirtd]", "rbac.driver"}


def test_modular_and_masked_monolithic():
    units = {
        "libvirtd.service": {"LoadState": "masked", "ActiveState": "inactive", "MainPID": 0},
        "virtqemud.service": service(0, "inactive"),
        "virtqemud.socket": socket("/run/libvirt/virtqemud-sock", "virtqemud.service"),
        "virtnetworkd.socket": socket("/run/libvirt/virtnetworkd-sock", "virtqemud.service"),
        "virtproxyd.service": service(0, "inactive"),
        "virtproxyd-tls.socket": socket("[::]:16514", "virtproxyd.service"),
    }
    files = {"/etc/libvirt/virtqemud.conf": 'access_drivers = [ "polkit" ]\n'}
    facts, known, _notes = collect(host(units, files))
    assert facts["libvirt_daemons"]["mode"] == "modular" and facts["rbac"]["driver"] == "polkit"
    assert known["libvirtd"]["reachable"] is False and known["virtqemud"]["reachable"] is True
    # The socket of another daemon belongs to the daemon it starts.
    assert [entry["unit"] for entry in known["virtqemud"]["sockets"]] == ["virtqemud.socket", "virtnetworkd.socket"]
    assert [(entry["kind"], entry["active"]) for entry in known["virtproxyd"]["sockets"]] == [("tls", True)]


def test_a_host_without_libvirt():
    facts, known, notes = collect(host({}, {}))
    assert (facts["libvirt_daemons"]["mode"], known, facts["rbac"]["driver"], notes) == ("none", {}, "none", [])
