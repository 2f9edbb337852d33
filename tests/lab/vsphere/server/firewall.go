// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// firewallSystem is HostFirewallSystem: vcsim can enable and disable a ruleset only.
type firewallSystem struct {
	mo.HostFirewallSystem

	host *esxHost
	// loaded and enabled are esxcli's alone: vim25 cannot see a firewall that is switched off.
	loaded, enabled bool
}

// Rulesets that are vCenter's own from 8.0 update 2 on (HostFirewallSystemRuleSetId): neither their state nor their
// addresses can be changed there.
var systemRulesets = []string{"faultTolerance", "fdm", "updateManager", "vpxHeartbeats"}

// Rulesets that went with their services: SLP and CIM in 9.0.
var droppedRulesets = map[string]int{"CIMSLP": esxi9, "CIMHttpServer": esxi9, "CIMHttpsServer": esxi9}

func newFirewallSystem(host *esxHost) *firewallSystem {
	info := &types.HostFirewallInfo{DefaultPolicy: types.HostFirewallDefaultPolicy{
		IncomingBlocked: types.NewBool(true), OutgoingBlocked: types.NewBool(true),
	}}
	for _, ruleset := range slices.Concat(esx.HostFirewallInfo.Ruleset, ownRulesets) {
		if until := droppedRulesets[ruleset.Key]; until != 0 && host.release.rank >= until {
			continue
		}
		ruleset.AllowedHosts = &types.HostFirewallRulesetIpList{AllIp: true}
		if host.release.rank >= 803 {
			own := slices.Contains(systemRulesets, ruleset.Key)
			ruleset.UserControllable = types.NewBool(!own)
			ruleset.IpListUserConfigurable = types.NewBool(!own)
		}
		info.Ruleset = append(info.Ruleset, ruleset)
	}
	return &firewallSystem{
		HostFirewallSystem: mo.HostFirewallSystem{FirewallInfo: info}, host: host, loaded: true, enabled: true,
	}
}

// ownRulesets are what vcsim's list, of ESXi 6.5 without a vCenter, lacks.
var ownRulesets = []types.HostFirewallRuleset{
	{Key: "ptpd", Label: "PTP Client", Service: "ptpd", Rule: []types.HostFirewallRule{
		{Port: 319, EndPort: 320, Direction: types.HostFirewallRuleDirectionInbound,
			PortType: types.HostFirewallRulePortTypeDst, Protocol: "udp"},
	}},
	{Key: "fdm", Label: "vSphere High Availability Agent", Enabled: true, Rule: []types.HostFirewallRule{
		{Port: 8182, Direction: types.HostFirewallRuleDirectionInbound,
			PortType: types.HostFirewallRulePortTypeDst, Protocol: "tcp"},
		{Port: 8182, Direction: types.HostFirewallRuleDirectionOutbound,
			PortType: types.HostFirewallRulePortTypeDst, Protocol: "tcp"},
	}},
}

// change applies f to a copy of the firewall and publishes it here and in the host's config.firewall.
func (s *firewallSystem) change(ctx *simulator.Context, f func(*types.HostFirewallInfo) *soap.Fault) *soap.Fault {
	if fault := s.host.reachable(); fault != nil {
		return fault
	}
	info := *s.FirewallInfo
	info.Ruleset = slices.Clone(info.Ruleset)
	if fault := f(&info); fault != nil {
		return fault
	}
	s.FirewallInfo = &info
	s.host.update(ctx, func(config *types.HostConfigInfo) { config.Firewall = &info })
	return nil
}

func (s *firewallSystem) ruleset(ctx *simulator.Context, id string, f func(*types.HostFirewallRuleset) *soap.Fault) *soap.Fault {
	return s.change(ctx, func(info *types.HostFirewallInfo) *soap.Fault {
		for i := range info.Ruleset {
			if info.Ruleset[i].Key == id {
				return f(&info.Ruleset[i])
			}
		}
		return notFound()
	})
}

