// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// networkSystem adds changes of switches and port groups to vcsim's, which can add and remove them.
type networkSystem struct {
	simulator.HostNetworkSystem

	host *esxHost
}

func newNetworkSystem(host *esxHost, network *types.HostNetworkInfo) *networkSystem {
	s := &networkSystem{host: host}
	s.Host = &host.system.HostSystem
	s.NetworkInfo = network
	return s
}

// change applies f to a copy of the network and publishes it here and in the host's config.network.
func (s *networkSystem) change(ctx *simulator.Context, f func(*types.HostNetworkInfo) *soap.Fault) *soap.Fault {
	if fault := s.host.reachable(); fault != nil {
		return fault
	}
	network := *s.NetworkInfo
	network.Vswitch = slices.Clone(network.Vswitch)
	network.Portgroup = slices.Clone(network.Portgroup)
	if fault := f(&network); fault != nil {
		return fault
	}
	for i := range network.Portgroup {
		portgroup := &network.Portgroup[i]
		if found := findSwitch(&network, portgroup.Spec.VswitchName); found != nil && found.Spec.Policy != nil {
			portgroup.ComputedPolicy = merge(*found.Spec.Policy, portgroup.Spec.Policy)
		}
	}
	s.NetworkInfo = &network
	s.host.update(ctx, func(config *types.HostConfigInfo) { config.Network = &network })
	return nil
}

func findSwitch(network *types.HostNetworkInfo, name string) *types.HostVirtualSwitch {
	for i := range network.Vswitch {
		if network.Vswitch[i].Name == name {
			return &network.Vswitch[i]
		}
	}
	return nil
}

// uplinks are the physical NICs of a switch by device name; every NIC of a teaming order has to be one of them.
func uplinks(of *types.HostVirtualSwitch) []string {
	var devices []string
	for _, key := range of.Pnic {
		devices = append(devices, strings.TrimPrefix(key, "key-vim.host.PhysicalNic-"))
	}
	return devices
}

func badPolicy(policy *types.HostNetworkPolicy, devices []string) *soap.Fault {
	if policy == nil || policy.NicTeaming == nil || policy.NicTeaming.NicOrder == nil {
		return nil
	}
	order := policy.NicTeaming.NicOrder
	for _, device := range slices.Concat(order.ActiveNic, order.StandbyNic) {
		if !slices.Contains(devices, device) {
			return invalidArgument("spec.policy.nicTeaming.nicOrder")
		}
	}
	return nil
}

// UpdateVirtualSwitch keeps what the spec leaves out, except the bridge: a spec without one takes the uplinks away, as
// the real call does.
func (s *networkSystem) UpdateVirtualSwitch(ctx *simulator.Context, req *types.UpdateVirtualSwitch) soap.HasFault {
	fault := s.change(ctx, func(network *types.HostNetworkInfo) *soap.Fault {
		found := findSwitch(network, req.VswitchName)
		if found == nil {
			return notFound()
		}
		var devices []string
		if bridge, ok := req.Spec.Bridge.(*types.HostVirtualSwitchBondBridge); ok {
			devices = bridge.NicDevice
		}
		keys := make([]string, 0, len(devices))
		for _, device := range devices {
			if !slices.ContainsFunc(network.Pnic, func(nic types.PhysicalNic) bool { return nic.Device == device }) {
				return notFound()
			}
			keys = append(keys, "key-vim.host.PhysicalNic-"+device)
		}
		if fault := badPolicy(req.Spec.Policy, devices); fault != nil {
			return fault
		}
		spec := merge(found.Spec, req.Spec)
		spec.Bridge = req.Spec.Bridge
		found.Spec, found.Pnic = spec, keys
		return nil
	})
	return &methods.UpdateVirtualSwitchBody{Fault_: fault, Res: new(types.UpdateVirtualSwitchResponse)}
}

// UpdatePortGroup replaces the whole spec: what its policy leaves out is inherited from the switch.
func (s *networkSystem) UpdatePortGroup(ctx *simulator.Context, req *types.UpdatePortGroup) soap.HasFault {
	fault := s.change(ctx, func(network *types.HostNetworkInfo) *soap.Fault {
		index := slices.IndexFunc(network.Portgroup, func(p types.HostPortGroup) bool { return p.Spec.Name == req.PgName })
		found := findSwitch(network, req.Portgrp.VswitchName)
		switch {
		case index < 0 || found == nil:
			return notFound()
		case req.Portgrp.VlanId < 0 || req.Portgrp.VlanId > 4095:
			return invalidArgument("portgrp.vlanId")
		case req.Portgrp.Name == "":
			return invalidArgument("portgrp.name")
		}
		if fault := badPolicy(&req.Portgrp.Policy, uplinks(found)); fault != nil {
			return fault
		}
		network.Portgroup[index].Spec = req.Portgrp
		network.Portgroup[index].Vswitch = found.Key
		return nil
	})
	return &methods.UpdatePortGroupBody{Fault_: fault, Res: new(types.UpdatePortGroupResponse)}
}

// AddPortGroup is vcsim's, which knows switches by the names of their groups and publishes in the network system only.
func (s *networkSystem) AddPortGroup(ctx *simulator.Context, req *types.AddPortGroup) soap.HasFault {
	if fault := s.host.reachable(); fault != nil {
		return &methods.AddPortGroupBody{Fault_: fault}
	}
	body := s.HostNetworkSystem.AddPortGroup(ctx, req)
	if body.Fault() != nil {
		return body
	}
	fault := s.change(ctx, func(network *types.HostNetworkInfo) *soap.Fault {
		found := findSwitch(network, req.Portgrp.VswitchName)
		added := &network.Portgroup[len(network.Portgroup)-1]
		added.Vswitch = found.Key
		found.Portgroup = append(found.Portgroup[:len(found.Portgroup)-1:len(found.Portgroup)-1], added.Key)
		return nil
	})
	return &methods.AddPortGroupBody{Fault_: fault, Res: new(types.AddPortGroupResponse)}
}

// RemovePortGroup refuses a group that a VMkernel adapter is on.
func (s *networkSystem) RemovePortGroup(ctx *simulator.Context, req *types.RemovePortGroup) soap.HasFault {
	fault := s.change(ctx, func(network *types.HostNetworkInfo) *soap.Fault {
		index := slices.IndexFunc(network.Portgroup, func(p types.HostPortGroup) bool { return p.Spec.Name == req.PgName })
		if index < 0 {
			return notFound()
		}
		if slices.ContainsFunc(network.Vnic, func(v types.HostVirtualNic) bool { return v.Portgroup == req.PgName }) {
			return simulator.Fault("The port group is in use.", &types.ResourceInUse{Type: "HostPortGroup", Name: req.PgName})
		}
		removed := network.Portgroup[index]
		network.Portgroup = slices.Delete(network.Portgroup, index, index+1)
		if found := findSwitch(network, removed.Spec.VswitchName); found != nil {
			found.Portgroup = slices.DeleteFunc(slices.Clone(found.Portgroup), func(key string) bool { return key == removed.Key })
		}
		return nil
	})
	return &methods.RemovePortGroupBody{Fault_: fault, Res: new(types.RemovePortGroupResponse)}
}
