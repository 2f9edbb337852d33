// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func boolPolicy(value bool) *types.BoolPolicy { return &types.BoolPolicy{Value: &value} }

// portSetting is what a new distributed port group has: everything rejected (pitfall P20), two uplinks, no shaping.
func portSetting(vlan types.BaseVmwareDistributedVirtualSwitchVlanSpec, open bool) *types.VMwareDVSPortSetting {
	return &types.VMwareDVSPortSetting{
		DVPortSetting: types.DVPortSetting{
			Blocked: boolPolicy(false), VmDirectPathGen2Allowed: boolPolicy(false),
			InShapingPolicy: noShaping(), OutShapingPolicy: noShaping(),
		},
		Vlan: vlan,
		UplinkTeamingPolicy: &types.VmwareUplinkPortTeamingPolicy{
			Policy:        &types.StringPolicy{Value: "loadbalance_srcid"},
			ReversePolicy: boolPolicy(true), NotifySwitches: boolPolicy(true), RollingOrder: boolPolicy(false),
			UplinkPortOrder: &types.VMwareUplinkPortOrderPolicy{ActiveUplinkPort: []string{"Uplink 1", "Uplink 2"}},
		},
		SecurityPolicy: &types.DVSSecurityPolicy{
			AllowPromiscuous: boolPolicy(open), MacChanges: boolPolicy(open), ForgedTransmits: boolPolicy(open),
		},
		MacManagementPolicy: &types.DVSMacManagementPolicy{
			AllowPromiscuous: types.NewBool(open), MacChanges: types.NewBool(open), ForgedTransmits: types.NewBool(open),
		},
		IpfixEnabled: boolPolicy(false), TxUplink: boolPolicy(false),
	}
}

func noShaping() *types.DVSTrafficShapingPolicy {
	return &types.DVSTrafficShapingPolicy{
		Enabled: boolPolicy(false), AverageBandwidth: &types.LongPolicy{Value: 100_000_000},
		PeakBandwidth: &types.LongPolicy{Value: 100_000_000}, BurstSize: &types.LongPolicy{Value: 104_857_600},
	}
}

func vlan(id int32) types.BaseVmwareDistributedVirtualSwitchVlanSpec {
	return &types.VmwareDistributedVirtualSwitchVlanIdSpec{VlanId: id}
}

var trunk = &types.VmwareDistributedVirtualSwitchTrunkVlanSpec{VlanId: []types.NumericRange{{Start: 0, End: 4094}}}

// addDistributedSwitch makes dvs01 with an uplink group and three port groups, and joins every host to it.
func (l *lab) addDistributedSwitch() error {
	ctx, client := context.Background(), l.client()
	created, err := l.await(l.folders.NetworkFolder.CreateDVS(ctx, types.DVSCreateSpec{ConfigSpec: &types.VMwareDVSConfigSpec{
		MaxMtu: 1500,
		DVSConfigSpec: types.DVSConfigSpec{
			Name: "dvs01", ConfigVersion: "1", MaxPorts: 2147483647, DefaultPortConfig: portSetting(vlan(0), false),
			UplinkPortPolicy: &types.DVSNameArrayUplinkPortPolicy{UplinkPortName: []string{"Uplink 1", "Uplink 2"}},
			Policy:           &types.DVSPolicy{}, NetworkResourceControlVersion: "version3",
		},
	}}))
	if err != nil {
		return err
	}
	ref := created.(types.ManagedObjectReference)
	dvs := object.NewDistributedVirtualSwitch(client, ref)
	var specs []types.DVPortgroupConfigSpec
	for _, group := range []struct {
		name string
		vlan types.BaseVmwareDistributedVirtualSwitchVlanSpec
		open bool
	}{{"dvpg-production", vlan(100), false}, {"dvpg-dmz", vlan(200), true}, {"dvpg-trunk", trunk, false}} {
		specs = append(specs, types.DVPortgroupConfigSpec{
			Name: group.name, Type: "earlyBinding", NumPorts: 8, ConfigVersion: "1",
			DefaultPortConfig: portSetting(group.vlan, group.open), AutoExpand: types.NewBool(true),
		})
	}
	if _, err = l.await(dvs.AddPortgroup(ctx, specs)); err != nil {
		return err
	}
	spec := new(types.DVSConfigSpec)
	for _, h := range l.order {
		spec.Host = append(spec.Host, types.DistributedVirtualSwitchHostMemberConfigSpec{
			Operation: string(types.ConfigSpecOperationAdd), Host: h.system.Self,
		})
	}
	if _, err = l.await(dvs.Reconfigure(ctx, spec)); err != nil {
		return err
	}
	found := l.model.Map().Get(ref).(*simulator.DistributedVirtualSwitch)
	l.completeSwitch(found)
	for _, ref := range found.Portgroup {
		group := object.NewDistributedVirtualPortgroup(client, ref)
		backing, err := group.EthernetCardBackingInfo(ctx)
		if err != nil {
			return err
		}
		l.backings[l.model.Map().Get(ref).(*simulator.DistributedVirtualPortgroup).Name] = backing
	}
	l.renameSwitch(found)
	return nil
}

