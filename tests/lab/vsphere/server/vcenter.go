// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// vcenterOptions are vCenter's own settings; their numbers are int, where an ESXi host's are long.
var vcenterOptions = []option{
	{key: "VirtualCenter.FQDN", value: "vcenter.lab.example"},
	{key: "VirtualCenter.InstanceName", value: "vcenter.lab.example"},
	{key: "VirtualCenter.VimPasswordExpirationInDays", value: int32(30), low: 0, high: anyInt},
	{key: "config.log.level", value: "info", choices: []string{"none", "error", "warning", "info", "verbose", "trivia"}},
	{key: "config.nfc.useSSL", value: "true"},
	{key: "config.vmacore.soap.sessionTimeout", value: "120m"},
	{key: "config.vpxd.hostPasswordLength", value: int32(32), low: 0, high: 128},
	{key: "event.batchsize", value: int32(2000), low: 1, high: anyInt},
	{key: "event.maxAge", value: int32(30), low: 1, high: anyInt},
	{key: "event.maxAgeEnabled", value: true},
	{key: "mail.sender", value: ""},
	{key: "mail.smtp.password", value: "lab-smtp-secret"},
	{key: "mail.smtp.port", value: int32(25), low: 1, high: 65535},
	{key: "mail.smtp.server", value: ""},
	{key: "snmp.receiver.1.community", value: "lab-trap-secret"},
	{key: "snmp.receiver.1.enabled", value: true},
	{key: "snmp.receiver.1.name", value: "localhost"},
	{key: "snmp.receiver.1.port", value: int32(162), low: 1, high: 65535},
	{key: "task.maxAge", value: int32(30), low: 1, high: anyInt},
	{key: "task.maxAgeEnabled", value: true},
	{key: "vpxd.certmgmt.mode", value: "vmca", choices: []string{"vmca", "custom", "thumbprint"}},
	{key: "vpxd.event.syslog.enabled", value: true},
	{key: "vpxd.stats.maxQueryMetrics", value: int32(64), low: -1, high: anyInt},
}

// settingsShim stands for vcsim's OptionManager, which takes any key and any value.
type settingsShim struct {
	*simulator.OptionManager

	settings *optionManager
}

// UpdateOptions takes a new key below config., as vCenter does, and checks every other against the list.
func (s *settingsShim) UpdateOptions(ctx *simulator.Context, req *types.UpdateOptions) soap.HasFault {
	for _, change := range req.ChangedValue {
		value := change.GetOptionValue()
		text, isText := value.Value.(string)
		if s.settings.table[value.Key] == nil && strings.HasPrefix(value.Key, "config.") && isText {
			s.settings.table[value.Key] = &option{key: value.Key, value: text}
			s.settings.Setting = append(s.settings.Setting, &types.OptionValue{Key: value.Key, Value: text})
		}
	}
	return s.settings.UpdateOptions(ctx, req)
}

func (s *settingsShim) QueryOptions(req *types.QueryOptions) soap.HasFault {
	return s.settings.QueryOptions(req)
}

// cryptoShim adds to vcsim's key management what newer clients call.
type cryptoShim struct {
	*simulator.CryptoManagerKmip
}

func (s *cryptoShim) ListKmsClusters(*types.ListKmsClusters) soap.HasFault {
	return &methods.ListKmsClustersBody{Res: &types.ListKmsClustersResponse{Returnval: s.KmipServers}}
}

func (s *cryptoShim) IsKmsClusterActive(req *types.IsKmsClusterActive) soap.HasFault {
	res := new(types.IsKmsClusterActiveResponse)
	for _, known := range s.KmipServers {
		res.Returnval = res.Returnval || (req.Cluster == nil && known.UseAsDefault) ||
			(req.Cluster != nil && known.ClusterId.Id == req.Cluster.Id)
	}
	return &methods.IsKmsClusterActiveBody{Res: res}
}

