# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel is told to refuse unsigned drivers, unless a driver that is needed might be among them."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import driver_signing, kernel_arguments
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.host_side import (
    asked,
    kinds,
    situation,
)


def driver(name, **others):
    return {"name": name, "signed": True, "out_of_tree": False, "forced": False, "signer": "Debian", **others}


FACTS = {
    "drivers": [driver("virtio_net"), driver("kvm_intel")],
    "boot.tainted": 0,
    "boot.secure_boot": False,
    "boot.kernel_lockdown": "none",
    "boot.modules_loadable": True,
    "boot.arguments_configured": [],
    "patch.kernel_running": "6.1.0-1-amd64",
    "patch.kernel_newest": "6.1.0-1-amd64",
}
CFG = "/etc/default/grub.d/60-dwp-hypervisor-driver-signing.cfg"


def plan_for(facts=None, gold=None):
    return driver_signing.sig_enforce(situation({**FACTS, **(facts or {})}, gold))


def test_both_arguments_and_the_way_back():
    rows = {row["path"]: row for row in plan_for()}
    assert rows[CFG]["content"].endswith(
        'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX module.sig_enforce=1 lockdown=integrity"\n'
    )
    assert rows[kernel_arguments.WAY_BACK + "driver-signing"]["mode"] == "0755"
    for row in rows.values():
        assert row["pending"] == "reboot"
        assert row["then"] == [{"run": ["update-grub"], "undo": [], "touches": ["/boot/grub/grub.cfg"]}]


def test_the_script_of_the_way_back_is_a_shell_script():
    done = subprocess.run(
        ["sh", "-n"], input=kernel_arguments.WAY_BACK_TEXT, text=True, capture_output=True, check=False
    )
    assert done.stderr == ""


def test_secure_boot_implies_it():
    assert plan_for({"boot.secure_boot": True, "boot.kernel_lockdown": "integrity"}) == []
    # A kernel that does not lock itself down under secure boot needs the arguments all the same.
    assert len(plan_for({"boot.secure_boot": True})) == 2


def test_a_kernel_without_loadable_modules_has_nothing_to_enforce():
    assert plan_for({"boot.modules_loadable": False}) == []


def test_a_stricter_lockdown_of_the_site_stays():
    text = next(
        row for row in plan_for({"boot.arguments_configured": ["lockdown=confidentiality"]}) if row["path"] == CFG
    )
    assert "lockdown" not in text["content"]


def test_arguments_that_are_configured_wait_for_a_person():
    rows = plan_for({"boot.arguments_configured": ["module.sig_enforce=1", "lockdown=integrity"]})
    assert kinds(rows) == ["by_hand"]
    assert "restart the host" in asked(rows)
    assert rows[0]["pending"] == "reboot"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"drivers": [driver("nvidia", signed=False), driver("zfs", signer="")]},
            r"nvidia \(unsigned\), zfs \(unsigned\)",
        ),
        ({"drivers": [driver("vendor_nic", out_of_tree=True)]}, r"vendor_nic \(from outside the kernel\)"),
        ({"drivers": [driver("old", forced=True)]}, r"old \(loaded by force\)"),
        ({"boot.tainted": 8192}, "an unsigned driver that is not loaded any more"),
        ({"boot.tainted": 4096}, "a driver from outside the kernel that is not loaded any more"),
        ({"drivers": None}, "could not be read"),
        ({"boot.tainted": None}, "could not be read"),
        ({"patch.kernel_newest": "6.1.0-2-amd64"}, "6.1.0-1-amd64 runs and 6.1.0-2-amd64 is installed"),
        ({"patch.kernel_newest": None}, "could not be read"),
        ({"boot.arguments_configured": None}, "were not found"),
    ],
)
def test_what_might_not_start_again_stops_it(facts, words):
    with pytest.raises(Refusal, match=words):
        plan_for(facts)


def test_a_signed_driver_from_outside_is_accepted_by_name():
    facts = {"drivers": [driver("vendor_nic", out_of_tree=True)], "boot.tainted": 4096}
    assert plan_for(facts, {"gold_allowed_out_of_tree": ["vendor_nic"]})
    # Named or not: unsigned it would not load.
    facts["drivers"] = [driver("vendor_nic", out_of_tree=True, signed=False)]
    with pytest.raises(Refusal, match="unsigned"):
        plan_for(facts, {"gold_allowed_out_of_tree": ["vendor_nic"]})


def test_rhel_by_grubby_with_a_copy_of_the_running_kernel_s_entry():
    rows = plan_for({"host.family": "rhel"})
    assert kinds(rows) == ["activate"]
    assert rows[0]["pending"] == "reboot"
    add, copy = rows[0]["then"]
    assert add["run"] == ["grubby", "--update-kernel=ALL", "--args=module.sig_enforce=1 lockdown=integrity"]
    assert add["undo"] == ["grubby", "--update-kernel=ALL", "--remove-args=module.sig_enforce=1 lockdown=integrity"]
    assert copy["run"][-2:] == ["module.sig_enforce=1", "lockdown=integrity"]
    assert "driver-signing" in copy["undo"]


def test_the_way_back_has_entries_and_no_functions(tmp_path):
    """Debian's 10_linux may define gfxmode, and grub takes no function within a submenu."""
    written = "function gfxmode {\n\tset gfxpayload=\"${1}\"\n}\nmenuentry 'Linux' {\n\tlinux /vmlinuz\n}\n"
    (tmp_path / "10_linux").write_text(f"#!/bin/sh\ncat <<'EOF'\n{written}EOF\n")
    (tmp_path / "10_linux").chmod(0o755)
    way_back = str(tmp_path / "42_way_back_")
    text = kernel_arguments.WAY_BACK_TEXT.replace(kernel_arguments.WAY_BACK, way_back)
    text = text.replace("/etc/grub.d/", f"{tmp_path}/").replace("/etc/default", str(tmp_path))
    (tmp_path / "42_way_back_x").write_text(text)
    (tmp_path / "grub.d").mkdir()
    (tmp_path / "grub.d" / "50-site.cfg").write_text("true\n")
    told = subprocess.run(["sh", f"{way_back}x"], text=True, capture_output=True, check=True).stdout
    assert told.splitlines()[1:] == ["menuentry 'Linux' {", "\tlinux /vmlinuz", "}", "}"]


def test_rhel_entry_of_the_way_back(tmp_path):
    """The script on a directory of boot entries that is made up; rhel itself was not at hand."""
    entries = tmp_path / "entries"
    entries.mkdir()
    release = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    (entries / f"abc-{release}.conf").write_text(
        "title Red Hat (5.14)\nlinux /vmlinuz\noptions root=/dev/x module.sig_enforce=1 ro lockdown=integrity\n"
    )
    (entries / "abc-0-rescue.conf").write_text("title rescue\n")
    script = kernel_arguments.COPY_ENTRY.replace("/boot/loader/entries", str(entries))
    words = ["Way back", "driver-signing", "module.sig_enforce=1", "lockdown=integrity"]
    subprocess.run(["sh", "-ec", script, "sh", *words], check=True)
    copy = entries / f"abc-{release}-dwp-hypervisor-driver-signing.conf"
    assert copy.read_text() == f"title Way back ({release})\nlinux /vmlinuz\noptions root=/dev/x ro\n"
    undo = kernel_arguments.REMOVE_ENTRY.replace("/boot/loader/entries", str(entries))
    subprocess.run(["sh", "-c", undo, "sh", "driver-signing"], check=True)
    assert sorted(path.name for path in entries.iterdir()) == ["abc-0-rescue.conf", f"abc-{release}.conf"]
