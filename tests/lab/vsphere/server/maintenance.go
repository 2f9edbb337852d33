// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// How long a host is away when it restarts, how long its agent of high availability takes to join the others again, and
// how often one that goes into maintenance mode looks whether its machines are gone.
const (
	awayTime = 400 * time.Millisecond
	joinTime = 300 * time.Millisecond
	lookTime = 50 * time.Millisecond
)

// long runs what takes time as a task about the host, without keeping others from reading the host meanwhile.
func (h *esxHost) long(ctx *simulator.Context, name string, run func(*simulator.Context) types.BaseMethodFault) types.ManagedObjectReference {
	own := h.lab.context()
	lock := types.ManagedObjectReference{Type: h.system.Self.Type, Value: h.system.Self.Value + "-maintenance"}
	task := simulator.CreateTask(lock, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if fault := run(own); fault != nil {
			return nil, fault
		}
		return nil, nil
	})
	ref := task.Run(ctx)
	own.WithLock(task, func() { task.Info.Entity, task.Info.EntityName = &h.system.Self, h.system.Name })
	return ref
}

// set changes what the host says of its state.
func (h *esxHost) set(change func(*types.HostRuntimeInfo)) {
	h.lab.context().WithLock(h.system, func() { change(h.runtime()) })
}

func (s *hostShim) EnterMaintenanceModeTask(ctx *simulator.Context, req *types.EnterMaintenanceMode_Task) soap.HasFault {
	ref := s.host.long(ctx, "enterMaintenanceModeTask", func(own *simulator.Context) types.BaseMethodFault {
		return s.host.enter(own, req.Timeout)
	})
	return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: ref}}
}

// enter waits until no machine runs on the host: DRS moves those that it may move, somebody the others.
func (h *esxHost) enter(ctx *simulator.Context, timeout int32) types.BaseMethodFault {
	if fault := h.reachable(); fault != nil {
		return fault.Detail.Fault.(types.BaseMethodFault)
	}
	if h.runtime().InMaintenanceMode {
		return new(types.InvalidState)
	}
	hangs := h.lab.faults.takeHost("evacuation_hangs", h)
	for end := time.Now().Add(time.Duration(timeout) * time.Second); ; time.Sleep(lookTime) {
		if !hangs {
			h.evacuate(ctx)
		}
		if !hangs && len(h.running(ctx)) == 0 {
			break
		}
		if hangs || (timeout > 0 && time.Now().After(end)) {
			return new(types.Timedout)
		}
	}
	h.set(func(runtime *types.HostRuntimeInfo) {
		runtime.InMaintenanceMode = true
		runtime.DasHostState = nil
	})
	return nil
}

// running are the machines that run on the host.
func (h *esxHost) running(ctx *simulator.Context) []*simulator.VirtualMachine {
	var machines []*simulator.VirtualMachine
	for _, ref := range h.system.Vm {
		machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
		if ok && machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			machines = append(machines, machine)
		}
	}
	return machines
}

// evacuate moves the machines that DRS moves by itself to the other hosts of the cluster, by turns.
func (h *esxHost) evacuate(ctx *simulator.Context) {
	cluster, others := h.cluster(ctx), []*esxHost{}
	if cluster == nil {
		return
	}
	for _, ref := range cluster.Host {
		other := h.lab.hosts[ref]
		if other != h && other.reachable() == nil && !other.runtime().InMaintenanceMode {
			others = append(others, other)
		}
	}
	if !h.lab.holdsWithout(ctx, cluster, h) {
		return
	}
	for i, machine := range h.running(ctx) {
		if len(others) > 0 && moves(cluster, machine) {
			h.hand(ctx, machine, others[i%len(others)])
		}
	}
}