// enable opens or blocks a ruleset. A service of it whose policy is automatic starts with the first of its rulesets and
// stops with the last.
func (s *firewallSystem) enable(ctx *simulator.Context, id string, enabled bool) *soap.Fault {
	fault := s.setEnabled(ctx, id, enabled)
	if fault != nil {
		return fault
	}
	for _, service := range s.host.services.ServiceInfo.Service {
		if service.Policy != "automatic" || !slices.Contains(service.Ruleset, id) {
			continue
		}
		running := slices.ContainsFunc(s.FirewallInfo.Ruleset, func(ruleset types.HostFirewallRuleset) bool {
			return ruleset.Enabled && slices.Contains(service.Ruleset, ruleset.Key)
		})
		fault = s.host.services.change(ctx, service.Key, func(found *types.HostService) *soap.Fault {
			found.Running = running
			return nil
		})
	}
	return fault
}

func (s *firewallSystem) setEnabled(ctx *simulator.Context, id string, enabled bool) *soap.Fault {
	return s.ruleset(ctx, id, func(ruleset *types.HostFirewallRuleset) *soap.Fault {
		if (ruleset.Required && !enabled) || (ruleset.UserControllable != nil && !*ruleset.UserControllable) {
			return notSupported()
		}
		ruleset.Enabled = enabled
		return nil
	})
}

func (s *firewallSystem) EnableRuleset(ctx *simulator.Context, req *types.EnableRuleset) soap.HasFault {
	fault := s.enable(ctx, req.Id, true)
	return &methods.EnableRulesetBody{Fault_: fault, Res: new(types.EnableRulesetResponse)}
}

func (s *firewallSystem) DisableRuleset(ctx *simulator.Context, req *types.DisableRuleset) soap.HasFault {
	fault := s.enable(ctx, req.Id, false)
	return &methods.DisableRulesetBody{Fault_: fault, Res: new(types.DisableRulesetResponse)}
}

// UpdateRuleset replaces the addresses that may use a ruleset.
func (s *firewallSystem) UpdateRuleset(ctx *simulator.Context, req *types.UpdateRuleset) soap.HasFault {
	fault := s.ruleset(ctx, req.Id, func(ruleset *types.HostFirewallRuleset) *soap.Fault {
		if ruleset.IpListUserConfigurable != nil && !*ruleset.IpListUserConfigurable {
			return notSupported()
		}
		allowed := req.Spec.AllowedHosts
		if fault := badAddresses(&allowed); fault != nil {
			return fault
		}
		ruleset.AllowedHosts = &allowed
		return nil
	})
	return &methods.UpdateRulesetBody{Fault_: fault, Res: new(types.UpdateRulesetResponse)}
}

func badAddresses(allowed *types.HostFirewallRulesetIpList) *soap.Fault {
	for _, address := range allowed.IpAddress {
		if net.ParseIP(address) == nil {
			return invalidArgument("spec.allowedHosts.ipAddress")
		}
	}
	for _, network := range allowed.IpNetwork {
		address := net.ParseIP(network.Network)
		most := int32(128)
		if address.To4() != nil {
			most = 32
		}
		if address == nil || network.PrefixLength < 0 || network.PrefixLength > most {
			return invalidArgument("spec.allowedHosts.ipNetwork")
		}
	}
	if allowed.AllIp && (len(allowed.IpAddress) > 0 || len(allowed.IpNetwork) > 0) {
		return invalidArgument("spec.allowedHosts.allIp")
	}
	return nil
}

// UpdateDefaultPolicy leaves alone what the call leaves out.
func (s *firewallSystem) UpdateDefaultPolicy(ctx *simulator.Context, req *types.UpdateDefaultPolicy) soap.HasFault {
	fault := s.change(ctx, func(info *types.HostFirewallInfo) *soap.Fault {
		if blocked := req.DefaultPolicy.IncomingBlocked; blocked != nil {
			info.DefaultPolicy.IncomingBlocked = blocked
		}
		if blocked := req.DefaultPolicy.OutgoingBlocked; blocked != nil {
			info.DefaultPolicy.OutgoingBlocked = blocked
		}
		return nil
	})
	return &methods.UpdateDefaultPolicyBody{Fault_: fault, Res: new(types.UpdateDefaultPolicyResponse)}
}

func (s *firewallSystem) RefreshFirewall(*types.RefreshFirewall) soap.HasFault {
	return &methods.RefreshFirewallBody{Fault_: s.host.reachable(), Res: new(types.RefreshFirewallResponse)}
}
