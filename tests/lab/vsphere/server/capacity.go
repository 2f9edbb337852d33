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

// What the hypervisor keeps for itself, in hundredths, and what a machine counts for that has nothing reserved, as
// ClusterFailoverResourcesAdmissionControlPolicy documents it.
const (
	ownShare  = 4
	leastCPU  = 256
	mebibyte  = 1 << 20
	hertzToMz = 1_000_000
)

// clusterShim stands for a cluster when it is reconfigured: vcsim forgets the policy of admission control.
type clusterShim struct {
	*simulator.ClusterComputeResource
}

func (s *clusterShim) ReconfigureComputeResourceTask(ctx *simulator.Context, req *types.ReconfigureComputeResource_Task) soap.HasFault {
	config := s.ConfigurationEx.(*types.ClusterConfigInfoEx)
	spec, ok := req.Spec.(*types.ClusterConfigSpecEx)
	if ok && spec.DasConfig != nil && spec.DasConfig.AdmissionControlPolicy != nil {
		policy := spec.DasConfig.AdmissionControlPolicy
		if !sound(policy) {
			return &methods.ReconfigureComputeResource_TaskBody{Fault_: invalidArgument("spec.dasConfig.admissionControlPolicy")}
		}
		config.DasConfig.AdmissionControlPolicy = policy
	}
	return s.ClusterComputeResource.ReconfigureComputeResourceTask(ctx, req)
}

func sound(policy types.BaseClusterDasAdmissionControlPolicy) bool {
	switch policy := policy.(type) {
	case *types.ClusterFailoverResourcesAdmissionControlPolicy:
		return min(policy.CpuFailoverResourcesPercent, policy.MemoryFailoverResourcesPercent) >= 0 &&
			max(policy.CpuFailoverResourcesPercent, policy.MemoryFailoverResourcesPercent) <= 100
	case *types.ClusterFailoverLevelAdmissionControlPolicy:
		return policy.FailoverLevel >= 1
	case *types.ClusterFailoverHostAdmissionControlPolicy:
		return len(policy.FailoverHosts) > 0
	}
	return false
}

// size is what a host has for machines, or what machines are promised: MHz and MiB.
type size struct{ cpu, memory int64 }

func (h *esxHost) size() size {
	cpu := h.system.Hardware.CpuInfo.Hz / hertzToMz * int64(h.system.Hardware.CpuInfo.NumCpuCores)
	return size{cpu * (100 - ownShare) / 100, h.system.Hardware.MemorySize / mebibyte * (100 - ownShare) / 100}
}

// weighClusters brings the summaries of clusters up to date, as somebody is about to read them.
func (l *lab) weighClusters(ctx *simulator.Context, specs []types.PropertyFilterSpec) {
	asked := slices.ContainsFunc(specs, func(spec types.PropertyFilterSpec) bool {
		return slices.ContainsFunc(spec.PropSet, func(set types.PropertySpec) bool {
			return set.Type == "ClusterComputeResource" || set.Type == "ComputeResource"
		})
	})
	if !asked {
		return
	}
	for _, found := range ctx.Map.All("ClusterComputeResource") {
		cluster := found.(*simulator.ClusterComputeResource)
		ctx.WithLock(cluster, func() { l.weigh(ctx, cluster) })
	}
}

// load is what a cluster has and what its machines are promised.
type load struct {
	hosts           []*esxHost
	whole, promised size
	slot            size
	machines        int64
}

// loadOf is the load of a cluster, as if one of its hosts were gone.
func (l *lab) loadOf(ctx *simulator.Context, cluster *simulator.ClusterComputeResource, gone *esxHost) load {
	var found load
	for _, ref := range cluster.Host {
		h := l.hosts[ref]
		for _, machine := range h.running(ctx) {
			reserved := promise(machine)
			found.machines++
			found.promised = size{found.promised.cpu + reserved.cpu, found.promised.memory + reserved.memory}
			found.slot = size{max(found.slot.cpu, reserved.cpu), max(found.slot.memory, reserved.memory)}
		}
		if h != gone && h.reachable() == nil && !h.runtime().InMaintenanceMode {
			found.hosts = append(found.hosts, h)
			found.whole = size{found.whole.cpu + h.size().cpu, found.whole.memory + h.size().memory}
		}
	}
	return found
}