// renameSwitch gives a switch the type that vCenter's have: vcsim calls it by its base type, which views do not list.
// vcsim cannot update its own object under the other name, so that this comes last and switchShim refuses such calls.
func (l *lab) renameSwitch(dvs *simulator.DistributedVirtualSwitch) {
	ctx, registry, old := l.context(), l.model.Map(), dvs.Self
	registry.Remove(ctx, old)
	dvs.Self.Type = "VmwareDistributedVirtualSwitch"
	registry.Put(dvs)
	datacenter := registry.Get(l.datacenter.Reference()).(*simulator.Datacenter)
	folder := registry.Get(l.folders.NetworkFolder.Reference()).(*simulator.Folder)
	for _, list := range []*[]types.ManagedObjectReference{&datacenter.Network, &folder.ChildEntity} {
		simulator.RemoveReference(list, old)
		*list = append(*list, dvs.Self)
	}
}

// completeSwitch fills in what vcsim leaves out: the hosts' members and proxy switches, and resource management.
func (l *lab) completeSwitch(dvs *simulator.DistributedVirtualSwitch) {
	config := dvs.Config.(*types.VMwareDVSConfigInfo)
	config.NetworkResourceManagementEnabled = true
	for _, ref := range dvs.Portgroup {
		group := l.model.Map().Get(ref).(*simulator.DistributedVirtualPortgroup)
		uplink := strings.HasPrefix(group.Name, dvs.Name+"-DVUplinks")
		group.Config.Uplink = types.NewBool(uplink)
		if uplink {
			group.Config.ConfigVersion = "1"
			config.UplinkPortgroup = append(config.UplinkPortgroup, ref)
		}
	}
	for i, h := range l.order {
		backing := &types.DistributedVirtualSwitchHostMemberPnicBacking{}
		proxy := types.HostProxySwitch{
			DvsUuid: dvs.Uuid, DvsName: dvs.Name, Key: "key-vim.host.ProxySwitch-" + dvs.Uuid, NumPorts: 10496,
			NumPortsAvailable: 10480, Mtu: 1500,
		}
		for n, device := range []string{"vmnic2", "vmnic3"} {
			key := strconv.Itoa(i*2 + n)
			backing.PnicSpec = append(backing.PnicSpec, types.DistributedVirtualSwitchHostMemberPnicSpec{
				PnicDevice: device, UplinkPortKey: key,
			})
			proxy.Pnic = append(proxy.Pnic, nicKey+device)
			proxy.UplinkPort = append(proxy.UplinkPort, types.KeyValue{Key: key, Value: fmt.Sprintf("Uplink %d", n+1)})
		}
		proxy.Spec.Backing = backing
		h.network.NetworkInfo.ProxySwitch = []types.HostProxySwitch{proxy}
		host := h.system.Self
		config.Host = append(config.Host, types.DistributedVirtualSwitchHostMember{
			Status: "up", Config: types.DistributedVirtualSwitchHostMemberConfigInfo{
				Host: &host, MaxProxySwitchPorts: 512, Backing: backing,
			},
		})
	}
}

