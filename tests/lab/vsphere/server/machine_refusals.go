// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"

	"github.com/vmware/govmomi/vim25/types"
)

var (
	migrateModes = []string{"", "disabled", "opportunistic", "required"}
	ftModes      = []string{"", "ftEncryptionDisabled", "ftEncryptionOpportunistic", "ftEncryptionRequired"}
	execUsages   = []string{"", "hvAuto", "hvOn", "hvOff"}
	mmuUsages    = []string{"", "automatic", "on", "off"}
)

// maxConsoles is the most that a machine admits to its console.
const maxConsoles = 40

// refused is the fault of a reconfiguration that a server does not make; nothing of it is done then.
func (s *machineShim) refused(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	config := s.Config
	if h := s.lab.hosts[*s.Runtime.Host]; h.reachable() != nil {
		return new(types.HostNotConnected)
	}
	if spec.ChangeVersion != "" && spec.ChangeVersion != config.ChangeVersion {
		return new(types.ConcurrentAccess)
	}
	if s.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff && onlyOff(config, spec) {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: s.Runtime.PowerState,
		}
	}
	if property := wrong(config, spec); property != "" {
		return &types.InvalidArgument{InvalidProperty: "spec." + property}
	}
	for i, change := range spec.DeviceChange {
		if badDevice(change.GetVirtualDeviceConfigSpec().Device) {
			return &types.InvalidDeviceSpec{DeviceIndex: int32(i)}
		}
	}
	return nil
}

// onlyOff says whether something changes that a server takes of a machine only while it is off.
func onlyOff(config *types.VirtualMachineConfigInfo, spec *types.VirtualMachineConfigSpec) bool {
	sockets := spec.NumCoresPerSocket != nil && *spec.NumCoresPerSocket != socketSize(config)
	flags := spec.Flags != nil && (spec.Flags.VirtualExecUsage != "" || spec.Flags.VirtualMmuUsage != "")
	return spec.Firmware != "" || spec.NestedHVEnabled != nil || flags || sockets ||
		spec.NumCPUs != 0 && spec.NumCPUs != config.Hardware.NumCPU
}

// socketSize is the number of cores of a socket; a machine made without one has one.
func socketSize(config *types.VirtualMachineConfigInfo) int32 {
	if config.Hardware.NumCoresPerSocket == nil {
		return 1
	}
	return *config.Hardware.NumCoresPerSocket
}

// wrong names the first property of the spec that no server takes.
func wrong(config *types.VirtualMachineConfigInfo, spec *types.VirtualMachineConfigSpec) string {
	cpus, socket := config.Hardware.NumCPU, socketSize(config)
	if spec.NumCPUs != 0 {
		cpus = spec.NumCPUs
	}
	if spec.NumCoresPerSocket != nil {
		socket = *spec.NumCoresPerSocket
	}
	memory := int64(config.Hardware.MemoryMB)
	if spec.MemoryMB != 0 {
		memory = spec.MemoryMB
	}
	switch {
	case !slices.Contains(migrateModes, spec.MigrateEncryption):
		return "migrateEncryption"
	case !slices.Contains(ftModes, spec.FtEncryptionMode):
		return "ftEncryptionMode"
	case spec.Flags != nil && !slices.Contains(execUsages, spec.Flags.VirtualExecUsage):
		return "flags.virtualExecUsage"
	case spec.Flags != nil && !slices.Contains(mmuUsages, spec.Flags.VirtualMmuUsage):
		return "flags.virtualMmuUsage"
	case cpus < 1 || socket < 0 || socket > 0 && cpus%socket != 0:
		return "numCPUs"
	case badAllocation(config.CpuAllocation, spec.CpuAllocation, -1):
		return "cpuAllocation"
	case badAllocation(config.MemoryAllocation, spec.MemoryAllocation, memory):
		return "memoryAllocation"
	case spec.MaxMksConnections < 0 || spec.MaxMksConnections > maxConsoles:
		return "maxMksConnections"
	}
	for _, value := range spec.ExtraConfig {
		option := value.GetOptionValue()
		if _, text := option.Value.(string); option.Key == "" || !text {
			return "extraConfig"
		}
	}
	return ""
}

// badAllocation is a number below -1, a reservation above the limit or above the machine's size, or shares of no level.
func badAllocation(now, change *types.ResourceAllocationInfo, size int64) bool {
	if change == nil {
		return false
	}
	merged := merge(*now, *change)
	limit, reservation := *merged.Limit, *merged.Reservation
	if limit < -1 || reservation < 0 || limit >= 0 && reservation > limit || size >= 0 && reservation > size {
		return true
	}
	return change.Shares != nil && !slices.Contains(change.Shares.Level.Values(), change.Shares.Level)
}

// badDevice is a limit of bandwidth or operations that is none, or below what is reserved.
func badDevice(device types.BaseVirtualDevice) bool {
	bad := func(limit, reservation *int64) bool {
		return limit != nil && (*limit < -1 || *limit == 0 || *limit > 0 && reservation != nil && *reservation > *limit)
	}
	switch found := device.(type) {
	case *types.VirtualDisk:
		return found.StorageIOAllocation != nil && bad(found.StorageIOAllocation.Limit, nil)
	case types.BaseVirtualEthernetCard:
		allocation := found.GetVirtualEthernetCard().ResourceAllocation
		return allocation != nil && bad(allocation.Limit, allocation.Reservation)
	}
	return false
}
