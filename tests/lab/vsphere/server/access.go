// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// accessManager is HostAccessManager: lockdown mode, its exceptions and the host's own access entries.
type accessManager struct {
	mo.HostAccessManager

	host       *esxHost
	exceptions []string
	entries    []types.HostAccessControlEntry
}

func newAccessManager(host *esxHost) *accessManager {
	return &accessManager{
		HostAccessManager: mo.HostAccessManager{LockdownMode: types.HostLockdownModeLockdownDisabled},
		host:              host,
		entries: []types.HostAccessControlEntry{
			{Principal: "dcui", AccessMode: types.HostAccessModeAccessAdmin},
			{Principal: "root", AccessMode: types.HostAccessModeAccessAdmin},
			{Principal: "vpxuser", AccessMode: types.HostAccessModeAccessAdmin},
		},
	}
}

var lockdownModes = []types.HostLockdownMode{
	types.HostLockdownModeLockdownDisabled,
	types.HostLockdownModeLockdownNormal,
	types.HostLockdownModeLockdownStrict,
}

// ChangeLockdownMode needs a vCenter (NotSupported on a host of its own, whose hostd has no vpxa to come in by) and a
// connected host; strict mode stops the DCUI.
func (m *accessManager) ChangeLockdownMode(ctx *simulator.Context, req *types.ChangeLockdownMode) soap.HasFault {
	body := new(methods.ChangeLockdownModeBody)
	switch {
	case !slices.Contains(lockdownModes, req.Mode):
		body.Fault_ = invalidArgument("mode")
	case m.host.runtime().ConnectionState != types.HostSystemConnectionStateConnected:
		body.Fault_ = invalidState()
	case ctx.Map.IsESX() && req.Mode != types.HostLockdownModeLockdownDisabled:
		body.Fault_ = notSupported()
	default:
		m.LockdownMode = req.Mode
		m.host.update(ctx, func(config *types.HostConfigInfo) {
			config.LockdownMode = req.Mode
			config.AdminDisabled = types.NewBool(req.Mode != types.HostLockdownModeLockdownDisabled)
		})
		// Normal mode leaves the console to those in DCUI.Access.
		console := req.Mode != types.HostLockdownModeLockdownStrict
		body.Fault_ = m.host.services.change(ctx, "DCUI", func(service *types.HostService) *soap.Fault {
			service.Running = console
			return nil
		})
		body.Res = new(types.ChangeLockdownModeResponse)
	}
	return body
}

func (m *accessManager) QueryLockdownExceptions(*types.QueryLockdownExceptions) soap.HasFault {
	body := &methods.QueryLockdownExceptionsBody{Fault_: m.host.reachable()}
	body.Res = &types.QueryLockdownExceptionsResponse{Returnval: m.exceptions}
	return body
}

// UpdateLockdownExceptions replaces the list; an unknown local user is UserNotFound.
func (m *accessManager) UpdateLockdownExceptions(_ *simulator.Context, req *types.UpdateLockdownExceptions) soap.HasFault {
	body := &methods.UpdateLockdownExceptionsBody{Fault_: m.host.reachable()}
	if body.Fault_ != nil {
		return body
	}
	for _, name := range req.Users {
		if !m.host.knows(name) {
			body.Fault_ = userNotFound(name)
			return body
		}
	}
	m.exceptions = slices.Clone(req.Users)
	body.Res = new(types.UpdateLockdownExceptionsResponse)
	return body
}

func (m *accessManager) RetrieveHostAccessControlEntries(*types.RetrieveHostAccessControlEntries) soap.HasFault {
	body := &methods.RetrieveHostAccessControlEntriesBody{Fault_: m.host.reachable()}
	body.Res = &types.RetrieveHostAccessControlEntriesResponse{Returnval: m.entries}
	return body
}

// ChangeAccessMode sets one principal's mode; accessNone takes its entry away.
func (m *accessManager) ChangeAccessMode(_ *simulator.Context, req *types.ChangeAccessMode) soap.HasFault {
	body := &methods.ChangeAccessModeBody{Fault_: m.host.reachable()}
	switch {
	case body.Fault_ != nil:
	case !m.host.knows(req.Principal):
		body.Fault_ = userNotFound(req.Principal)
	case req.AccessMode == types.HostAccessModeAccessOther || !slices.Contains(accessModes, req.AccessMode):
		// accessOther is what a mixed set of roles reads as; it cannot be set.
		body.Fault_ = invalidArgument("accessMode")
	default:
		m.setEntry(req.Principal, req.IsGroup, req.AccessMode)
		body.Res = new(types.ChangeAccessModeResponse)
	}
	return body
}

var accessModes = []types.HostAccessMode{
	types.HostAccessModeAccessNone, types.HostAccessModeAccessAdmin, types.HostAccessModeAccessNoAccess,
	types.HostAccessModeAccessReadOnly,
}

func (m *accessManager) setEntry(principal string, group bool, mode types.HostAccessMode) {
	entries := slices.DeleteFunc(slices.Clone(m.entries), func(entry types.HostAccessControlEntry) bool {
		return entry.Principal == principal && entry.Group == group
	})
	if mode != types.HostAccessModeAccessNone {
		entries = append(entries, types.HostAccessControlEntry{Principal: principal, Group: group, AccessMode: mode})
	}
	m.entries = entries
}

func (m *accessManager) QuerySystemUsers(*types.QuerySystemUsers) soap.HasFault {
	return &methods.QuerySystemUsersBody{Res: &types.QuerySystemUsersResponse{Returnval: []string{"dcui", "vpxuser"}}}
}

func userNotFound(name string) *soap.Fault {
	return simulator.Fault("The user or group named '"+name+"' does not exist.", &types.UserNotFound{Principal: name})
}