func (l *lab) weigh(ctx *simulator.Context, cluster *simulator.ClusterComputeResource) {
	if slices.ContainsFunc(cluster.Host, func(ref types.ManagedObjectReference) bool { return l.hosts[ref] == nil }) {
		return
	}
	now := l.loadOf(ctx, cluster, nil)
	summary := cluster.Summary.(*types.ClusterComputeResourceSummary)
	summary.NumHosts, summary.NumEffectiveHosts = int32(len(cluster.Host)), int32(len(now.hosts))
	summary.EffectiveCpu, summary.EffectiveMemory = int32(now.whole.cpu), now.whole.memory
	summary.AdmissionControlInfo = nil
	policy := promises(cluster)
	switch policy := policy.(type) {
	case *types.ClusterFailoverResourcesAdmissionControlPolicy:
		summary.AdmissionControlInfo = &types.ClusterFailoverResourcesAdmissionControlInfo{
			CurrentCpuFailoverResourcesPercent:    free(now.whole.cpu, now.promised.cpu),
			CurrentMemoryFailoverResourcesPercent: free(now.whole.memory, now.promised.memory),
		}
	case *types.ClusterFailoverLevelAdmissionControlPolicy:
		summary.CurrentFailoverLevel = now.spare()
		summary.AdmissionControlInfo = &types.ClusterFailoverLevelAdmissionControlInfo{
			CurrentFailoverLevel: summary.CurrentFailoverLevel,
		}
	case *types.ClusterFailoverHostAdmissionControlPolicy:
		info := new(types.ClusterFailoverHostAdmissionControlInfo)
		for _, ref := range policy.FailoverHosts {
			status := types.ManagedEntityStatusRed
			if slices.Contains(now.hosts, l.hosts[ref]) {
				status = types.ManagedEntityStatusGreen
			}
			info.HostStatus = append(info.HostStatus, types.ClusterFailoverHostAdmissionControlInfoHostStatus{
				Host: ref, Status: status,
			})
		}
		summary.AdmissionControlInfo = info
	}
}

// promises is the policy of admission control that is in force in a cluster, or nil.
func promises(cluster *simulator.ClusterComputeResource) types.BaseClusterDasAdmissionControlPolicy {
	das := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DasConfig
	if !*das.Enabled || !*das.AdmissionControlEnabled {
		return nil
	}
	return das.AdmissionControlPolicy
}

// holdsWithout says whether admission control holds without a host: otherwise DRS leaves the host's machines on it.
func (l *lab) holdsWithout(ctx *simulator.Context, cluster *simulator.ClusterComputeResource, gone *esxHost) bool {
	then := l.loadOf(ctx, cluster, gone)
	switch policy := promises(cluster).(type) {
	case *types.ClusterFailoverResourcesAdmissionControlPolicy:
		cpu, memory := policy.CpuFailoverResourcesPercent, policy.MemoryFailoverResourcesPercent
		if (policy.AutoComputePercentages == nil || *policy.AutoComputePercentages) && len(then.hosts) > 0 {
			share := 100 * max(policy.FailoverLevel, 1) / int32(len(then.hosts))
			cpu, memory = share, share
		}
		return free(then.whole.cpu, then.promised.cpu) >= cpu && free(then.whole.memory, then.promised.memory) >= memory
	case *types.ClusterFailoverLevelAdmissionControlPolicy:
		return then.spare() >= policy.FailoverLevel
	case *types.ClusterFailoverHostAdmissionControlPolicy:
		return !slices.Contains(policy.FailoverHosts, gone.system.Self)
	}
	return true
}

func promise(machine *simulator.VirtualMachine) size {
	config := machine.Config
	reserved := size{leastCPU, 0}
	if amount := config.CpuAllocation.Reservation; amount != nil {
		reserved.cpu = max(reserved.cpu, *amount)
	}
	if amount := config.MemoryAllocation.Reservation; amount != nil {
		reserved.memory = *amount
	}
	return reserved
}

func free(whole, promised int64) int32 {
	if whole == 0 {
		return 0
	}
	return int32(max(0, 100*(whole-promised)/whole))
}

// spare is how many hosts can fail, the largest first, until slots of the largest promise are fewer than machines.
func (l load) spare() int32 {
	slot := size{max(l.slot.cpu, leastCPU), max(l.slot.memory, 1)}
	var slots []int64
	for _, h := range l.hosts {
		slots = append(slots, min(h.size().cpu/slot.cpu, h.size().memory/slot.memory))
	}
	slices.Sort(slots)
	level := int32(-1)
	for left := len(slots); left > 0; left-- {
		sum := int64(0)
		for _, found := range slots[:left] {
			sum += found
		}
		if sum < l.machines {
			break
		}
		level++
	}
	return max(level, 0)
}
