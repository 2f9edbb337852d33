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

// unknownPrivilege is the first that the server does not know, if any.
func (m *authorizationManager) unknownPrivilege(ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(m.role("Admin").Privilege, id) })
}

func (m *authorizationManager) AddAuthorizationRole(req *types.AddAuthorizationRole) soap.HasFault {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	body := new(methods.AddAuthorizationRoleBody)
	switch {
	case req.Name == "":
		body.Fault_ = invalidName(req.Name)
	case m.role(req.Name) != nil:
		body.Fault_ = simulator.Fault("", &types.AlreadyExists{Name: req.Name})
	case m.unknownPrivilege(req.PrivIds):
		body.Fault_ = invalidArgument("privIds")
	default:
		body.Res = &types.AddAuthorizationRoleResponse{Returnval: m.addRole(req.Name, req.PrivIds...)}
	}
	return body
}

// UpdateAuthorizationRole refuses the system's own roles.
func (m *authorizationManager) UpdateAuthorizationRole(req *types.UpdateAuthorizationRole) soap.HasFault {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	body := &methods.UpdateAuthorizationRoleBody{Res: new(types.UpdateAuthorizationRoleResponse)}
	index := slices.IndexFunc(m.RoleList, func(r types.AuthorizationRole) bool { return r.RoleId == req.RoleId })
	other := m.role(req.NewName)
	switch {
	case index < 0:
		body.Fault_ = notFound()
	case m.RoleList[index].System:
		body.Fault_ = invalidArgument("roleId")
	case other != nil && other.RoleId != req.RoleId:
		body.Fault_ = simulator.Fault("", &types.AlreadyExists{Name: req.NewName})
	case m.unknownPrivilege(req.PrivIds):
		body.Fault_ = invalidArgument("privIds")
	default:
		roles := slices.Clone(m.RoleList)
		roles[index].Name = req.NewName
		privileges := []string{"System.Anonymous", "System.Read", "System.View"}
		for _, id := range req.PrivIds {
			if !slices.Contains(privileges, id) {
				privileges = append(privileges, id)
			}
		}
		roles[index].Privilege = privileges
		m.RoleList = roles
	}
	return body
}

// RemoveAuthorizationRole takes the permissions of the role along, unless the caller wants it refused then.
func (m *authorizationManager) RemoveAuthorizationRole(req *types.RemoveAuthorizationRole) soap.HasFault {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	body := &methods.RemoveAuthorizationRoleBody{Res: new(types.RemoveAuthorizationRoleResponse)}
	role := m.roleByID(req.RoleId)
	uses := func(p types.Permission) bool { return p.RoleId == req.RoleId }
	switch {
	case role == nil:
		body.Fault_ = notFound()
		return body
	case role.System:
		body.Fault_ = invalidArgument("roleId")
		return body
	}
	for _, permissions := range m.permissions {
		if req.FailIfUsed && slices.ContainsFunc(permissions, uses) {
			body.Fault_ = simulator.Fault("The role is in use.", new(types.RemoveFailed))
			return body
		}
	}
	for entity, permissions := range m.permissions {
		m.permissions[entity] = slices.DeleteFunc(slices.Clone(permissions), uses)
	}
	m.RoleList = slices.DeleteFunc(slices.Clone(m.RoleList), func(r types.AuthorizationRole) bool { return r.RoleId == req.RoleId })
	return body
}

func (m *authorizationManager) HasPrivilegeOnEntity(ctx *simulator.Context, req *types.HasPrivilegeOnEntity) soap.HasFault {
	res := new(types.HasPrivilegeOnEntityResponse)
	for _, id := range req.PrivId {
		res.Returnval = append(res.Returnval, m.holds(ctx, ctx.Session.UserName, id, req.Entity))
	}
	return &methods.HasPrivilegeOnEntityBody{Res: res}
}

func (m *authorizationManager) availability(ctx *simulator.Context, user string, entities []types.ManagedObjectReference, ids []string) []types.EntityPrivilege {
	var all []types.EntityPrivilege
	for _, entity := range entities {
		found := types.EntityPrivilege{Entity: entity}
		for _, id := range ids {
			found.PrivAvailability = append(found.PrivAvailability, types.PrivilegeAvailability{
				PrivId: id, IsGranted: m.holds(ctx, user, id, entity),
			})
		}
		all = append(all, found)
	}
	return all
}

func (m *authorizationManager) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{
		Returnval: m.availability(ctx, ctx.Session.UserName, req.Entity, req.PrivId),
	}}
}

func (m *authorizationManager) HasUserPrivilegeOnEntities(ctx *simulator.Context, req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	body := new(methods.HasUserPrivilegeOnEntitiesBody)
	if !m.known(req.UserName, false) {
		body.Fault_ = userNotFound(req.UserName)
		return body
	}
	body.Res = &types.HasUserPrivilegeOnEntitiesResponse{
		Returnval: m.availability(ctx, req.UserName, req.Entities, req.PrivId),
	}
	return body
}

func (m *authorizationManager) FetchUserPrivilegeOnEntities(ctx *simulator.Context, req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	body := new(methods.FetchUserPrivilegeOnEntitiesBody)
	if !m.known(req.UserName, false) {
		body.Fault_ = userNotFound(req.UserName)
		return body
	}
	body.Res = new(types.FetchUserPrivilegeOnEntitiesResponse)
	for _, entity := range req.Entities {
		body.Res.Returnval = append(body.Res.Returnval, types.UserPrivilegeResult{
			Entity: entity, Privileges: m.privileges(ctx, req.UserName, entity),
		})
	}
	return body
}