// portgroupShim stands for a distributed port group when it is reconfigured: vcsim forgets what a spec leaves out.
type portgroupShim struct {
	*simulator.DistributedVirtualPortgroup
}

// ReconfigureDVPortgroupTask wants the version that the caller has read, and keeps what the spec leaves out.
func (s *portgroupShim) ReconfigureDVPortgroupTask(ctx *simulator.Context, req *types.ReconfigureDVPortgroup_Task) soap.HasFault {
	group := s.DistributedVirtualPortgroup
	task := simulator.CreateTask(group, "reconfigureDvPortgroup", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		config, spec := group.Config, req.Spec
		if spec.ConfigVersion != config.ConfigVersion {
			return nil, new(types.ConcurrentAccess)
		}
		if spec.DefaultPortConfig != nil {
			if fault := badPortSetting(spec.DefaultPortConfig); fault != nil {
				return nil, fault
			}
			merged := mirrored(merge(config.DefaultPortConfig, spec.DefaultPortConfig), spec.DefaultPortConfig)
			config.DefaultPortConfig = s.withVlan(ctx, merged, spec.DefaultPortConfig)
		}
		if spec.Policy != nil {
			config.Policy = merge(config.Policy, spec.Policy)
		}
		if spec.Description != "" {
			config.Description = spec.Description
		}
		if spec.NumPorts != 0 {
			config.NumPorts = spec.NumPorts
		}
		if spec.AutoExpand != nil {
			config.AutoExpand = spec.AutoExpand
		}
		config.ConfigVersion = next(config.ConfigVersion)
		group.Config = config
		return nil, nil
	})
	return &methods.ReconfigureDVPortgroup_TaskBody{Res: &types.ReconfigureDVPortgroup_TaskResponse{Returnval: task.Run(ctx)}}
}

// mirrored gives both forms of the security policy what the one in the specification says: they are one setting.
func mirrored(setting, change types.BaseDVPortSetting) types.BaseDVPortSetting {
	ports, isVMware := setting.(*types.VMwareDVSPortSetting)
	asked, _ := change.(*types.VMwareDVSPortSetting)
	if !isVMware || asked == nil || asked.SecurityPolicy == nil || asked.MacManagementPolicy != nil {
		return setting
	}
	policy, management := ports.SecurityPolicy, new(types.DVSMacManagementPolicy)
	if ports.MacManagementPolicy != nil {
		*management = *ports.MacManagementPolicy
	}
	management.Inherited = policy.Inherited
	management.AllowPromiscuous = policy.AllowPromiscuous.Value
	management.MacChanges = policy.MacChanges.Value
	management.ForgedTransmits = policy.ForgedTransmits.Value
	ports.MacManagementPolicy = management
	return ports
}

// withVlan sets the VLAN that a specification gives as a whole, 0 included; one that is inherited is the switch's.
func (s *portgroupShim) withVlan(ctx *simulator.Context, setting, change types.BaseDVPortSetting) types.BaseDVPortSetting {
	ports, isVMware := setting.(*types.VMwareDVSPortSetting)
	asked, _ := change.(*types.VMwareDVSPortSetting)
	if !isVMware || asked == nil || asked.Vlan == nil {
		return setting
	}
	ports.Vlan = asked.Vlan
	if !asked.Vlan.GetVmwareDistributedVirtualSwitchVlanSpec().Inherited {
		return ports
	}
	// The switch has another type than when its port groups were made, see renameSwitch.
	ref := types.ManagedObjectReference{Type: "VmwareDistributedVirtualSwitch", Value: s.Config.DistributedVirtualSwitch.Value}
	dvs := ctx.Map.Get(ref).(*simulator.DistributedVirtualSwitch)
	switch of := dvs.Config.GetDVSConfigInfo().DefaultPortConfig.(*types.VMwareDVSPortSetting).Vlan.(type) {
	case *types.VmwareDistributedVirtualSwitchVlanIdSpec:
		inherited := *of
		inherited.Inherited = true
		ports.Vlan = &inherited
	case *types.VmwareDistributedVirtualSwitchTrunkVlanSpec:
		inherited := *of
		inherited.Inherited = true
		ports.Vlan = &inherited
	}
	return ports
}