// addService sets up what does not belong to one host: permissions, the property collector, settings, key providers.
func (l *lab) addService() error {
	content, registry := l.model.Service.Context.Map.Get(serviceInstance).(*simulator.ServiceInstance).Content, l.model.Map()
	l.model.ServiceContent = content
	l.faults.apiVersion = content.About.ApiVersion

	l.authorization = newAuthorizationManager(l)
	l.authorization.Self = *content.AuthorizationManager
	registry.Put(l.authorization)
	operators := l.authorization.addRole("VM operator", "VirtualMachine.Interact.PowerOn", "VirtualMachine.Interact.PowerOff",
		"VirtualMachine.Interact.ConsoleInteract", "VirtualMachine.Interact.Reset")
	images := l.authorization.addRole("Image administrator", "ContentLibrary.AddLibraryItem", "ContentLibrary.UpdateLibraryItem",
		"Datastore.FileManagement", "Datastore.Browse", "VirtualMachine.Provisioning.MarkAsTemplate")
	for _, u := range l.config.Users {
		role := l.authorization.role(u.Role)
		if role == nil {
			return fmt.Errorf("user %s: no role %q; there are %s", u.Name, u.Role, strings.Join(l.authorization.roleNames(), ", "))
		}
		l.authorization.grant(content.RootFolder, u.Name, false, role.RoleId)
	}

	collectorLab = l
	collector := new(propertyCollector)
	collector.Self = content.PropertyCollector
	registry.Put(collector)
	if registry.IsESX() {
		return nil
	}

	l.documents = l.newDocuments()
	vcsim := registry.OptionManager()
	l.settings = newOptionManager(vcenterOptions, func(*option) bool { return true })
	l.settings.SupportedOption = supportedOptions(l.settings.table)
	l.settings.Setting = append(l.settings.Setting, ownSettings(vcsim.Setting)...)
	for _, setting := range l.settings.Setting {
		if value := setting.GetOptionValue(); l.settings.table[value.Key] == nil {
			l.settings.table[value.Key] = &option{key: value.Key, value: value.Value}
		}
	}
	vcsim.SupportedOption = l.settings.SupportedOption
	l.settings.changed = func(ctx *simulator.Context) {
		ctx.WithLock(vcsim, func() { vcsim.Setting = l.settings.Setting })
	}
	l.settings.changed(l.context())

	folder := l.folders.VmFolder.Reference()
	l.authorization.grant(folder, `LAB\vm-operators`, true, operators)
	l.authorization.grant(folder, `LAB\vm-admins`, true, l.authorization.role("NoCryptoAdmin").RoleId)
	l.authorization.grant(l.datacenter.Reference(), `LAB\image-admins`, true, images)

	// The encrypted VM is out of reach of the image administrators, whatever other groups they are in.
	for _, machine := range registry.All("VirtualMachine") {
		if machine.Entity().Name == "db01" {
			l.authorization.grant(machine.Reference(), `LAB\image-admins`, true, l.authorization.role("NoAccess").RoleId)
		}
	}

	keys := registry.Get(*content.CryptoManager).(*simulator.CryptoManagerKmip)
	keys.Enabled = true
	keys.KmipServers = []types.KmipClusterInfo{{
		ClusterId: types.KeyProviderId{Id: "lab-native"}, UseAsDefault: true, HasBackup: types.NewBool(true),
		TpmRequired: types.NewBool(false), ManagementType: string(types.KmipClusterInfoKmsManagementTypeNativeProvider),
	}}
	return nil
}

// ownSettings are those of vcsim that the table does not name: where its single sign-on is, mostly.
func ownSettings(settings []types.BaseOptionValue) []types.BaseOptionValue {
	var own []types.BaseOptionValue
	for _, setting := range settings {
		key := setting.GetOptionValue().Key
		named := false
		for i := range vcenterOptions {
			named = named || vcenterOptions[i].key == key
		}
		if !named {
			own = append(own, setting)
		}
	}
	return own
}

var serviceInstance = types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}
