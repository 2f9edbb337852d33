// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// principals of the lab's directory beside the accounts that may log in, with the groups they are members of.
var principals = map[string][]string{
	`LAB\alice`: {`LAB\vm-admins`}, `LAB\bob`: {`LAB\vm-operators`}, `LAB\carol`: {`LAB\vm-operators`, `LAB\image-admins`},
}

var groups = []string{`LAB\vm-admins`, `LAB\vm-operators`, `LAB\image-admins`, "Administrators"}

// authorizationManager decides for real: vcsim's lets everybody do everything.
type authorizationManager struct {
	mo.AuthorizationManager

	lab *lab
	// Permissions are asked for by every call at once.
	mutex       sync.RWMutex
	permissions map[types.ManagedObjectReference][]types.Permission
	nextRole    int32
}

func newAuthorizationManager(l *lab) *authorizationManager {
	m := &authorizationManager{lab: l, permissions: map[types.ManagedObjectReference][]types.Permission{}, nextRole: 501}
	m.RoleList = slices.Clone(esx.RoleList)
	for _, privilege := range m.role("Admin").Privilege {
		group, name, _ := strings.Cut(privilege, ".")
		m.PrivilegeList = append(m.PrivilegeList, types.AuthorizationPrivilege{
			PrivId: privilege, Name: name, PrivGroupName: group,
		})
	}
	return m
}

func (m *authorizationManager) role(name string) *types.AuthorizationRole {
	for i := range m.RoleList {
		if m.RoleList[i].Name == name {
			return &m.RoleList[i]
		}
	}
	return nil
}

func (m *authorizationManager) roleNames() []string {
	names := make([]string, 0, len(m.RoleList))
	for _, role := range m.RoleList {
		names = append(names, role.Name)
	}
	return names
}

func (m *authorizationManager) roleByID(id int32) *types.AuthorizationRole {
	for i := range m.RoleList {
		if m.RoleList[i].RoleId == id {
			return &m.RoleList[i]
		}
	}
	return nil
}

// addRole makes a role that is not the system's.
func (m *authorizationManager) addRole(name string, privileges ...string) int32 {
	m.RoleList = append(m.RoleList, types.AuthorizationRole{
		RoleId: m.nextRole, Name: name, Privilege: append([]string{"System.Anonymous", "System.Read", "System.View"}, privileges...),
		Info: &types.Description{Label: name, Summary: name},
	})
	m.nextRole++
	return m.nextRole - 1
}

func (m *authorizationManager) grant(entity types.ManagedObjectReference, principal string, group bool, role int32) {
	m.set(entity, types.Permission{
		Entity: &entity, Principal: principal, Group: group, RoleId: role, Propagate: true,
	})
}

func (m *authorizationManager) set(entity types.ManagedObjectReference, permission types.Permission) {
	kept := slices.DeleteFunc(slices.Clone(m.permissions[entity]), func(p types.Permission) bool {
		return strings.EqualFold(p.Principal, permission.Principal) && p.Group == permission.Group
	})
	m.permissions[entity] = append(kept, permission)
}

// known says whether the directory has the user or group.
func (m *authorizationManager) known(name string, group bool) bool {
	if group {
		return slices.ContainsFunc(groups, func(g string) bool { return strings.EqualFold(g, name) })
	}
	for _, u := range m.lab.config.Users {
		if strings.EqualFold(u.Name, name) {
			return true
		}
	}
	return groupsOf(name) != nil
}

func groupsOf(name string) []string {
	for principal, member := range principals {
		if strings.EqualFold(principal, name) {
			return member
		}
	}
	return nil
}

// privileges are those that hold for the user on the entity: the nearest entity upwards that says something decides; an
// entry for the user himself beats those of his groups, and those of several groups add up.
func (m *authorizationManager) privileges(ctx *simulator.Context, user string, entity types.ManagedObjectReference) []string {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	member := groupsOf(user)
	for at, first := entity, true; ; first = false {
		var own, shared []string
		ownFound, sharedFound := false, false
		for _, p := range m.permissions[at] {
			if !first && !p.Propagate {
				continue
			}
			role := m.roleByID(p.RoleId)
			if role == nil {
				continue
			}
			if !p.Group && strings.EqualFold(p.Principal, user) {
				own, ownFound = role.Privilege, true
			}
			if p.Group && slices.ContainsFunc(member, func(g string) bool { return strings.EqualFold(g, p.Principal) }) {
				shared, sharedFound = append(shared, role.Privilege...), true
			}
		}
		if ownFound {
			return own
		}
		if sharedFound {
			return shared
		}
		parent := parentOf(ctx, at)
		if parent == nil {
			return nil
		}
		at = *parent
	}
}

func isEntity(ctx *simulator.Context, ref types.ManagedObjectReference) bool {
	_, ok := ctx.Map.Get(ref).(mo.Entity)
	return ok
}

