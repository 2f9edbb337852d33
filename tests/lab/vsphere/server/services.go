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

// service is what a default installation has: policy and state, and the release it appeared in or was dropped by.
type service struct {
	key, label   string
	running      bool
	policy       string
	required     bool
	ruleset      []string
	since, until int
}

var hostServices = []service{
	{key: "DCUI", label: "Direct Console UI", running: true, policy: "on"},
	{key: "TSM", label: "ESXi Shell", policy: "off"},
	{key: "TSM-SSH", label: "SSH", policy: "off"},
	{key: "attestd", label: "attestd", policy: "off"},
	{key: "dpd", label: "dpd", policy: "off"},
	{key: "entropyd", label: "Entropy Daemon", policy: "off", since: esxi8},
	{key: "kmxd", label: "kmxd", policy: "off"},
	{key: "lbtd", label: "Load-Based Teaming Daemon", running: true, policy: "on"},
	{key: "lwsmd", label: "Active Directory Service", policy: "off"},
	{key: "ntpd", label: "NTP Daemon", policy: "off", ruleset: []string{"ntpClient"}},
	{key: "pcscd", label: "PC/SC Smart Card Daemon", policy: "off"},
	{key: "ptpd", label: "PTP Daemon", policy: "off", ruleset: []string{"ptpd"}},
	{key: "sfcbd-watchdog", label: "CIM Server", policy: "on", ruleset: []string{"CIMHttpServer", "CIMHttpsServer"}, until: esxi9},
	{key: "slpd", label: "slpd", policy: "off", ruleset: []string{"CIMSLP"}, until: esxi9},
	{key: "snmpd", label: "SNMP Server", policy: "on", ruleset: []string{"snmp"}},
	{key: "vltd", label: "vltd", policy: "off", since: esxi8},
	{key: "vmsyslogd", label: "Syslog Server", running: true, policy: "on", required: true},
	{key: "vpxa", label: "VMware vCenter Agent", running: true, policy: "on", ruleset: []string{"vpxHeartbeats"}},
	{key: "xorg", label: "X.Org Server", policy: "on"},
}

var servicePolicies = []string{"on", "off", "automatic"}

// serviceSystem is HostServiceSystem: vcsim has the list only.
type serviceSystem struct {
	mo.HostServiceSystem

	host *esxHost
}

func newServiceSystem(host *esxHost) *serviceSystem {
	s := &serviceSystem{host: host}
	for _, service := range hostServices {
		if host.release.rank < service.since || (service.until != 0 && host.release.rank >= service.until) {
			continue
		}
		s.ServiceInfo.Service = append(s.ServiceInfo.Service, types.HostService{
			Key: service.key, Label: service.label, Required: service.required, Running: service.running,
			Policy: service.policy, Ruleset: service.ruleset,
			SourcePackage: &types.HostServiceSourcePackage{
				SourcePackageName: "esx-base",
				Description:       "This VIB contains all of the base functionality of vSphere ESXi.",
			},
		})
	}
	return s
}

// change applies f to a copy of the service and publishes it here and in the host's config.service.
func (s *serviceSystem) change(ctx *simulator.Context, id string, f func(*types.HostService) *soap.Fault) *soap.Fault {
	if fault := s.host.reachable(); fault != nil {
		return fault
	}
	services := slices.Clone(s.ServiceInfo.Service)
	for i := range services {
		if services[i].Key != id {
			continue
		}
		if fault := f(&services[i]); fault != nil {
			return fault
		}
		s.ServiceInfo.Service = services
		s.host.update(ctx, func(config *types.HostConfigInfo) {
			config.Service = &types.HostServiceInfo{Service: services}
		})
		return nil
	}
	return notFound()
}

func (s *serviceSystem) running(id string) bool {
	for i := range s.ServiceInfo.Service {
		if s.ServiceInfo.Service[i].Key == id {
			return s.ServiceInfo.Service[i].Running
		}
	}
	return false
}

// StartService refuses what runs already, as the method's InvalidState says.
func (s *serviceSystem) StartService(ctx *simulator.Context, req *types.StartService) soap.HasFault {
	body := new(methods.StartServiceBody)
	body.Fault_ = s.change(ctx, req.Id, func(service *types.HostService) *soap.Fault {
		if service.Running {
			return invalidState()
		}
		service.Running = true
		return nil
	})
	body.Res = new(types.StartServiceResponse)
	return body
}

func (s *serviceSystem) StopService(ctx *simulator.Context, req *types.StopService) soap.HasFault {
	body := new(methods.StopServiceBody)
	body.Fault_ = s.change(ctx, req.Id, func(service *types.HostService) *soap.Fault {
		if !service.Running || service.Required {
			return invalidState()
		}
		service.Running = false
		return nil
	})
	body.Res = new(types.StopServiceResponse)
	return body
}

func (s *serviceSystem) RestartService(ctx *simulator.Context, req *types.RestartService) soap.HasFault {
	body := new(methods.RestartServiceBody)
	body.Fault_ = s.change(ctx, req.Id, func(service *types.HostService) *soap.Fault {
		if !service.Running {
			return invalidState()
		}
		return nil
	})
	body.Res = new(types.RestartServiceResponse)
	return body
}

func (s *serviceSystem) UpdateServicePolicy(ctx *simulator.Context, req *types.UpdateServicePolicy) soap.HasFault {
	body := new(methods.UpdateServicePolicyBody)
	if !slices.Contains(servicePolicies, req.Policy) {
		body.Fault_ = invalidArgument("policy")
		return body
	}
	body.Fault_ = s.change(ctx, req.Id, func(service *types.HostService) *soap.Fault {
		service.Policy = req.Policy
		return nil
	})
	body.Res = new(types.UpdateServicePolicyResponse)
	return body
}

func (s *serviceSystem) RefreshServices(*types.RefreshServices) soap.HasFault {
	return &methods.RefreshServicesBody{Res: new(types.RefreshServicesResponse)}
}
