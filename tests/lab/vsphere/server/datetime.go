// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// dateTimeSystem is HostDateTimeSystem.
type dateTimeSystem struct {
	mo.HostDateTimeSystem

	host *esxHost
}

var timeZone = types.HostDateTimeSystemTimeZone{Key: "UTC", Name: "UTC", Description: "UTC", GmtOffset: 0}

func newDateTimeSystem(host *esxHost) *dateTimeSystem {
	return &dateTimeSystem{host: host, HostDateTimeSystem: mo.HostDateTimeSystem{DateTimeInfo: types.HostDateTimeInfo{
		TimeZone: timeZone, SystemClockProtocol: "ntp",
		NtpConfig: &types.HostNtpConfig{ConfigFile: ntpConfigFile(nil)},
		Enabled:   types.NewBool(false), DisableEvents: types.NewBool(false), DisableFallback: types.NewBool(true),
		InFallbackState: types.NewBool(false), ServiceSync: types.NewBool(false),
	}}}
}

// ntpConfigFile is the file that ESXi writes for its servers.
func ntpConfigFile(servers []string) []string {
	lines := []string{
		"restrict default nomodify notrap nopeer noquery", "restrict 127.0.0.1", "restrict -6 ::1",
		"driftfile /etc/ntp.drift",
	}
	for _, server := range servers {
		lines = append(lines, "server "+server)
	}
	return lines
}

// UpdateDateTimeConfig sets what is given; a server list replaces the old one, and a configuration file names them too.
func (s *dateTimeSystem) UpdateDateTimeConfig(ctx *simulator.Context, req *types.UpdateDateTimeConfig) soap.HasFault {
	body := &methods.UpdateDateTimeConfigBody{
		Fault_: s.host.reachable(), Res: new(types.UpdateDateTimeConfigResponse),
	}
	config, info := req.Config, s.DateTimeInfo
	switch {
	case body.Fault_ != nil:
		return body
	case config.TimeZone != "" && config.TimeZone != timeZone.Key:
		// ESXi itself runs on UTC only.
		body.Fault_ = invalidArgument("config.timeZone")
		return body
	case config.Protocol != "" && !slices.Contains([]string{"ntp", "ptp"}, config.Protocol):
		body.Fault_ = invalidArgument("config.protocol")
		return body
	}
	if config.Protocol != "" {
		info.SystemClockProtocol = config.Protocol
	}
	if config.NtpConfig != nil {
		info.NtpConfig = &types.HostNtpConfig{
			Server: config.NtpConfig.Server, ConfigFile: ntpConfigFile(config.NtpConfig.Server),
		}
	}
	if config.PtpConfig != nil {
		info.PtpConfig = config.PtpConfig
	}
	for _, flag := range []struct{ from, to **bool }{
		{&config.Enabled, &info.Enabled}, {&config.DisableEvents, &info.DisableEvents},
		{&config.DisableFallback, &info.DisableFallback},
	} {
		if *flag.from != nil {
			*flag.to = *flag.from
		}
	}
	s.DateTimeInfo = info
	s.host.update(ctx, func(config *types.HostConfigInfo) { config.DateTimeInfo = &info })
	return body
}

func (s *dateTimeSystem) QueryDateTime(*types.QueryDateTime) soap.HasFault {
	return &methods.QueryDateTimeBody{
		Fault_: s.host.reachable(), Res: &types.QueryDateTimeResponse{Returnval: time.Now().UTC()},
	}
}

func (s *dateTimeSystem) QueryAvailableTimeZones(*types.QueryAvailableTimeZones) soap.HasFault {
	return &methods.QueryAvailableTimeZonesBody{Res: &types.QueryAvailableTimeZonesResponse{
		Returnval: []types.HostDateTimeSystemTimeZone{timeZone},
	}}
}

func (s *dateTimeSystem) RefreshDateTimeSystem(*types.RefreshDateTimeSystem) soap.HasFault {
	return &methods.RefreshDateTimeSystemBody{
		Fault_: s.host.reachable(), Res: new(types.RefreshDateTimeSystemResponse),
	}
}

// snmpSystem is HostSnmpSystem. The lab's hosts carry a community, so that a test can show that it reaches no report.
type snmpSystem struct {
	mo.HostSnmpSystem

	host *esxHost
}

func newSnmpSystem(host *esxHost) *snmpSystem {
	return &snmpSystem{host: host, HostSnmpSystem: mo.HostSnmpSystem{
		Configuration: types.HostSnmpConfigSpec{
			Enabled: types.NewBool(false), Port: 161, ReadOnlyCommunities: []string{"lab-community-secret"},
			Option: []types.KeyValue{{Key: "EnvEventSource", Value: "indications"}},
		},
		Limits: types.HostSnmpSystemAgentLimits{
			MaxReadOnlyCommunities: 10, MaxTrapDestinations: 3, MaxCommunityLength: 64, MaxBufferSize: 4096,
			Capability: types.HostSnmpAgentCapabilityCOMPLETE,
		},
	}}
}

// ReconfigureSnmpAgent sets what is given.
func (s *snmpSystem) ReconfigureSnmpAgent(req *types.ReconfigureSnmpAgent) soap.HasFault {
	body := &methods.ReconfigureSnmpAgentBody{
		Fault_: s.host.reachable(), Res: new(types.ReconfigureSnmpAgentResponse),
	}
	spec, config := req.Spec, s.Configuration
	switch {
	case body.Fault_ != nil:
		return body
	case spec.Port < 0 || spec.Port > 65535:
		body.Fault_ = invalidArgument("spec.port")
		return body
	case len(spec.TrapTargets) > int(s.Limits.MaxTrapDestinations),
		len(spec.ReadOnlyCommunities) > int(s.Limits.MaxReadOnlyCommunities):
		body.Fault_ = simulator.Fault("Too many entries.", new(types.InsufficientResourcesFault))
		return body
	}
	if spec.Enabled != nil {
		config.Enabled = spec.Enabled
	}
	if spec.Port != 0 {
		config.Port = spec.Port
	}
	if spec.ReadOnlyCommunities != nil {
		config.ReadOnlyCommunities = spec.ReadOnlyCommunities
	}
	if spec.TrapTargets != nil {
		config.TrapTargets = spec.TrapTargets
	}
	if spec.Option != nil {
		config.Option = spec.Option
	}
	s.Configuration = config
	return body
}
