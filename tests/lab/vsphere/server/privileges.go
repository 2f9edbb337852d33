// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// methodsByPrivilege is what the vSphere API declares for each method; pyVmomi's type definitions carry it. Methods that
// are not named here need System.View or System.Read only, or are in privilegeOf.
var methodsByPrivilege = map[string]string{
	"Alarm.Create":                               "CreateAlarm",
	"Alarm.Delete":                               "RemoveAlarm",
	"Alarm.DisableActions":                       "EnableAlarmActions",
	"Alarm.Edit":                                 "ReconfigureAlarm",
	"Alarm.SetStatus":                            "ClearTriggeredAlarms AcknowledgeAlarm",
	"Authorization.ModifyPermissions":            "SetEntityPermissions ResetEntityPermissions RemoveEntityPermission",
	"Authorization.ModifyRoles":                  "AddAuthorizationRole RemoveAuthorizationRole UpdateAuthorizationRole",
	"Authorization.ReassignRolePermissions":      "MergePermissions",
	"Cryptographer.ManageKeyServers":             "RegisterKmipServer MarkDefault UpdateKmipServer RemoveKmipServer ListKmipServers RetrieveKmipServersStatus_Task SetDefaultKmsCluster GetDefaultKmsCluster RegisterKmsCluster UnregisterKmsCluster ListKmsClusters IsKmsClusterActive",
	"Cryptographer.ManageKeys":                   "ListKeys GenerateKey AddKey AddKeys RemoveKey RemoveKeys QueryCryptoKeyStatus",
	"Cryptographer.RegisterHost":                 "PrepareCrypto EnableCrypto ConfigureCryptoKey",
	"DVPortgroup.Create":                         "AddDVPortgroup_Task CreateDVPortgroup_Task",
	"DVPortgroup.Modify":                         "ReconfigureDVPortgroup_Task",
	"DVSwitch.Modify":                            "ReconfigureDvs_Task MergeDvs_Task UpdateDVSHealthCheckConfig_Task",
	"DVSwitch.ResourceManagement":                "EnableNetworkResourceManagement UpdateNetworkResourcePool AddNetworkResourcePool",
	"Global.Settings":                            "QueryLockdownExceptions UpdateLockdownExceptions RetrieveHostAccessControlEntries ChangeAccessMode UpdateSystemUsers ReconfigureSnmpAgent SendTestNotification",
	"Host.Config.AuthenticationStore":            "JoinDomain_Task JoinDomainWithCAM_Task LeaveCurrentDomain_Task EnableSmartCardAuthentication DisableSmartCardAuthentication",
	"Host.Config.Connection":                     "ReconnectHost_Task DisconnectHost_Task",
	"Host.Config.DateTime":                       "UpdateDateTimeConfig UpdateDateTime RefreshDateTimeSystem",
	"Host.Config.Image":                          "UpdateHostImageAcceptanceLevel fetchSoftwarePackages installDate",
	"Host.Config.Maintenance":                    "EnterMaintenanceMode_Task ExitMaintenanceMode_Task RebootHost_Task ShutdownHost_Task",
	"Host.Config.NetService":                     "StartService StopService RestartService UpdateServicePolicy RefreshServices UpdateDefaultPolicy EnableRuleset DisableRuleset UpdateRuleset RefreshFirewall",
	"Host.Config.Network":                        "UpdateVirtualSwitch UpdatePortGroup AddVirtualSwitch AddPortGroup RemoveVirtualSwitch RemovePortGroup UpdateNetworkConfig SelectVnicForNicType DeselectVnicForNicType",
	"Host.Config.Settings":                       "ChangeLockdownMode EnterLockdownMode ExitLockdownMode QueryModules QueryConfiguredModuleOptionString UpdateModuleOptionString ExecuteSoap RetrieveManagedMethodExecuter RetrieveDynamicTypeManager",
	"Host.Inventory.AddHostToCluster":            "AddHost_Task",
	"Host.Inventory.EditCluster":                 "ReconfigureComputeResource_Task ReconfigureCluster_Task",
	"Host.Local.ManageUserGroups":                "CreateUser UpdateUser RemoveUser",
	"Sessions.TerminateSession":                  "TerminateSession",
	"VirtualMachine.Interact.PowerOff":           "PowerOffVM_Task",
	"VirtualMachine.Interact.PowerOn":            "PowerOnVM_Task",
	"VirtualMachine.Inventory.Create":            "CreateVM_Task",
	"VirtualMachine.Inventory.Delete":            "Destroy_Task",
	"VirtualMachine.Provisioning.MarkAsVM":       "MarkAsVirtualMachine",
	"VirtualMachine.Provisioning.MarkAsTemplate": "MarkAsTemplate",
}

var privilegeByMethod = func() map[string]string {
	table := map[string]string{}
	for privilege, methods := range methodsByPrivilege {
		for _, method := range strings.Fields(methods) {
			table[method] = privilege
		}
	}
	return table
}()

// privilegesOf names the privileges that a call needs, where it depends on what the call changes too.
func (l *lab) privilegesOf(method *simulator.Method) []string {
	switch body := method.Body.(type) {
	case *types.UpdateOptions:
		if method.This == *l.model.ServiceContent.Setting {
			return []string{"Global.Settings"}
		}
		return []string{"Host.Config.AdvancedConfig"}
	case *types.ReconfigVM_Task:
		return reconfigurePrivileges(&body.Spec)
	}
	if privilege := privilegeByMethod[method.Name]; privilege != "" {
		return []string{privilege}
	}
	return nil
}

// reconfigurePrivileges goes by the fields that are set, as VirtualMachineConfigSpec documents each.
func reconfigurePrivileges(spec *types.VirtualMachineConfigSpec) []string {
	var needed []string
	add := func(set bool, privilege string) {
		if set {
			needed = append(needed, "VirtualMachine.Config."+privilege)
		}
	}
	add(spec.CpuAllocation != nil || spec.MemoryAllocation != nil, "Resource")
	add(spec.NumCPUs != 0, "CPUCount")
	add(spec.ExtraConfig != nil, "AdvancedConfig")
	add(spec.DeviceChange != nil, "EditDevice")
	add(spec.MaxMksConnections != 0 || spec.GuestAutoLockEnabled != nil, "MksControl")
	add(spec.Flags != nil || spec.NestedHVEnabled != nil || spec.MigrateEncryption != "" || len(needed) == 0, "Settings")
	return needed
}

// propertyPrivileges are the properties that need more than reading their object.
var propertyPrivileges = map[string]string{"SessionManager.sessionList": "Sessions.TerminateSession"}

// owner is the entity on which permission for an object is decided: itself, or the host that a manager belongs to; the
// root folder for everything else.
func (l *lab) owner(ctx *simulator.Context, ref types.ManagedObjectReference) types.ManagedObjectReference {
	if host, ok := l.owners[ref]; ok {
		return host
	}
	if isEntity(ctx, ref) {
		return ref
	}
	return l.model.ServiceContent.RootFolder
}
