// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// acceptanceLevels go from the strictest to the weakest.
var acceptanceLevels = []string{
	string(types.HostImageAcceptanceLevelVmware_certified),
	string(types.HostImageAcceptanceLevelVmware_accepted),
	string(types.HostImageAcceptanceLevelPartner),
	string(types.HostImageAcceptanceLevelCommunity),
}

type vib struct {
	name, vendor, level, summary string
	module                       bool
	since                        int
}

// vibs is a short image: base, a certified and an accepted driver, a partner's tools.
var vibs = []vib{
	{name: "esx-base", vendor: "VMware", level: "vmware_certified", summary: "ESXi base system"},
	{name: "esx-update", vendor: "VMware", level: "vmware_certified", summary: "ESXi update tools"},
	{name: "esx-ui", vendor: "VMware", level: "vmware_certified", summary: "VMware Host Client"},
	{name: "cpu-microcode", vendor: "VMware", level: "vmware_certified", summary: "CPU microcode updates"},
	{name: "vsan", vendor: "VMware", level: "vmware_certified", summary: "VSAN for ESXi"},
	{name: "nvme-pcie", vendor: "VMW", level: "vmware_certified", summary: "NVMe driver", module: true},
	{name: "i40en", vendor: "INT", level: "vmware_certified", summary: "Network driver for Intel X710", module: true},
	{name: "lsi-mr3", vendor: "VMW", level: "vmware_accepted", summary: "Native MegaRAID driver", module: true},
	{name: "dell-shared-perc8", vendor: "BCM", level: "partner", summary: "Broadcom storage tools"},
	{name: "esxio-combiner", vendor: "VMware", level: "vmware_certified", summary: "ESXi DPU support", since: esxi8},
}

// imageManager is HostImageConfigManager: acceptance level, profile and packages.
type imageManager struct {
	mo.HostImageConfigManager

	host     *esxHost
	level    string
	packages []types.SoftwarePackage
}

func newImageManager(host *esxHost) *imageManager {
	m := &imageManager{host: host, level: string(types.HostImageAcceptanceLevelPartner)}
	created := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, v := range vibs {
		if host.release.rank < v.since {
			continue
		}
		tags := []string{}
		if v.module {
			tags = []string{"driver", "module"}
		}
		m.packages = append(m.packages, types.SoftwarePackage{
			Name: v.name, Version: host.release.version + "-" + host.release.build, Type: "bootbank", Vendor: v.vendor,
			AcceptanceLevel: v.level, Summary: v.summary, Description: v.summary, CreationDate: &created,
			MaintenanceModeRequired: types.NewBool(true), Tag: tags, Payload: []string{v.name},
			Capability: types.SoftwarePackageCapability{
				LiveInstallAllowed: types.NewBool(false), LiveRemoveAllowed: types.NewBool(false),
				StatelessReady: types.NewBool(true), Overlay: types.NewBool(false),
			},
		})
	}
	return m
}

func (m *imageManager) HostImageConfigGetAcceptance(*types.HostImageConfigGetAcceptance) soap.HasFault {
	return &methods.HostImageConfigGetAcceptanceBody{
		Fault_: m.host.reachable(), Res: &types.HostImageConfigGetAcceptanceResponse{Returnval: m.level},
	}
}

// UpdateHostImageAcceptanceLevel refuses a level that is stricter than an installed package's.
func (m *imageManager) UpdateHostImageAcceptanceLevel(req *types.UpdateHostImageAcceptanceLevel) soap.HasFault {
	body := &methods.UpdateHostImageAcceptanceLevelBody{
		Fault_: m.host.reachable(), Res: new(types.UpdateHostImageAcceptanceLevelResponse),
	}
	rank := slices.Index(acceptanceLevels, req.NewAcceptanceLevel)
	switch {
	case body.Fault_ != nil:
	case rank < 0:
		body.Fault_ = invalidArgument("newAcceptanceLevel")
	case slices.ContainsFunc(m.packages, func(p types.SoftwarePackage) bool {
		return slices.Index(acceptanceLevels, p.AcceptanceLevel) > rank
	}):
		body.Fault_ = simulator.Fault("Unable to set acceptance level: an installed VIB has a lower one.",
			new(types.HostConfigFault))
	default:
		m.level = req.NewAcceptanceLevel
	}
	return body
}

func (m *imageManager) FetchSoftwarePackages(*types.FetchSoftwarePackages) soap.HasFault {
	return &methods.FetchSoftwarePackagesBody{
		Fault_: m.host.reachable(), Res: &types.FetchSoftwarePackagesResponse{Returnval: m.packages},
	}
}

func (m *imageManager) HostImageConfigGetProfile(*types.HostImageConfigGetProfile) soap.HasFault {
	return &methods.HostImageConfigGetProfileBody{
		Fault_: m.host.reachable(), Res: &types.HostImageConfigGetProfileResponse{Returnval: types.HostImageProfileSummary{
			Name: "ESXi-" + m.host.release.version + "-" + m.host.release.build + "-standard", Vendor: "VMware, Inc.",
		}},
	}
}

func (m *imageManager) InstallDate(*types.InstallDate) soap.HasFault {
	return &methods.InstallDateBody{
		Fault_: m.host.reachable(),
		Res:    &types.InstallDateResponse{Returnval: time.Date(2024, 6, 3, 9, 0, 0, 0, time.UTC)},
	}
}

// kernelModules is HostKernelModuleSystem.
type kernelModules struct {
	mo.HostKernelModuleSystem

	host    *esxHost
	modules []types.KernelModuleInfo
}

func newKernelModules(host *esxHost) *kernelModules {
	m := &kernelModules{host: host}
	for i, name := range []string{"vmkernel", "chardevs", "user", "vmkapi_v2_11_0_0_vmkernel_shim", "nvme_pcie", "i40en", "lsi_mr3"} {
		m.modules = append(m.modules, types.KernelModuleInfo{
			Id: int32(i), Name: name, Version: "Version 1.0, Build " + host.release.build,
			Filename: "/usr/lib/vmware/vmkmod/" + name, Loaded: true, Enabled: true, UseCount: 1,
		})
	}
	return m
}

func (m *kernelModules) QueryModules(*types.QueryModules) soap.HasFault {
	return &methods.QueryModulesBody{
		Fault_: m.host.reachable(), Res: &types.QueryModulesResponse{Returnval: m.modules},
	}
}

func (m *kernelModules) QueryConfiguredModuleOptionString(req *types.QueryConfiguredModuleOptionString) soap.HasFault {
	body := &methods.QueryConfiguredModuleOptionStringBody{
		Fault_: notFound(), Res: new(types.QueryConfiguredModuleOptionStringResponse),
	}
	for _, module := range m.modules {
		if module.Name == req.Name {
			body.Fault_, body.Res.Returnval = nil, module.OptionString
		}
	}
	return body
}
