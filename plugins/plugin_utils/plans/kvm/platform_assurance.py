# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KVM host that is a hypervisor and nothing else, and how it starts (11.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import kernel_arguments
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.platform import SERVER_TARGET

DEFAULT_TARGET = "/etc/systemd/system/default.target"
# modprobe(8) takes the options of every file, in the order of their names, and the last one counts.
MODPROBE = "/etc/modprobe.d/zz-dwp-hypervisor-{}.conf"
HEAD = "# Written by dwp.hypervisor; a later run replaces it.\n"
NESTED_PAGES = {"kvm_intel": "ept", "kvm_amd": "npt"}


def accelerated(situation: Situation) -> list[Row]:
    """kvm-11.1.1-accelerated: the host part is firmware, and another type is another machine to its guest."""
    rows = []
    if situation.facts["cpu"]["dev_kvm"] is not True:
        rows.append(
            plan.by_hand("/dev/kvm is absent: switch VT-x or AMD-V on in the firmware, then load kvm_intel or kvm_amd")
        )
    for vm in situation.facts["vms"]:
        if vm.get("type") != "kvm":
            rows.append(
                plan.by_hand(
                    f"{str(vm.get('name'))[:80]} ({vm['id']}) runs with type={vm.get('type')}: shut it down, set "
                    "type='kvm' with a processor and machine that this host offers (virsh edit, domcapabilities), "
                    "and start it"
                )
            )
    return rows


def host_minimised(situation: Situation) -> list[Row]:
    """kvm-11.1.1-host-minimised. A session that runs now is left alone: all of it holds from the next start on."""
    host = situation.facts["host"]
    rows: list[Row] = []
    if situation.gold["gold_kvm_type_position"] != "type1_minimised_host":
        rows.append(
            plan.by_hand(
                "record the position that this is a minimised Type 1 host: gold_kvm_type_position: type1_minimised_host"
            )
        )
    if host["default_target"] != SERVER_TARGET:
        rows.append(plan.link(DEFAULT_TARGET, f"/lib/systemd/system/{SERVER_TARGET}", pending="reboot"))
    if host["display_manager"]:
        rows.append(plan.unit(host["display_manager"], enabled=False, masked=True, pending="reboot"))
    if host["other_hypervisors"]:
        # `install` as well: a blacklist alone does not stop a module that something asks for by name.
        lines = [f"blacklist {name}\ninstall {name} /bin/false\n" for name in host["other_hypervisors"]]
        path = MODPROBE.format("other-hypervisors")
        rows.append(plan.file(path, HEAD + "".join(lines), pending="reboot"))
    return rows


def slat(situation: Situation) -> list[Row]:
    """kvm-11.1.2-slat."""
    module = _module(situation)
    name = NESTED_PAGES[module]
    by_argument = [
        argument
        for argument in situation.facts["boot"]["arguments"] or ()
        if argument.replace("-", "_").startswith(f"{module}.{name}=")
    ]
    if by_argument:
        return [plan.by_hand(f"take {', '.join(by_argument)} out of the kernel's arguments and restart the host")]
    return _option("nested-pages", module, f"{name}=1")


def nested_off(situation: Situation) -> list[Row]:
    """kvm-11.1.2-nested-off."""
    return _option("nested-guests", _module(situation), "nested=0")


def _module(situation: Situation) -> str:
    module = situation.facts["cpu"]["kvm_module"]
    if module not in NESTED_PAGES:
        raise Refusal("neither kvm_intel nor kvm_amd is loaded: which module to set is not known")
    return str(module)


def _option(purpose: str, module: str, option: str) -> list[Row]:
    """In force once the module is loaded again: at the next start, for guests are using it now."""
    return [plan.file(MODPROBE.format(purpose), f"{HEAD}options {module} {option}\n", pending="reboot")]


def iommu(situation: Situation) -> list[Row]:
    """kvm-11.1.2-iommu: AMD's needs no argument, so what is missing there is in the firmware."""
    firmware = plan.by_hand("switch VT-d or AMD-Vi on in the firmware, where it is off")
    if situation.facts["cpu"]["kvm_module"] != "kvm_intel":
        return [firmware]
    return [*kernel_arguments.arguments(situation, "iommu", ["intel_iommu=on"]), firmware]


def ima(situation: Situation) -> list[Row]:
    """kvm-11.1.3-ima."""
    configured = situation.facts["boot"]["arguments_configured"] or ()
    other = [argument for argument in configured if argument.startswith("ima_policy=") and argument != "ima_policy=tcb"]
    if other:
        return [
            plan.by_hand(f"{', '.join(other)} is configured and measures nothing: decide between it and ima_policy=tcb")
        ]
    return kernel_arguments.arguments(situation, "ima", ["ima_policy=tcb"])


def attestation(situation: Situation) -> list[Row]:
    """kvm-11.1.3-attestation: the agent's registration belongs to the verifier, which is not on this host."""
    agent = situation.facts["boot"]["attestation_agent"]
    rows: list[Row] = []
    if not agent["active"] or not agent["enabled"]:
        rows.append(
            plan.by_hand(
                "install the keylime agent, name the verifier's registrar in /etc/keylime/agent.conf, start it "
                "(systemctl enable --now keylime_agent), and register the host there (keylime_tenant -c add)"
            )
        )
    rows.append(plan.by_hand("feed the verifier's latest answer into the audit: gold_attestation_evidence"))
    return rows


PLANS: dict[str, Planner] = {
    "kvm-11.1.1-accelerated": accelerated,
    "kvm-11.1.1-host-minimised": host_minimised,
    "kvm-11.1.2-slat": slat,
    "kvm-11.1.2-iommu": iommu,
    "kvm-11.1.2-nested-off": nested_off,
    "kvm-11.1.3-ima": ima,
    "kvm-11.1.3-attestation": attestation,
}
