# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a platform: what it is, how it starts and is kept (11.1, 11.2.1, 11.2.6, 11.3, 11.4.7, 11.4.8)."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    HOST,
    MACHINE,
    Break,
    Place,
    Step,
    deny,
    deny_machine,
    deny_path,
    document,
    esxcli,
    options,
    refuse,
    restart,
    state,
)

CLUSTERS = "/api/esx/settings/clusters/"


def _registers(vmx: str) -> list[dict[str, Any]]:
    """The processor's feature registers; VMX is bit 5 of ecx of level 1."""
    return [{"level": 1, "ecx": f"0111:0111:1111:1110:1111:1011:11{vmx}1:1111"}]


def _accept(level: str) -> Step:
    return lambda place: place.host.configManager.imageConfigManager.UpdateHostImageAcceptanceLevel(
        newAcceptanceLevel=level
    )


def _community_package(place: Place) -> None:
    place.target.control("POST", "packages", {"host": HOST, "name": "net-tulip", "level": "community"})


def _cluster_says(path: str, value: Any) -> Step:
    """What the Automation API says of the cluster."""

    def step(place: Place) -> None:
        (cluster,) = place.admin.all(vim.ClusterComputeResource)
        document(f"{CLUSTERS}{cluster._moId}/{path}", value)(place)

    return step


