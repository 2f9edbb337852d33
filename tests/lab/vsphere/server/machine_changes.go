// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machineShim stands for a VM when it is reconfigured: vcsim takes anything at any time and forgets what a partial
// allocation, flag set or boot option leaves out.
type machineShim struct {
	*simulator.VirtualMachine

	lab *lab
}

// ReconfigVMTask checks, completes the spec from the VM's own settings, and leaves the rest to vcsim.
func (s *machineShim) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	if fault := s.refused(&req.Spec); fault != nil {
		task := simulator.CreateTask(s.VirtualMachine, "reconfigVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
			return nil, fault
		})
		return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task.Run(ctx)}}
	}
	config, spec := s.Config, req.Spec
	if spec.CpuAllocation != nil {
		merged := merge(*config.CpuAllocation, *spec.CpuAllocation)
		spec.CpuAllocation = &merged
	}
	if spec.MemoryAllocation != nil {
		merged := merge(*config.MemoryAllocation, *spec.MemoryAllocation)
		spec.MemoryAllocation = &merged
	}
	if spec.Flags != nil {
		merged := merge(config.Flags, *spec.Flags)
		spec.Flags = &merged
	}
	if spec.BootOptions != nil {
		merged := merge(*config.BootOptions, *spec.BootOptions)
		spec.BootOptions = &merged
	}
	return s.VirtualMachine.ReconfigVMTask(ctx, &types.ReconfigVM_Task{This: req.This, Spec: spec})
}

var (
	migrateModes = []string{"", "disabled", "opportunistic", "required"}
	ftModes      = []string{"", "ftEncryptionDisabled", "ftEncryptionOpportunistic", "ftEncryptionRequired"}
)

func (s *machineShim) refused(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	config := s.Config
	if h := s.lab.hosts[*s.Runtime.Host]; h.reachable() != nil {
		return new(types.HostNotConnected)
	}
	on := s.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
	switch {
	case spec.ChangeVersion != "" && spec.ChangeVersion != config.ChangeVersion:
		return new(types.ConcurrentAccess)
	case !slices.Contains(migrateModes, spec.MigrateEncryption):
		return &types.InvalidArgument{InvalidProperty: "spec.migrateEncryption"}
	case !slices.Contains(ftModes, spec.FtEncryptionMode):
		return &types.InvalidArgument{InvalidProperty: "spec.ftEncryptionMode"}
	case badAllocation(spec.CpuAllocation), badAllocation(spec.MemoryAllocation):
		return &types.InvalidArgument{InvalidProperty: "spec.reservation"}
	case on && (spec.Firmware != "" || spec.NestedHVEnabled != nil || spec.NumCPUs != 0 && spec.NumCPUs != config.Hardware.NumCPU ||
		spec.Flags != nil && (spec.Flags.VirtualExecUsage != "" || spec.Flags.VirtualMmuUsage != "")):
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: types.VirtualMachinePowerStatePoweredOn,
		}
	}
	for _, value := range spec.ExtraConfig {
		option := value.GetOptionValue()
		if _, text := option.Value.(string); option.Key == "" || !text {
			return &types.InvalidArgument{InvalidProperty: "spec.extraConfig"}
		}
	}
	return nil
}

// badAllocation is a reservation above the limit, or a number below -1.
func badAllocation(allocation *types.ResourceAllocationInfo) bool {
	if allocation == nil {
		return false
	}
	limit, reservation := int64(-1), int64(0)
	if allocation.Limit != nil {
		limit = *allocation.Limit
	}
	if allocation.Reservation != nil {
		reservation = *allocation.Reservation
	}
	return limit < -1 || reservation < 0 || limit >= 0 && reservation > limit
}
