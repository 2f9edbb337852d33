# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates are installed where the operator asked for it, and never all that waits."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import patching
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.host_side import (
    asked,
    kinds,
    situation,
)

ALLOWED = {"install_updates": True}


def update(name, hold=False):
    return {"id": name, "installed": "1", "available": "2", "hold": hold, "severity": "", "issued": ""}


def plan_for(names, facts=None, options=None, holds=()):
    waiting = [update(name) for name in names] + [update(name, hold=True) for name in holds]
    found = {
        "patch.pending": waiting,
        "patch.holds": list(holds),
        "vms": [],
        "boot.arguments_configured": [],
        **(facts or {}),
    }
    return patching.pending(situation(found, options=options or {}))


def test_by_default_they_are_listed():
    rows = plan_for(["openssl", "sudo"])
    assert kinds(rows) == ["by_hand"]
    assert "2 security updates wait: openssl 2, sudo 2" in asked(rows)
    assert "hypervisor_options: {install_updates: true}" in asked(rows)


def test_only_true_allows_it():
    assert kinds(plan_for(["openssl"], options={"install_updates": "no"})) == ["by_hand"]


def test_allowed_they_are_installed_in_batches_in_a_service_of_their_own():
    rows = plan_for([f"lib{number}" for number in range(12)], options=ALLOWED)
    assert kinds(rows) == ["activate"]
    assert rows[0]["pending"] == "maintenance"
    update_lists, first, second = (step["run"] for step in rows[0]["then"])
    assert update_lists[-2:] == ["-q", "update"]
    assert first[0] == "systemd-run"
    assert first[-11:] == ["--", *[f"lib{number}" for number in range(10)]]
    assert second[-3:] == ["--", "lib10", "lib11"]
    # Taken back, nothing is installed a second time.
    assert all(step["undo"] == ["true"] for step in rows[0]["then"])


def test_holds_are_reported_and_stay():
    rows = plan_for(["openssl"], options=ALLOWED, holds=["libvirt-daemon"])
    assert "on hold, and not installed by anything: libvirt-daemon" in asked(rows)
    assert "libvirt-daemon" not in str(rows[1]["then"])


def test_what_running_guests_hang_on_waits_for_them():
    running = {"vms": [{"active": True}]}
    rows = plan_for(["openssl", "qemu-system-x86", "libvirt0"], running, ALLOWED)
    assert "guests run on them (move the guests away first): qemu-system-x86, libvirt0" in asked(rows)
    assert "qemu" not in str(rows[-1]["then"])
    rows = plan_for(["qemu-system-x86"], running, ALLOWED)
    assert kinds(rows) == ["by_hand"]
    rows = plan_for(["qemu-system-x86"], {}, ALLOWED)
    assert kinds(rows) == ["activate"]


def test_no_new_kernel_while_driver_signatures_wait_for_the_restart():
    waits = {"boot.arguments_configured": ["module.sig_enforce=1"], "boot.module_sig_enforce": False}
    rows = plan_for(["linux-image-amd64"], waits, ALLOWED)
    assert "driver signatures wait to be enforced (restart the host first): linux-image-amd64" in asked(rows)
    assert kinds(rows) == ["by_hand"]
    assert kinds(plan_for(["linux-image-amd64"], {**waits, "boot.module_sig_enforce": True}, ALLOWED)) == ["activate"]


def test_rhel_by_dnf_without_what_guests_hang_on():
    facts = {"host.family": "rhel", "vms": [{"active": True}]}
    step = plan_for(["RHSA-2026:1"], facts, ALLOWED)[-1]["then"][0]["run"]
    assert step[step.index("dnf") :][:5] == ["dnf", "-q", "-y", "upgrade", "--security"]
    assert "--exclude=qemu*" in step


def test_a_long_list_is_cut_and_says_so():
    assert "and 10 more" in asked(plan_for([f"lib{number}" for number in range(40)]))
