// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

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
	delay := s.lab.faults.taskDelay(s.lab.hostName(*s.Runtime.Host))
	task := simulator.CreateTask(s.VirtualMachine, "ReconfigVMTask", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		time.Sleep(delay)
		if fault := s.refused(&req.Spec); fault != nil {
			return nil, fault
		}
		return nil, s.change(ctx, req)
	})
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task.Run(ctx)}}
}

// change has vcsim do the rest in a task of its own, inside that of the caller.
func (s *machineShim) change(ctx *simulator.Context, req *types.ReconfigVM_Task) types.BaseMethodFault {
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
	if spec.MaxMksConnections != 0 {
		config.MaxMksConnections = spec.MaxMksConnections
	}
	body := s.VirtualMachine.ReconfigVMTask(ctx, &types.ReconfigVM_Task{This: req.This, Spec: spec})
	inner := ctx.Map.Get(body.(*methods.ReconfigVM_TaskBody).Res.Returnval).(*simulator.Task)
	inner.Wait()
	ctx.Map.Remove(ctx, inner.Self)
	if inner.Info.Error != nil {
		return inner.Info.Error.Fault
	}
	consoleOptions(config, spec.ExtraConfig)
	weigh(config)
	return nil
}

// consoleOptions takes over advanced settings that have a field of their own in the configuration.
func consoleOptions(config *types.VirtualMachineConfigInfo, options []types.BaseOptionValue) {
	for _, found := range options {
		option := found.GetOptionValue()
		text := fmt.Sprint(option.Value)
		switch option.Key {
		case "RemoteDisplay.maxConnections":
			if number, err := strconv.Atoi(text); err == nil {
				config.MaxMksConnections = int32(number)
			}
		case "tools.guest.desktop.autolock":
			config.GuestAutoLockEnabled = types.NewBool(strings.EqualFold(text, "TRUE"))
		}
	}
}

// weigh gives the shares of each level their number, which depends on the size of the machine.
func weigh(config *types.VirtualMachineConfigInfo) {
	of := func(allocation *types.ResourceAllocationInfo, normal int32) {
		switch allocation.Shares.Level {
		case types.SharesLevelLow:
			allocation.Shares.Shares = normal / 2
		case types.SharesLevelNormal:
			allocation.Shares.Shares = normal
		case types.SharesLevelHigh:
			allocation.Shares.Shares = normal * 2
		}
	}
	of(config.CpuAllocation, 1000*config.Hardware.NumCPU)
	of(config.MemoryAllocation, 10*config.Hardware.MemoryMB)
}
