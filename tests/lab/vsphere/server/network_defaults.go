// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
)

const nicKey = "key-vim.host.PhysicalNic-"

// newNetwork is a host with four NICs: vSwitch0 carries management, vMotion and a VM network, and the distributed
// switch has the other two. Every third host has one uplink on vSwitch0, and one NIC without a link.
func newNetwork(number int) *types.HostNetworkInfo {
	network := &types.HostNetworkInfo{
		IpV6Enabled: types.NewBool(true), AtBootIpV6Enabled: types.NewBool(true),
		DnsConfig: &types.HostDnsConfig{
			HostName: fmt.Sprintf("esx%02d", number+1), DomainName: labDomain, Address: []string{"192.0.2.53"},
			SearchDomain: []string{labDomain},
		},
		NetStackInstance: []types.HostNetStackInstance{{Key: "defaultTcpipStack", Name: "defaultTcpipStack"}},
	}
	lonely := number%3 == 2
	for i := range 4 {
		nic := types.PhysicalNic{
			Key: fmt.Sprintf("%svmnic%d", nicKey, i), Device: fmt.Sprintf("vmnic%d", i),
			Pci: fmt.Sprintf("0000:%02x:00.%d", 0x31+i/2, i%2), Driver: "i40en",
			Mac: fmt.Sprintf("f4:02:70:%02x:%02x:%02x", number>>8&0xff, number&0xff, i),
		}
		if !lonely || i != 3 {
			nic.LinkSpeed = &types.PhysicalNicLinkInfo{SpeedMb: 10000, Duplex: true}
		}
		network.Pnic = append(network.Pnic, nic)
	}
	devices := []string{"vmnic0", "vmnic1"}
	if lonely {
		devices = devices[:1]
	}
	network.Vswitch = []types.HostVirtualSwitch{newSwitch(devices)}
	policy := network.Vswitch[0].Spec.Policy
	for _, group := range []struct {
		name string
		vlan int32
	}{{"Management Network", 10}, {"vMotion", 20}, {"VM Network", 0}} {
		network.Portgroup = append(network.Portgroup, types.HostPortGroup{
			Key: "key-vim.host.PortGroup-" + group.name, Vswitch: network.Vswitch[0].Key, ComputedPolicy: *policy,
			Spec: types.HostPortGroupSpec{Name: group.name, VlanId: group.vlan, VswitchName: "vSwitch0"},
		})
		network.Vswitch[0].Portgroup = append(network.Vswitch[0].Portgroup, "key-vim.host.PortGroup-"+group.name)
	}
	network.Vnic = []types.HostVirtualNic{
		newVnic("vmk0", "Management Network", fmt.Sprintf("192.0.%d.%d", 2+number/200, 20+number%200), number),
		newVnic("vmk1", "vMotion", fmt.Sprintf("198.51.%d.%d", 100+number/200, 20+number%200), number),
	}
	return network
}

// newSwitch has the defaults of a standard switch: forged transmits and MAC changes are accepted (pitfall P20).
func newSwitch(devices []string) types.HostVirtualSwitch {
	standard := types.HostVirtualSwitch{
		Name: "vSwitch0", Key: "key-vim.host.VirtualSwitch-vSwitch0", NumPorts: 10496, NumPortsAvailable: 10484, Mtu: 1500,
		Spec: types.HostVirtualSwitchSpec{
			NumPorts: 128, Mtu: 1500, Bridge: &types.HostVirtualSwitchBondBridge{
				NicDevice: devices, Beacon: &types.HostVirtualSwitchBeaconConfig{Interval: 1},
				LinkDiscoveryProtocolConfig: &types.LinkDiscoveryProtocolConfig{Protocol: "cdp", Operation: "listen"},
			},
			Policy: &types.HostNetworkPolicy{
				Security: &types.HostNetworkSecurityPolicy{
					AllowPromiscuous: types.NewBool(false), MacChanges: types.NewBool(true),
					ForgedTransmits: types.NewBool(true),
				},
				NicTeaming: &types.HostNicTeamingPolicy{
					Policy: "loadbalance_srcid", ReversePolicy: types.NewBool(true), NotifySwitches: types.NewBool(true),
					RollingOrder:    types.NewBool(false),
					FailureCriteria: &types.HostNicFailureCriteria{CheckSpeed: "minimum", Speed: 10, CheckBeacon: types.NewBool(false)},
					NicOrder:        &types.HostNicOrderPolicy{ActiveNic: devices},
				},
				OffloadPolicy: &types.HostNetOffloadCapabilities{
					CsumOffload: types.NewBool(true), TcpSegmentation: types.NewBool(true), ZeroCopyXmit: types.NewBool(true),
				},
				ShapingPolicy: &types.HostNetworkTrafficShapingPolicy{Enabled: types.NewBool(false)},
			},
		},
	}
	for _, device := range devices {
		standard.Pnic = append(standard.Pnic, nicKey+device)
	}
	return standard
}

func newVnic(device, portgroup, address string, number int) types.HostVirtualNic {
	return types.HostVirtualNic{
		Device: device, Key: "key-vim.host.VirtualNic-" + device, Portgroup: portgroup,
		Port: "key-vim.host.PortGroup.Port-" + device,
		Spec: types.HostVirtualNicSpec{
			Ip:  &types.HostIpConfig{IpAddress: address, SubnetMask: "255.255.255.0"},
			Mac: fmt.Sprintf("f4:02:70:%02x:%02x:8%s", number>>8&0xff, number&0xff, device[3:]),
			Mtu: 1500, TsoEnabled: types.NewBool(true), NetStackInstanceKey: "defaultTcpipStack", Portgroup: portgroup,
		},
	}
}

// newNicManager selects vmk0 for management and vmk1 for vMotion; the other services have none.
func newNicManager(network *types.HostNetworkInfo) *types.HostVirtualNicManagerInfo {
	info := new(types.HostVirtualNicManagerInfo)
	selected := map[string]int{"management": 0, "vmotion": 1}
	for _, kind := range []string{"management", "vmotion", "faultToleranceLogging", "vSphereReplication",
		"vSphereReplicationNFC", "vSphereProvisioning", "vsan", "vsanWitness", "vSphereBackupNFC", "ptp", "nvmeTcp"} {
		config := types.VirtualNicManagerNetConfig{NicType: kind, MultiSelectAllowed: true}
		for _, vnic := range network.Vnic {
			candidate := vnic
			candidate.Key = kind + ".key-vim.host.VirtualNic-" + vnic.Device
			config.CandidateVnic = append(config.CandidateVnic, candidate)
		}
		if index, ok := selected[kind]; ok {
			config.SelectedVnic = []string{config.CandidateVnic[index].Key}
		}
		info.NetConfig = append(info.NetConfig, config)
	}
	return info
}
