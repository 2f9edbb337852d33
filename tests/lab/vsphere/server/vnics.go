// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// nicManager is HostVirtualNicManager: which VMkernel adapter carries which service.
type nicManager struct {
	mo.HostVirtualNicManager

	host *esxHost
}

// change applies f to the selected adapters of one service, and publishes here and in config.virtualNicManagerInfo. An
// adapter is named by device; the selection holds keys: management.key-vim.host.VirtualNic-vmk0.
func (m *nicManager) change(ctx *simulator.Context, kind, device string, f func(selected []string, key string) ([]string, *soap.Fault)) *soap.Fault {
	if fault := m.host.reachable(); fault != nil {
		return fault
	}
	configs := slices.Clone(m.Info.NetConfig)
	for i := range configs {
		if configs[i].NicType != kind {
			continue
		}
		for _, candidate := range configs[i].CandidateVnic {
			if candidate.Device != device {
				continue
			}
			selected, fault := f(slices.Clone(configs[i].SelectedVnic), candidate.Key)
			if fault != nil {
				return fault
			}
			configs[i].SelectedVnic = selected
			m.Info = types.HostVirtualNicManagerInfo{NetConfig: configs}
			m.host.update(ctx, func(config *types.HostConfigInfo) {
				config.VirtualNicManagerInfo = &types.HostVirtualNicManagerInfo{NetConfig: configs}
			})
			return nil
		}
		return invalidArgument("device")
	}
	return invalidArgument("nicType")
}

func (m *nicManager) SelectVnicForNicType(ctx *simulator.Context, req *types.SelectVnicForNicType) soap.HasFault {
	fault := m.change(ctx, req.NicType, req.Device, func(selected []string, key string) ([]string, *soap.Fault) {
		if slices.Contains(selected, key) {
			return selected, nil
		}
		return append(selected, key), nil
	})
	return &methods.SelectVnicForNicTypeBody{Fault_: fault, Res: new(types.SelectVnicForNicTypeResponse)}
}

// DeselectVnicForNicType refuses what is not selected, and to take the last adapter away from management.
func (m *nicManager) DeselectVnicForNicType(ctx *simulator.Context, req *types.DeselectVnicForNicType) soap.HasFault {
	fault := m.change(ctx, req.NicType, req.Device, func(selected []string, key string) ([]string, *soap.Fault) {
		if !slices.Contains(selected, key) {
			return nil, invalidArgument("device")
		}
		left := slices.DeleteFunc(selected, func(s string) bool { return s == key })
		if len(left) == 0 && req.NicType == "management" {
			return nil, simulator.Fault("The last management adapter cannot be deselected.", new(types.HostConfigFault))
		}
		return left, nil
	})
	return &methods.DeselectVnicForNicTypeBody{Fault_: fault, Res: new(types.DeselectVnicForNicTypeResponse)}
}

func (m *nicManager) QueryNetConfig(req *types.QueryNetConfig) soap.HasFault {
	body := &methods.QueryNetConfigBody{Fault_: invalidArgument("nicType"), Res: new(types.QueryNetConfigResponse)}
	for i := range m.Info.NetConfig {
		if strings.EqualFold(m.Info.NetConfig[i].NicType, req.NicType) {
			body.Fault_, body.Res.Returnval = nil, &m.Info.NetConfig[i]
		}
	}
	return body
}