func parentOf(ctx *simulator.Context, ref types.ManagedObjectReference) *types.ManagedObjectReference {
	if entity, ok := ctx.Map.Get(ref).(mo.Entity); ok {
		return entity.Entity().Parent
	}
	return nil
}

func (m *authorizationManager) holds(ctx *simulator.Context, user, privilege string, entity types.ManagedObjectReference) bool {
	return slices.Contains(m.privileges(ctx, user, entity), privilege)
}

func (m *authorizationManager) RetrieveEntityPermissions(ctx *simulator.Context, req *types.RetrieveEntityPermissions) soap.HasFault {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	res := &types.RetrieveEntityPermissionsResponse{Returnval: slices.Clone(m.permissions[req.Entity])}
	for at := parentOf(ctx, req.Entity); req.Inherited && at != nil; at = parentOf(ctx, *at) {
		for _, p := range m.permissions[*at] {
			if p.Propagate {
				res.Returnval = append(res.Returnval, p)
			}
		}
	}
	return &methods.RetrieveEntityPermissionsBody{Res: res}
}

func (m *authorizationManager) RetrieveAllPermissions(*types.RetrieveAllPermissions) soap.HasFault {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	res := new(types.RetrieveAllPermissionsResponse)
	for _, permissions := range m.permissions {
		res.Returnval = append(res.Returnval, permissions...)
	}
	return &methods.RetrieveAllPermissionsBody{Res: res}
}

func (m *authorizationManager) RetrieveRolePermissions(req *types.RetrieveRolePermissions) soap.HasFault {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	body := &methods.RetrieveRolePermissionsBody{Res: new(types.RetrieveRolePermissionsResponse)}
	if m.roleByID(req.RoleId) == nil {
		body.Fault_ = notFound()
	}
	for _, permissions := range m.permissions {
		for _, p := range permissions {
			if p.RoleId == req.RoleId {
				body.Res.Returnval = append(body.Res.Returnval, p)
			}
		}
	}
	return body
}

// SetEntityPermissions adds the entries, or replaces those of the same principal; the others stay.
func (m *authorizationManager) SetEntityPermissions(ctx *simulator.Context, req *types.SetEntityPermissions) soap.HasFault {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	body := &methods.SetEntityPermissionsBody{Fault_: m.refuse(ctx, req.Entity, req.Permission)}
	if body.Fault_ == nil {
		for _, p := range req.Permission {
			p.Entity = &req.Entity
			m.set(req.Entity, p)
		}
		body.Res = new(types.SetEntityPermissionsResponse)
	}
	return body
}

// ResetEntityPermissions replaces all entries of the entity.
func (m *authorizationManager) ResetEntityPermissions(ctx *simulator.Context, req *types.ResetEntityPermissions) soap.HasFault {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	body := &methods.ResetEntityPermissionsBody{Fault_: m.refuse(ctx, req.Entity, req.Permission)}
	if body.Fault_ == nil && !m.keepsAdmin(req.Entity, req.Permission) {
		body.Fault_ = lastAdmin()
	}
	if body.Fault_ == nil {
		delete(m.permissions, req.Entity)
		for _, p := range req.Permission {
			p.Entity = &req.Entity
			m.set(req.Entity, p)
		}
		body.Res = new(types.ResetEntityPermissionsResponse)
	}
	return body
}

func (m *authorizationManager) refuse(ctx *simulator.Context, entity types.ManagedObjectReference, permissions []types.Permission) *soap.Fault {
	if ctx.Map.Get(entity) == nil {
		return simulator.Fault("", &types.ManagedObjectNotFound{Obj: entity})
	}
	for _, p := range permissions {
		if m.roleByID(p.RoleId) == nil {
			return notFound()
		}
		if !m.known(p.Principal, p.Group) {
			return userNotFound(p.Principal)
		}
	}
	return nil
}

func lastAdmin() *soap.Fault {
	return simulator.Fault("The last administrator cannot be removed.", new(types.AuthMinimumAdminPermission))
}

// keepsAdmin says whether the root folder would still have an administrator.
func (m *authorizationManager) keepsAdmin(entity types.ManagedObjectReference, after []types.Permission) bool {
	admin := m.role("Admin").RoleId
	return entity != m.lab.model.ServiceContent.RootFolder ||
		slices.ContainsFunc(after, func(p types.Permission) bool { return p.RoleId == admin && p.Propagate })
}

func (m *authorizationManager) RemoveEntityPermission(req *types.RemoveEntityPermission) soap.HasFault {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	body := &methods.RemoveEntityPermissionBody{Res: new(types.RemoveEntityPermissionResponse)}
	kept := slices.DeleteFunc(slices.Clone(m.permissions[req.Entity]), func(p types.Permission) bool {
		return strings.EqualFold(p.Principal, req.User) && p.Group == req.IsGroup
	})
	switch {
	case len(kept) == len(m.permissions[req.Entity]):
		body.Fault_ = notFound()
	case !m.keepsAdmin(req.Entity, kept):
		body.Fault_ = lastAdmin()
	default:
		m.permissions[req.Entity] = kept
	}
	return body
}
