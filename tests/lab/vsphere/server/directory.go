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

// The directory of the lab: one domain, one account that may join hosts to it, and one with the same password that may not.
const (
	labDomain    = "lab.example"
	joinUser     = "joiner"
	visitor      = "visitor"
	joinPassword = "lab-join-password"
	labPrefix    = `LAB\`
)

// authenticationManager is HostAuthenticationManager; its stores are the local users and Active Directory.
type authenticationManager struct {
	mo.HostAuthenticationManager
}

// activeDirectory is HostActiveDirectoryAuthentication.
type activeDirectory struct {
	mo.HostActiveDirectoryAuthentication

	host *esxHost
}

func authenticationInfo(directory *types.HostActiveDirectoryInfo) types.HostAuthenticationManagerInfo {
	local := new(types.HostLocalAuthenticationInfo)
	local.Enabled = true
	return types.HostAuthenticationManagerInfo{AuthConfig: []types.BaseHostAuthenticationStoreInfo{local, directory}}
}

func notJoined() *types.HostActiveDirectoryInfo {
	return &types.HostActiveDirectoryInfo{SmartCardAuthenticationEnabled: types.NewBool(false)}
}

func (s *activeDirectory) info() *types.HostActiveDirectoryInfo {
	return s.Info.(*types.HostActiveDirectoryInfo)
}

// publish shows the membership in the store, in the manager and in the host's config.
func (s *activeDirectory) publish(ctx *simulator.Context, info *types.HostActiveDirectoryInfo) {
	all := authenticationInfo(info)
	s.Info = info
	s.host.authentication.Info = all
	s.host.update(ctx, func(config *types.HostConfigInfo) { config.AuthenticationManagerInfo = &all })
}

func (s *activeDirectory) JoinDomainTask(ctx *simulator.Context, req *types.JoinDomain_Task) soap.HasFault {
	if fault := s.host.reachable(); fault != nil {
		return &methods.JoinDomain_TaskBody{Fault_: fault}
	}
	task := simulator.CreateTask(s.host.system, "joinDomain", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if fault := s.notJoining(req); fault != nil {
			return nil, fault
		}
		info := notJoined()
		info.Enabled, info.JoinedDomain = true, strings.ToUpper(labDomain)
		info.DomainMembershipStatus = string(types.HostActiveDirectoryInfoDomainMembershipStatusOk)
		s.publish(ctx, info)
		return nil, s.admins(ctx)
	})
	return &methods.JoinDomain_TaskBody{Res: &types.JoinDomain_TaskResponse{Returnval: task.Run(ctx)}}
}

// notJoining is why a host cannot join; a domain may be given with the organisational unit after a slash.
func (s *activeDirectory) notJoining(req *types.JoinDomain_Task) types.BaseMethodFault {
	domain, _, _ := strings.Cut(req.DomainName, "/")
	name, _, _ := strings.Cut(strings.TrimPrefix(req.UserName, labPrefix), "@")
	switch {
	case s.info().Enabled:
		return new(types.InvalidState)
	case !strings.EqualFold(domain, labDomain):
		return &types.DomainNotFound{DomainName: domain}
	case !strings.HasSuffix(strings.ToLower(s.host.system.Name), "."+labDomain):
		return new(types.InvalidHostName)
	case name != joinUser && name != visitor || req.Password != joinPassword:
		return new(types.InvalidLogin)
	case name == visitor:
		return new(types.NoPermissionOnAD)
	}
	return nil
}

// admins gives the group its access on joining, when the host is told to: the hole of CVE-2024-37085.
func (s *activeDirectory) admins(ctx *simulator.Context) types.BaseMethodFault {
	const prefix = "Config.HostAgent.plugins.hostsvc."
	group, _ := s.host.options.get(prefix + "esxAdminsGroup").(string)
	if add, _ := s.host.options.get(prefix + "esxAdminsGroupAutoAdd").(bool); add && group != "" {
		s.host.access.setEntry(labPrefix+group, true, types.HostAccessModeAccessAdmin)
	}
	return nil
}

// LeaveCurrentDomainTask needs no account of the directory, and may not be called by one. Where accounts of the domain have
// permissions it is refused, unless they are to be deleted.
func (s *activeDirectory) LeaveCurrentDomainTask(ctx *simulator.Context, req *types.LeaveCurrentDomain_Task) soap.HasFault {
	if fault := s.host.reachable(); fault != nil {
		return &methods.LeaveCurrentDomain_TaskBody{Fault_: fault}
	}
	task := simulator.CreateTask(s.host.system, "leaveCurrentDomain", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		held := s.host.access.ofDomain()
		switch {
		case !s.info().Enabled || len(held) > 0 && !req.Force:
			return nil, new(types.InvalidState)
		case strings.HasPrefix(ctx.Session.UserName, labPrefix):
			return nil, new(types.NonADUserRequired)
		}
		for _, entry := range held {
			s.host.access.setEntry(entry.Principal, entry.Group, types.HostAccessModeAccessNone)
		}
		s.publish(ctx, notJoined())
		return nil, nil
	})
	return &methods.LeaveCurrentDomain_TaskBody{Res: &types.LeaveCurrentDomain_TaskResponse{Returnval: task.Run(ctx)}}
}

// ofDomain is what accounts and groups of the domain may do on the host itself.
func (m *accessManager) ofDomain() []types.HostAccessControlEntry {
	return slices.DeleteFunc(slices.Clone(m.entries), func(entry types.HostAccessControlEntry) bool {
		return !strings.HasPrefix(entry.Principal, labPrefix)
	})
}

// JoinDomainWithCAMTask needs a CAM server, which the lab has not.
func (s *activeDirectory) JoinDomainWithCAMTask(ctx *simulator.Context, _ *types.JoinDomainWithCAM_Task) soap.HasFault {
	task := simulator.CreateTask(s.host.system, "joinDomainWithCAM", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, new(types.CAMServerRefusedConnection)
	})
	return &methods.JoinDomainWithCAM_TaskBody{Res: &types.JoinDomainWithCAM_TaskResponse{Returnval: task.Run(ctx)}}
}
