// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// esxHost is one ESXi host of the lab: vcsim's HostSystem and the managers that it lacks.
type esxHost struct {
	system  *simulator.HostSystem
	lab     *lab
	release *release
	number  int

	options        *optionManager
	services       *serviceSystem
	access         *accessManager
	firewall       *firewallSystem
	image          *imageManager
	dates          *dateTimeSystem
	snmp           *snmpSystem
	network        *networkSystem
	authentication *authenticationManager
	directory      *activeDirectory
	shell          *shell

	// down while it restarts.
	down atomic.Bool
}

// update changes the host's config under the lock that readers of its properties hold.
func (h *esxHost) update(ctx *simulator.Context, f func(*types.HostConfigInfo)) {
	ctx.WithLock(h.system, func() { f(h.system.Config) })
}

func (h *esxHost) runtime() *types.HostRuntimeInfo { return &h.system.Runtime }

// reachable is HostNotConnected unless vCenter can speak with the host.
func (h *esxHost) reachable() *soap.Fault {
	state := h.runtime().ConnectionState
	if state == types.HostSystemConnectionStateConnected {
		return nil
	}
	return simulator.Fault(fmt.Sprintf("Unable to communicate with the remote host, since it is %s.", state),
		new(types.HostNotConnected))
}

// knows says whether the name is a local user, or in a domain's form, which the host passes on to the directory.
func (h *esxHost) knows(name string) bool {
	if domain, _, directory := strings.Cut(name, `\`); directory {
		return h.directory.info().Enabled && strings.EqualFold(domain, "lab")
	}
	return h.shell.account(name) != nil
}

// put registers one manager under the name that vCenter gives it, and returns the reference for configManager.
func (h *esxHost) put(ctx *simulator.Context, kind, prefix string, manager mo.Reference) *types.ManagedObjectReference {
	_, id, _ := strings.Cut(h.system.Self.Value, "-")
	ref := types.ManagedObjectReference{Type: kind, Value: prefix + "-" + id}
	reflect.ValueOf(manager).Elem().FieldByName("Self").Set(reflect.ValueOf(ref))
	ctx.Map.Put(manager)
	h.lab.owners[ref] = h.system.Self
	return &ref
}

// newHost turns one of vcsim's hosts, which is a virtual ESXi 6.5, into a physical one of the release.
func newHost(ctx *simulator.Context, l *lab, system *simulator.HostSystem, r *release, number int) (*esxHost, error) {
	h := &esxHost{system: system, lab: l, release: r, number: number}
	certificate, err := l.authority.hostCertificate(system.Name)
	if err != nil {
		return nil, err
	}
	h.identify(certificate)
	h.addManagers(ctx)
	certificates := ctx.Map.Get(*system.ConfigManager.CertificateManager).(*simulator.HostCertificateManager)
	installed := certificates.InstallServerCertificate(ctx, &types.InstallServerCertificate{Cert: string(certificate)})
	if fault := installed.Fault(); fault != nil {
		return nil, fmt.Errorf("%s: certificate: %s", system.Name, fault.String)
	}
	certificates.CertificateInfo.Status = string(types.HostCertificateManagerCertificateInfoCertificateStatusGood)
	return h, nil
}

// addManagers puts the lab's managers in the place of vcsim's and publishes what they hold in the host's config.
func (h *esxHost) addManagers(ctx *simulator.Context) {
	r, manager := h.release, &h.system.ConfigManager
	for _, ref := range []*types.ManagedObjectReference{
		manager.AdvancedOption, manager.FirewallSystem, manager.NetworkSystem, manager.VirtualNicManager,
	} {
		ctx.Map.Remove(ctx, *ref)
	}
	h.services, h.access, h.firewall = newServiceSystem(h), newAccessManager(h), newFirewallSystem(h)
	h.image, h.dates, h.snmp = newImageManager(h), newDateTimeSystem(h), newSnmpSystem(h)
	h.network = newNetworkSystem(h, newNetwork(h.number))
	h.directory, h.authentication = &activeDirectory{host: h}, &authenticationManager{}
	h.directory.Info = notJoined()
	h.authentication.Info = authenticationInfo(notJoined())
	h.shell = newShell(h)
	ctx.Map.Put(h.shell)
	h.lab.owners[h.shell.Self] = h.system.Self
	h.options = newOptionManager(hostOptions, func(o *option) bool { return o.in(r) })
	h.options.host = h
	h.options.SupportedOption = h.lab.optionDefs(r, h.options.table)
	h.options.refuse = func(key string) bool { return h.lab.faults.refuses(h.system.Name, key) }
	h.options.changed = func(ctx *simulator.Context) {
		h.update(ctx, func(config *types.HostConfigInfo) { config.Option = h.options.Setting })
	}
	h.shell.started()

	manager.AdvancedOption = h.put(ctx, "OptionManager", "EsxHostAdvSettings", h.options)
	manager.ServiceSystem = h.put(ctx, "HostServiceSystem", "serviceSystem", h.services)
	manager.HostAccessManager = h.put(ctx, "HostAccessManager", "hostAccessManager", h.access)
	manager.FirewallSystem = h.put(ctx, "HostFirewallSystem", "firewallSystem", h.firewall)
	manager.ImageConfigManager = h.put(ctx, "HostImageConfigManager", "imageConfigManager", h.image)
	manager.KernelModuleSystem = h.put(ctx, "HostKernelModuleSystem", "kernelModuleSystem", newKernelModules(h))
	manager.DateTimeSystem = h.put(ctx, "HostDateTimeSystem", "dateTimeSystem", h.dates)
	manager.SnmpSystem = h.put(ctx, "HostSnmpSystem", "snmpSystem", h.snmp)
	manager.NetworkSystem = h.put(ctx, "HostNetworkSystem", "networkSystem", h.network)
	nics := newNicManager(h.network.NetworkInfo)
	manager.VirtualNicManager = h.put(ctx, "HostVirtualNicManager", "virtualNicManager", &nicManager{
		HostVirtualNicManager: mo.HostVirtualNicManager{Info: *nics}, host: h,
	})
	store := h.put(ctx, "HostActiveDirectoryAuthentication", "activeDirectory", h.directory)
	h.authentication.SupportedStore = []types.ManagedObjectReference{*store}
	manager.AuthenticationManager = h.put(ctx, "HostAuthenticationManager", "authenticationManager", h.authentication)

	config, dates := h.system.Config, h.dates.DateTimeInfo
	config.Option, config.OptionDef = h.options.Setting, nil
	config.Service = &types.HostServiceInfo{Service: h.services.ServiceInfo.Service}
	config.Firewall, config.DateTimeInfo = h.firewall.FirewallInfo, &dates
	config.Network, config.VirtualNicManagerInfo = h.network.NetworkInfo, nics
	config.AuthenticationManagerInfo = &types.HostAuthenticationManagerInfo{AuthConfig: h.authentication.Info.AuthConfig}
	config.LockdownMode, config.AdminDisabled = h.access.LockdownMode, types.NewBool(false)
	config.PciPassthruInfo = []types.BaseHostPciPassthruInfo{
		&types.HostPciPassthruInfo{Id: "0000:31:00.0", DependentDevice: "0000:31:00.0", PassthruCapable: true},
		&types.HostPciPassthruInfo{Id: "0000:00:1f.0", DependentDevice: "0000:00:1f.0"},
	}
}

// hostShim stands for the HostSystem in calls that vcsim lacks or does by half; wrapping it for good breaks vcsim.
type hostShim struct {
	*simulator.HostSystem

	host *esxHost
}

// EnterLockdownMode and ExitLockdownMode are the old calls for normal lockdown.
func (s *hostShim) EnterLockdownMode(ctx *simulator.Context, _ *types.EnterLockdownMode) soap.HasFault {
	body := &methods.EnterLockdownModeBody{Res: new(types.EnterLockdownModeResponse)}
	if s.host.access.LockdownMode != types.HostLockdownModeLockdownDisabled {
		body.Fault_ = invalidState()
		return body
	}
	body.Fault_ = s.host.access.ChangeLockdownMode(ctx, &types.ChangeLockdownMode{
		Mode: types.HostLockdownModeLockdownNormal,
	}).Fault()
	return body
}

func (s *hostShim) ExitLockdownMode(ctx *simulator.Context, _ *types.ExitLockdownMode) soap.HasFault {
	body := &methods.ExitLockdownModeBody{Res: new(types.ExitLockdownModeResponse)}
	if s.host.access.LockdownMode == types.HostLockdownModeLockdownDisabled {
		body.Fault_ = invalidState()
		return body
	}
	body.Fault_ = s.host.access.ChangeLockdownMode(ctx, &types.ChangeLockdownMode{
		Mode: types.HostLockdownModeLockdownDisabled,
	}).Fault()
	return body
}

// identify sets product, hardware, TPM, secure boot and certificate.
func (h *esxHost) identify(certificate []byte) {
	r, system := h.release, h.system
	product := types.AboutInfo{
		Name: "VMware ESXi", FullName: fmt.Sprintf("VMware ESXi %s build-%s", r.version, r.build),
		Vendor: "VMware, Inc.", Version: r.version, PatchLevel: r.update, Build: r.build,
		LocaleVersion: "INTL", LocaleBuild: "000", OsType: "vmnix-x86", ProductLineId: "embeddedEsx",
		ApiType: "HostAgent", ApiVersion: r.apiVersion,
		LicenseProductName: "VMware ESX Server", LicenseProductVersion: r.version[:1] + ".0",
	}
	system.Config.Product = product
	system.Config.Certificate = certificate
	system.Summary.Config.Product = &product

	hardware := system.Hardware
	hardware.SystemInfo.Vendor, hardware.SystemInfo.Model = "Dell Inc.", "PowerEdge R650"
	hardware.SystemInfo.SerialNumber = fmt.Sprintf("LAB%05d", h.number)
	hardware.CpuInfo = types.HostCpuInfo{NumCpuPackages: 2, NumCpuCores: 32, NumCpuThreads: 64, Hz: 2_800_000_000}
	hardware.MemorySize = 256 << 30
	hardware.CpuFeature = cpuFeatures
	released := time.Date(2024, 2, 20, 0, 0, 0, 0, time.UTC)
	hardware.BiosInfo = &types.HostBIOSInfo{
		BiosVersion: "1.13.2", ReleaseDate: &released, Vendor: "Dell Inc.", MajorRelease: 1, MinorRelease: 13,
	}
	summary := system.Summary.Hardware
	summary.Vendor, summary.Model, summary.MemorySize = "Dell Inc.", "PowerEdge R650", hardware.MemorySize
	summary.CpuModel = "Intel(R) Xeon(R) Gold 6342 CPU @ 2.80GHz"
	summary.CpuMhz, summary.NumCpuPkgs, summary.NumCpuCores, summary.NumCpuThreads = 2800, 2, 32, 64

	system.Capability.CpuHwMmuSupported = types.NewBool(true)
	system.Capability.CpuMemoryResourceConfigurationSupported = true
	system.Capability.TpmSupported = true
	system.Capability.TpmVersion = "2.0"
	// uefiSecureBoot came with the 8.0.3 API (pitfall P2).
	if r.rank >= 803 {
		system.Capability.UefiSecureBoot = types.NewBool(true)
	}
	booted := time.Now().UTC().Add(-30 * 24 * time.Hour)
	system.Runtime.BootTime = &booted
	system.Runtime.CryptoState = string(types.HostCryptoStateIncapable)
	system.Runtime.StateEncryption = &types.HostRuntimeInfoStateEncryptionInfo{
		ProtectionMode: "tpm", RequireSecureBoot: types.NewBool(false), RequireExecInstalledOnly: types.NewBool(false),
	}
	if h.lab.config.Standalone == "" {
		system.Summary.TpmAttestation = &types.HostTpmAttestationInfo{
			Time: time.Now().UTC(), Status: types.HostTpmAttestationInfoAcceptanceStatusAccepted,
		}
		system.Summary.ManagementServerIp = "192.0.2.10"
		system.Runtime.DasHostState = agentState(types.ClusterDasFdmAvailabilityStateConnectedToMaster)
	}
}

// cpuFeatures carries VMX: level 1, ecx bit 5. Bits are printed from 31 down to 0.
var cpuFeatures = []types.HostCpuIdInfo{
	{Level: 0, Eax: bits(0x1b), Ebx: bits(0x756e6547), Ecx: bits(0x6c65746e), Edx: bits(0x49656e69)},
	{Level: 1, Eax: bits(0x606a6), Ebx: bits(0x800), Ecx: bits(0x77fefbff), Edx: bits(0xbfebfbff)},
	{Level: -2147483647, Eax: bits(0), Ebx: bits(0), Ecx: bits(0x121), Edx: bits(0x2c100800)},
}

func bits(register uint32) string {
	text := fmt.Sprintf("%032b", register)
	out := ""
	for i := 0; i < len(text); i += 4 {
		if i > 0 {
			out += ":"
		}
		out += text[i : i+4]
	}
	return out
}