BREAKS = [
    Break(
        "vsphere-11.1.1-product",
        {
            "fail": [state("config.product.version", "6.7.0")],
            "pass": [state("config.product.version", "8.0.3")],
            "unknown": [deny("config.product")],
        },
        "older than",
    ),
    Break(
        "vsphere-11.1.1-bare-metal",
        {
            "fail": [state("hardware.systemInfo.vendor", "VMware, Inc.")],
            "pass": [state("hardware.systemInfo.vendor", "Dell Inc.")],
            "unknown": [deny("hardware.systemInfo.vendor")],
        },
        "VMware, Inc.",
    ),
    Break(
        "vsphere-11.1.2-cpu-ext",
        {
            "fail": [state("hardware.cpuFeature", _registers("0"))],
            "pass": [state("hardware.cpuFeature", _registers("1"))],
            "unknown": [deny("hardware.cpuFeature")],
        },
        "expected True",
    ),
    Break(
        "vsphere-11.1.2-vm-monitor",
        {
            "fail": [state("config.flags.virtualExecUsage", "hvOff", MACHINE)],
            "pass": [state("config.flags.virtualExecUsage", "hvAuto", MACHINE)],
            "unknown": [deny_machine("config.flags.virtualExecUsage")],
        },
        "virtualised in software",
    ),
    Break(
        "vsphere-11.1.2-vm-monitor",
        {
            "fail": [state("capability.cpuHwMmuSupported", False)],
            "pass": [state("capability.cpuHwMmuSupported", True)],
            "unknown": [state("capability.cpuHwMmuSupported", None)],
        },
        "cannot virtualise memory",
    ),
    Break(
        "vsphere-11.1.2-iommu",
        {
            "fail": [options(VMkernel__Boot__noIOMMU=True), restart],
            "pass": [options(VMkernel__Boot__noIOMMU=False), restart],
            "unknown": [refuse("ExecuteSoap")],
        },
        "noIOMMU is True",
    ),
    Break(
        "vsphere-11.1.2-iommu",
        {
            "pass": [],
            "fail": [options(VMkernel__Boot__noIOMMU=True)],
            "unknown": [deny("config.option")],
        },
        "not after a restart",
    ),
    Break(
        "vsphere-11.1.2-nested-off",
        {
            "fail": [state("config.nestedHVEnabled", True, MACHINE)],
            "pass": [state("config.nestedHVEnabled", False, MACHINE)],
            "unknown": [deny_machine("config.nestedHVEnabled")],
        },
        "a hypervisor of its own",
    ),
    Break(
        "vsphere-11.1.3-tpm2",
        {
            "fail": [state("capability.tpmSupported", False)],
            "pass": [state("capability.tpmSupported", True)],
            "unknown": [deny("capability.tpmSupported")],
        },
        "TPM",
    ),
    Break(
        "vsphere-11.1.3-tpm2",
        {
            "fail": [state("capability.tpmVersion", "1.2")],
            "pass": [state("capability.tpmVersion", "2.0")],
            "unknown": [deny("capability.tpmVersion")],
        },
        "1.2",
    ),
    Break(
        "vsphere-11.1.3-secure-boot",
        {
            "fail": [state("capability.uefiSecureBoot", False)],
            "pass": [state("capability.uefiSecureBoot", True)],
            "unknown": [deny("capability.uefiSecureBoot")],
        },
        "expected True",
    ),
    Break(
        "vsphere-11.1.3-attestation",
        {
            "fail": [state("summary.tpmAttestation.status", "notAccepted")],
            "pass": [state("summary.tpmAttestation.status", "accepted")],
            "unknown": [deny("summary.tpmAttestation")],
        },
        "vCenter says notAccepted",
    ),
    Break(
        "vsphere-11.1.3-attestation",
        {
            "pass": [],
            "fail": [restart],
            "unknown": [deny("runtime.bootTime")],
        },
        "older than the host's last start",
    ),
    Break(
        "vsphere-11.1.3-config-sealed",
        {
            "fail": [state("runtime.stateEncryption.protectionMode", "none")],
            "pass": [state("runtime.stateEncryption.protectionMode", "tpm")],
            "unknown": [deny("runtime.stateEncryption"), refuse("ExecuteSoap")],
        },
        "expected tpm",
    ),
    Break(
        "vsphere-11.1.3-sb-enforced",
        {
            "fail": [],
            "pass": [esxcli("system.settings.encryption.set", requiresecureboot="true")],
            "unknown": [deny("runtime.stateEncryption"), refuse("ExecuteSoap")],
        },
        "expected True",
    ),
    Break(
        "vsphere-11.2.1-acceptance",
        {
            "fail": [_accept("community")],
            "pass": [_accept("partner")],
            "unknown": [refuse("HostImageConfigGetAcceptance")],
        },
        "community",
    ),
    Break(
        "vsphere-11.2.1-vibs",
        {"pass": [], "fail": [_community_package], "unknown": [refuse("fetchSoftwarePackages")]},
        "net-tulip",
    ),
    Break(
        "vsphere-11.2.1-exec-boot",
        {
            "fail": [],
            "pass": [options(VMkernel__Boot__execInstalledOnly=True), restart],
            "unknown": [refuse("ExecuteSoap")],
        },
        "expected True",
    ),
    Break(
        "vsphere-11.2.1-exec-boot",
        {
            "fail": [options(VMkernel__Boot__execInstalledOnly=True)],
            "pass": [restart],
            "unknown": [deny("config.option")],
        },
        "waits for a restart",
    ),
    Break(
        "vsphere-11.2.1-exec-runtime",
        {
            "fail": [options(User__execInstalledOnly=0)],
            "pass": [options(User__execInstalledOnly=1)],
            "unknown": [deny("config.option")],
        },
        "User.execInstalledOnly",
    ),
    Break(
        "vsphere-11.2.1-vmx-domain",
        {
            "fail": [esxcli("system.secpolicy.domain.set", name="regularVMDom", level="warning")],
            "pass": [esxcli("system.secpolicy.domain.set", name="regularVMDom", level="enforcing")],
            "unknown": [refuse("ExecuteSoap")],
        },
        "warning",
    ),
    Break(
        "vsphere-11.2.6-host-drivers",
        {"fail": [], "unknown": [deny("config.network.pnic")]},
        "runs in kernel mode",
        never={"pass": "whoever answers the audit does so through an adapter whose driver is in the VMkernel"},
    ),
    Break(
        "vsphere-11.2.6-native-limit",
        {"unknown": [refuse("QueryModules")]},
        never={
            "pass": "esxcli tells the package of one module at a time, which an audit does not ask",
            "fail": "esxcli tells the package of one module at a time, which an audit does not ask",
        },
    ),
    Break(
        "vsphere-11.3.2-capability",
        {
            "fail": [state("capability.cpuMemoryResourceConfigurationSupported", False)],
            "pass": [state("capability.cpuMemoryResourceConfigurationSupported", True)],
            "unknown": [deny("capability.cpuMemoryResourceConfigurationSupported")],
        },
        "expected True",
    ),
    Break(
        "vsphere-11.3.4-capability",
        {
            "fail": [state("capability.cpuMemoryResourceConfigurationSupported", False)],
            "pass": [state("capability.cpuMemoryResourceConfigurationSupported", True)],
            "unknown": [deny("capability.cpuMemoryResourceConfigurationSupported")],
        },
        "expected True",
    ),
    Break(
        "vsphere-11.4.7-native-tool",
        {
            "fail": [],
            "pass": [
                _cluster_says("enablement/configuration/transition", {"status": "ENABLED"}),
                _cluster_says("configuration/reports/last-compliance-result", {"cluster_status": "COMPLIANT"}),
            ],
            "unknown": [deny_path(CLUSTERS)],
        },
        "has no configuration profile",
    ),
    Break(
        "vsphere-11.4.7-native-tool",
        {
            "fail": [
                _cluster_says("enablement/configuration/transition", {"status": "ENABLED"}),
                _cluster_says("configuration/reports/last-compliance-result", {"cluster_status": "NON_COMPLIANT"}),
            ],
            "pass": [_cluster_says("configuration/reports/last-compliance-result", {"cluster_status": "COMPLIANT"})],
            "unknown": [_cluster_says("configuration/reports/last-compliance-result", ["no object"])],
        },
        "is not as its profile says",
    ),
    Break(
        "vsphere-11.4.8-build",
        {
            "fail": [state("config.product.build", "23000000")],
            "pass": [state("config.product.build", "24500000")],
            "unknown": [deny("config.product")],
        },
        "is older than 24000000",
        {"gold_vsphere_builds": {"8.0.3": 24000000}},
    ),
    Break(
        "vsphere-11.4.8-support",
        {
            "fail": [state("config.product.version", "6.7.0")],
            "pass": [state("config.product.version", "8.0.3")],
            "unknown": [deny("config.product")],
        },
        "support of esxi-6.7 ended",
        {"gold_support_dates": {"esxi-6.7": "2022-10-15", "esxi-8.0": "2999-10-11"}},
    ),
    Break(
        "vsphere-11.4.8-vlcm",
        {
            "fail": [_cluster_says("software/compliance", {"status": "NON_COMPLIANT"})],
            "pass": [_cluster_says("software/compliance", {"status": "COMPLIANT"})],
            "unknown": [deny_path(CLUSTERS)],
        },
        "differs from its image",
    ),
]