func next(version string) string {
	number, _ := strconv.Atoi(version)
	return strconv.Itoa(number + 1)
}

func badPortSetting(setting types.BaseDVPortSetting) types.BaseMethodFault {
	ports, ok := setting.(*types.VMwareDVSPortSetting)
	if !ok {
		return nil
	}
	bad := &types.InvalidArgument{InvalidProperty: "spec.defaultPortConfig.vlan"}
	switch of := ports.Vlan.(type) {
	case *types.VmwareDistributedVirtualSwitchVlanIdSpec:
		bad.InvalidProperty += ".vlanId"
		if of.VlanId < 0 || of.VlanId > 4094 {
			return bad
		}
	case *types.VmwareDistributedVirtualSwitchTrunkVlanSpec:
		bad.InvalidProperty += ".vlanId"
		for _, pair := range of.VlanId {
			if pair.Start < 0 || pair.End > 4094 || pair.Start > pair.End {
				return bad
			}
		}
	case *types.VmwareDistributedVirtualSwitchPvlanSpec:
		// No switch here has pairs of private VLANs.
		bad.InvalidProperty += ".pvlanId"
		return bad
	}
	return nil
}

// switchShim stands for a distributed switch in the calls that vcsim lacks or does by half.
type switchShim struct {
	*simulator.DistributedVirtualSwitch
}

// ReconfigureDvsTask wants the version that the caller has read, and keeps what the spec leaves out.
func (s *switchShim) ReconfigureDvsTask(ctx *simulator.Context, req *types.ReconfigureDvs_Task) soap.HasFault {
	dvs, spec := s.DistributedVirtualSwitch, req.Spec.GetDVSConfigSpec()
	if len(spec.Host) > 0 {
		return &methods.ReconfigureDvs_TaskBody{Fault_: notSupported()}
	}
	task := simulator.CreateTask(dvs, "reconfigureDvs", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		config := *dvs.Config.(*types.VMwareDVSConfigInfo)
		if spec.ConfigVersion != config.ConfigVersion {
			return nil, new(types.ConcurrentAccess)
		}
		if spec.DefaultPortConfig != nil {
			if fault := badPortSetting(spec.DefaultPortConfig); fault != nil {
				return nil, fault
			}
			config.DefaultPortConfig = merge(config.DefaultPortConfig, spec.DefaultPortConfig)
		}
		if vmware, ok := req.Spec.(*types.VMwareDVSConfigSpec); ok {
			if vmware.LinkDiscoveryProtocolConfig != nil {
				config.LinkDiscoveryProtocolConfig = vmware.LinkDiscoveryProtocolConfig
			}
			if vmware.MaxMtu != 0 {
				config.MaxMtu = vmware.MaxMtu
			}
		}
		config.ConfigVersion = next(config.ConfigVersion)
		dvs.Config = &config
		return nil, nil
	})
	return &methods.ReconfigureDvs_TaskBody{Res: &types.ReconfigureDvs_TaskResponse{Returnval: task.Run(ctx)}}
}

func (s *switchShim) AddDVPortgroupTask(*types.AddDVPortgroup_Task) soap.HasFault {
	return &methods.AddDVPortgroup_TaskBody{Fault_: notSupported()}
}

func (s *switchShim) RenameTask(*types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Fault_: notSupported()}
}

func (s *switchShim) EnableNetworkResourceManagement(req *types.EnableNetworkResourceManagement) soap.HasFault {
	config := *s.Config.(*types.VMwareDVSConfigInfo)
	config.NetworkResourceManagementEnabled = req.Enable
	s.DistributedVirtualSwitch.Config = &config
	return &methods.EnableNetworkResourceManagementBody{Res: new(types.EnableNetworkResourceManagementResponse)}
}
