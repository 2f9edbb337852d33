// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// machineKind is one character of the inventory: what its spec asks for, and what is set once it exists.
type machineKind struct {
	name      string
	portgroup string
	off       bool
	agent     bool
	spec      func(*types.VirtualMachineConfigSpec)
	finish    func(*simulator.VirtualMachine)
}

// machineKinds: a plain VM as the wizard makes it; a hardened and encrypted one; one with nested virtualisation, more
// CPUs than a host has cores and a physical device; an old one without hardware assistance; a vCLS agent; a template.
var machineKinds = []machineKind{
	{name: "web01"},
	{name: "db01", portgroup: "dvpg-production", spec: hardenedSpec, finish: encrypt},
	{name: "lab-nested01", portgroup: "dvpg-dmz", spec: nestedSpec, finish: passThrough},
	{name: "legacy01", off: true, finish: unassisted},
	{name: "vCLS-4d1c0a52-0000-4000-8000-000000000001", agent: true, spec: agentSpec},
	{name: "tpl-debian12", off: true, finish: func(machine *simulator.VirtualMachine) {
		machine.Config.Template = true
		machine.Summary.Config.Template = true
	}},
}

func values(pairs ...string) []types.BaseOptionValue {
	var list []types.BaseOptionValue
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, &types.OptionValue{Key: pairs[i], Value: pairs[i+1]})
	}
	return list
}

func hardenedSpec(spec *types.VirtualMachineConfigSpec) {
	spec.Firmware = string(types.GuestOsDescriptorFirmwareTypeEfi)
	spec.BootOptions = &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(true)}
	spec.NumCPUs, spec.MemoryMB = 4, 16384
	spec.MigrateEncryption = string(types.VirtualMachineConfigSpecEncryptedVMotionModesRequired)
	spec.FtEncryptionMode = string(types.VirtualMachineConfigSpecEncryptedFtModesFtEncryptionRequired)
	spec.CpuAllocation = &types.ResourceAllocationInfo{
		Reservation: types.NewInt64(2000), Limit: types.NewInt64(8000), ExpandableReservation: types.NewBool(false),
		Shares: &types.SharesInfo{Level: types.SharesLevelHigh, Shares: 8000},
	}
	spec.MemoryAllocation = &types.ResourceAllocationInfo{
		Reservation: types.NewInt64(16384), Limit: types.NewInt64(16384), ExpandableReservation: types.NewBool(false),
		Shares: &types.SharesInfo{Level: types.SharesLevelHigh, Shares: 327680},
	}
	spec.MemoryReservationLockedToMax = types.NewBool(true)
	spec.ExtraConfig = values(
		"isolation.tools.copy.disable", "TRUE", "isolation.tools.paste.disable", "TRUE", "isolation.tools.dnd.disable", "TRUE",
		"isolation.device.connectable.disable", "TRUE", "RemoteDisplay.maxConnections", "1",
		"tools.guest.desktop.autolock", "TRUE", "tools.setInfo.sizeLimit", "1048576",
	)
	for _, change := range spec.DeviceChange {
		switch device := change.GetVirtualDeviceConfigSpec().Device.(type) {
		case *types.VirtualDisk:
			device.StorageIOAllocation.Limit = types.NewInt64(1000)
		case types.BaseVirtualEthernetCard:
			device.GetVirtualEthernetCard().ResourceAllocation.Limit = types.NewInt64(500)
		}
	}
}

// encrypt gives the VM a key of the native provider, for its home and its disks, and a virtual TPM.
func encrypt(machine *simulator.VirtualMachine) {
	key := &types.CryptoKeyId{KeyId: "1b4e28ba-2fa1-11d2-883f-0016d3cca427", ProviderId: &types.KeyProviderId{Id: "lab-native"}}
	machine.Config.KeyId = key
	for _, device := range machine.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			if backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
				backing.KeyId = key
			}
		}
	}
	machine.Config.Hardware.Device = append(machine.Config.Hardware.Device, &types.VirtualTPM{
		VirtualDevice: types.VirtualDevice{Key: 11000, DeviceInfo: &types.Description{Label: "Virtual TPM", Summary: "Virtual TPM"}},
	})
}

func nestedSpec(spec *types.VirtualMachineConfigSpec) {
	spec.NestedHVEnabled = types.NewBool(true)
	spec.NumCPUs, spec.MemoryMB = 40, 65536
	spec.ExtraConfig = values("isolation.tools.copy.disable", "FALSE", "isolation.tools.paste.disable", "FALSE",
		"ethernet0.filter1.name", "lab-dvfilter")
	spec.MemoryAllocation = &types.ResourceAllocationInfo{
		Reservation: types.NewInt64(0), Limit: types.NewInt64(8192), ExpandableReservation: types.NewBool(false),
		Shares: &types.SharesInfo{Level: types.SharesLevelNormal, Shares: 655360},
	}
}

// passThrough adds a physical PCI device, a USB controller and a serial port.
func passThrough(machine *simulator.VirtualMachine) {
	label := func(text string) types.BaseDescription { return &types.Description{Label: text, Summary: text} }
	machine.Config.Hardware.Device = append(machine.Config.Hardware.Device,
		&types.VirtualPCIPassthrough{VirtualDevice: types.VirtualDevice{
			Key: 13000, DeviceInfo: label("PCI device 0"), Backing: &types.VirtualPCIPassthroughDeviceBackingInfo{
				VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "0000:31:00.0"},
				Id:                             "0000:31:00.0", DeviceId: "1572", SystemId: "lab", VendorId: -32634,
			},
		}},
		&types.VirtualUSBXHCIController{VirtualController: types.VirtualController{
			VirtualDevice: types.VirtualDevice{Key: 14000, DeviceInfo: label("USB xHCI controller")},
		}},
		&types.VirtualSerialPort{VirtualDevice: types.VirtualDevice{
			Key: 9000, DeviceInfo: label("Serial port 1"), Backing: &types.VirtualSerialPortURIBackingInfo{
				VirtualDeviceURIBackingInfo: types.VirtualDeviceURIBackingInfo{ServiceURI: "telnet://:23", Direction: "server"},
			},
		}},
	)
}

// unassisted runs without the CPU's help, as only very old guests need to.
func unassisted(machine *simulator.VirtualMachine) {
	machine.Config.Flags.VirtualExecUsage = string(types.VirtualMachineFlagInfoVirtualExecUsageHvOff)
	machine.Config.Flags.VirtualMmuUsage = string(types.VirtualMachineFlagInfoVirtualMmuUsageOff)
	machine.Config.MigrateEncryption = string(types.VirtualMachineConfigSpecEncryptedVMotionModesDisabled)
}

// agentSpec is a VM of the vSphere Cluster Services, by the marks that vCenter gives it.
func agentSpec(spec *types.VirtualMachineConfigSpec) {
	spec.NumCPUs, spec.MemoryMB = 1, 128
	spec.GuestId = string(types.VirtualMachineGuestOsIdentifierOther3xLinux64Guest)
	spec.Annotation = "vSphere Cluster Service VM is deployed from an OVA with a minimal installed profile of PhotonOS."
	spec.ManagedBy = &types.ManagedByInfo{ExtensionKey: "com.vmware.vim.eam", Type: "cluster-agent"}
	spec.ExtraConfig = values("HDCS.agent", "TRUE", "eam.agent.ovfPackageUrl", "https://vcenter.lab.example/vcls")
}
