# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of a KVM host refuses drivers without a signature (11.2.1).

A driver that is refused at the next start may be the network card's. So whatever is not clearly signed and in the tree
stops the change before it begins, and the boot loader keeps entries without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import kernel_arguments
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.drivers import (
    FORCED_LOAD,
    OUT_OF_TREE,
    UNSIGNED,
)

PURPOSE = "driver-signing"
SIG_ENFORCE = "module.sig_enforce=1"
LOCKDOWN = ("lockdown=integrity", "lockdown=confidentiality")
LOCKED_DOWN = ("integrity", "confidentiality")


def sig_enforce(situation: Situation) -> list[Row]:
    """kvm-11.2.1-sig-enforce. Secure boot locks the kernel down by itself: then there is nothing to add (P13)."""
    boot = situation.facts["boot"]
    if boot["secure_boot"] is True and boot["kernel_lockdown"] in LOCKED_DOWN:
        return []
    if boot["modules_loadable"] is False:
        return []
    _refuse_unsigned(situation)
    _refuse_other_kernel(situation)
    wanted = [SIG_ENFORCE]
    if not any(argument in LOCKDOWN for argument in boot["arguments_configured"] or ()):
        wanted.append(LOCKDOWN[0])
    return kernel_arguments.arguments(situation, PURPOSE, wanted)


def _refuse_unsigned(situation: Situation) -> None:
    """:raises Refusal: naming every driver that might not load again."""
    drivers, tainted = situation.facts.get("drivers"), situation.facts["boot"]["tainted"]
    if drivers is None or tainted is None:
        raise Refusal("the loaded drivers and their signers could not be read: nobody knows what would be refused")
    allowed = situation.gold["gold_allowed_out_of_tree"]
    blocking = [f"{driver['name']} ({why})" for driver in drivers if (why := _why(driver, allowed))]
    if blocking:
        raise Refusal(
            f"{len(blocking)} loaded drivers are not signed or not the kernel's own: {', '.join(blocking)}; after the "
            "next start the kernel would refuse what is not signed. Sign them with an enrolled key (mokutil --import) "
            "or replace them; a signed one from outside the kernel is accepted once gold_allowed_out_of_tree names it"
        )
    past = [
        what for bit, what in ((UNSIGNED, "an unsigned driver"), (FORCED_LOAD, "a driver by force")) if tainted & bit
    ]
    if tainted & OUT_OF_TREE and not any(driver["out_of_tree"] for driver in drivers):
        past.append("a driver from outside the kernel")
    if past:
        raise Refusal(
            f"since its last start the kernel has loaded {' and '.join(past)} that is not loaded any more (tainted "
            f"{tainted}): dmesg names it; restart the host without it, then enforce this"
        )


def _why(driver: Mapping[str, Any], allowed: list[str]) -> str:
    if driver["forced"]:
        return "loaded by force"
    if not driver["signed"] or not driver["signer"]:
        return "unsigned"
    if driver["out_of_tree"] and driver["name"] not in allowed:
        return "from outside the kernel"
    return ""


def _refuse_other_kernel(situation: Situation) -> None:
    """Never a new kernel and driver enforcement at once: only the running kernel's drivers have been looked at.

    :raises Refusal: the next start brings another kernel.
    """
    patch = situation.facts.get("patch") or {}
    running, newest = patch.get("kernel_running"), patch.get("kernel_newest")
    if newest is None or running is None:
        raise Refusal("which kernel the next start brings could not be read (patch.kernel_newest)")
    if newest and newest != running:
        raise Refusal(
            f"the kernel {running} runs and {newest} is installed: the drivers of the new one were not seen; restart "
            "the host first, then enforce this"
        )


PLANS: dict[str, Planner] = {"kvm-11.2.1-sig-enforce": sig_enforce}