// moves says whether a machine goes away without a person. vCenter itself sees to its own agents; a device of the host
// ties a machine to it.
func moves(cluster *simulator.ClusterComputeResource, machine *simulator.VirtualMachine) bool {
	if machine.Config.ManagedBy != nil {
		return true
	}
	for _, device := range machine.Config.Hardware.Device {
		if _, tied := device.(*types.VirtualPCIPassthrough); tied {
			return false
		}
	}
	config := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
	if config.DrsConfig.Enabled == nil || !*config.DrsConfig.Enabled {
		return false
	}
	behaviour := config.DrsConfig.DefaultVmBehavior
	for _, override := range config.DrsVmConfig {
		if override.Key != machine.Self {
			continue
		}
		if override.Enabled != nil && !*override.Enabled {
			return false
		}
		if override.Behavior != "" {
			behaviour = override.Behavior
		}
	}
	return behaviour == types.DrsBehaviorFullyAutomated
}

func (h *esxHost) hand(ctx *simulator.Context, machine *simulator.VirtualMachine, to *esxHost) {
	ctx.WithLock(h.system, func() {
		h.system.Vm = slices.DeleteFunc(slices.Clone(h.system.Vm), func(ref types.ManagedObjectReference) bool {
			return ref == machine.Self
		})
	})
	ctx.WithLock(to.system, func() { to.system.Vm = append(slices.Clone(to.system.Vm), machine.Self) })
	ctx.WithLock(machine, func() {
		machine.Runtime.Host = &to.system.Self
		machine.Summary.Runtime.Host = &to.system.Self
	})
}

func (h *esxHost) cluster(ctx *simulator.Context) *simulator.ClusterComputeResource {
	cluster, _ := ctx.Map.Get(*h.system.Parent).(*simulator.ClusterComputeResource)
	return cluster
}

func (s *hostShim) ExitMaintenanceModeTask(ctx *simulator.Context, _ *types.ExitMaintenanceMode_Task) soap.HasFault {
	h := s.host
	ref := h.long(ctx, "exitMaintenanceModeTask", func(*simulator.Context) types.BaseMethodFault {
		if fault := h.reachable(); fault != nil {
			return fault.Detail.Fault.(types.BaseMethodFault)
		}
		if !h.runtime().InMaintenanceMode {
			return new(types.InvalidState)
		}
		h.set(func(runtime *types.HostRuntimeInfo) {
			runtime.InMaintenanceMode = false
			runtime.DasHostState = agentState(types.ClusterDasFdmAvailabilityStateElection)
		})
		time.AfterFunc(joinTime, h.join)
		return nil
	})
	return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: ref}}
}

func agentState(state types.ClusterDasFdmAvailabilityState) *types.ClusterDasFdmHostState {
	return &types.ClusterDasFdmHostState{State: string(state)}
}

// join has the host's agent of high availability follow the master.
func (h *esxHost) join() {
	h.set(func(runtime *types.HostRuntimeInfo) {
		runtime.DasHostState = agentState(types.ClusterDasFdmAvailabilityStateConnectedToMaster)
	})
}

// RebootHostTask wants maintenance mode, or to be forced. The task is done when the host goes down; who asks the host
// itself may never hear of it.
func (s *hostShim) RebootHostTask(ctx *simulator.Context, req *types.RebootHost_Task) soap.HasFault {
	h := s.host
	ref := h.long(ctx, "rebootHostTask", func(*simulator.Context) types.BaseMethodFault {
		if !h.runtime().InMaintenanceMode && !req.Force {
			return new(types.InvalidState)
		}
		h.down.Store(true)
		if h.lab.config.Standalone == "" {
			h.set(func(runtime *types.HostRuntimeInfo) {
				runtime.ConnectionState = types.HostSystemConnectionStateNotResponding
			})
		}
		if !h.lab.faults.takeHost("no_return", h) {
			time.AfterFunc(awayTime, h.boot)
		}
		return nil
	})
	return &methods.RebootHost_TaskBody{Res: &types.RebootHost_TaskResponse{Returnval: ref}}
}

// boot brings a host back that is down: what waited for it is in force, and who was logged in at the host no longer is.
func (h *esxHost) boot() {
	now := time.Now().UTC()
	h.shell.started()
	h.set(func(runtime *types.HostRuntimeInfo) {
		runtime.BootTime = &now
		runtime.ConnectionState = types.HostSystemConnectionStateConnected
	})
	if h.lab.config.Standalone != "" {
		h.lab.faults.expire(now)
	}
	h.down.Store(false)
}
