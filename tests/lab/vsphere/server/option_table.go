// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

// option is one advanced option of an ESXi host: its type is that of its default, as hostd declares it in
// supportedOption; since and until bound the releases that have it (0 = all).
type option struct {
	key          string
	value        any
	low, high    int64
	choices      []string
	since, until int
	readonly     bool
}

const anyInt = int64(1) << 31

// Defaults and ranges: VMware's Security Configuration Guides for vSphere 7, 8 and VCF 9 and the STIGs; renames are
// pitfall P3. An option that an update brought is listed with the release of the lab that first has it.
var hostOptions = []option{
	{key: "Annotations.WelcomeMessage", value: ""},
	{key: "Config.Etc.issue", value: ""},
	{key: "Config.Etc.motd", value: "The time and date of this login have been sent to the system logs.\n"},
	{key: "Config.HostAgent.log.level", value: "info",
		choices: []string{"none", "quiet", "panic", "error", "warning", "info", "verbose", "trivia"}},
	{key: "Config.HostAgent.plugins.hostsvc.esxAdminsGroup", value: "ESX Admins"},
	{key: "Config.HostAgent.plugins.hostsvc.esxAdminsGroupAutoAdd", value: true, until: 800},
	// CVE-2024-37085: the default changed with 8.0 update 3 (Broadcom KB 390063).
	{key: "Config.HostAgent.plugins.hostsvc.esxAdminsGroupAutoAdd", value: false, since: 803},
	{key: "Config.HostAgent.plugins.hostsvc.esxAdminsGroupUpdateInterval", value: int64(1), low: 0, high: anyInt},
	{key: "Config.HostAgent.plugins.solo.enableMob", value: false},
	{key: "Config.HostAgent.plugins.vimsvc.authValidateInterval", value: int64(1440), low: 0, high: anyInt},
	{key: "Config.HostAgent.vmacore.soap.sessionTimeout", value: int64(30), low: 0, high: anyInt},
	{key: "DCUI.Access", value: "root"},
	{key: "Mem.MemEagerZero", value: int64(0), low: 0, high: 1},
	{key: "Mem.ShareForceSalting", value: int64(2), low: 0, high: 2},
	{key: "Misc.BlueScreenTimeout", value: int64(0), low: 0, high: 65535},
	{key: "Net.BMCNetworkEnable", value: int64(1), low: 0, high: 1, since: esxi8},
	{key: "Net.BlockGuestBPDU", value: int64(0), low: 0, high: 1},
	{key: "Net.DVFilterBindIpAddress", value: ""},
	{key: "Net.GuestIPHack", value: int64(0), low: 0, high: 1},
	{key: "NFS.MaxVolumes", value: int64(32), low: 8, high: 256},
	{key: "ScratchConfig.ConfiguredScratchLocation", value: "/vmfs/volumes/65a7c3f1-4b2c9d10-lab/.locker"},
	{key: "ScratchConfig.CurrentScratchLocation", value: "/vmfs/volumes/65a7c3f1-4b2c9d10-lab/.locker", readonly: true},
	{key: "Security.AccountLockFailures", value: int64(5), low: 0, high: 100},
	{key: "Security.AccountUnlockTime", value: int64(900), low: 1, high: 86400},
	{key: "Security.PasswordHistory", value: int64(0), low: 0, high: 100},
	{key: "Security.PasswordMaxDays", value: int64(99999), low: -1, high: 99999},
	{key: "Security.PasswordQualityControl", value: "retry=3 min=disabled,disabled,disabled,7,7"},
	{key: "Security.SshSessionLimit", value: int64(50), low: 0, high: 100},
	{key: "Syslog.global.auditRecord.remoteEnable", value: false, since: esxi8},
	{key: "Syslog.global.auditRecord.storageCapacity", value: int64(4), low: 4, high: 100, since: esxi8},
	{key: "Syslog.global.auditRecord.storageDirectory", value: "[] /scratch/auditLog", since: esxi8},
	{key: "Syslog.global.auditRecord.storageEnable", value: false, since: esxi8},
	{key: "Syslog.global.certificate.checkCRL", value: false, since: esxi8},
	{key: "Syslog.global.certificate.checkSSLCerts", value: true, since: esxi8},
	{key: "Syslog.global.certificate.strictX509Compliance", value: false, since: esxi8},
	{key: "Syslog.global.defaultRotate", value: int64(8), low: 0, high: 100},
	{key: "Syslog.global.defaultSize", value: int64(1024), low: 0, high: 10240},
	{key: "Syslog.global.logCheckSSLCerts", value: true, until: esxi8},
	{key: "Syslog.global.logDir", value: "[] /scratch/log"},
	{key: "Syslog.global.logDirUnique", value: false},
	{key: "Syslog.global.logFiltersEnable", value: false, since: esxi8},
	{key: "Syslog.global.logHost", value: ""},
	{key: "Syslog.global.logLevel", value: "error", choices: []string{"error", "warning", "info", "debug"}},
	{key: "Syslog.global.msgQueueDropMark", value: int64(90), low: 0, high: 100, since: esxi8},
	{key: "Syslog.global.remoteHost.connectRetryDelay", value: int64(180), low: 1, high: anyInt, since: esxi8},
	{key: "Syslog.global.remoteHost.maxMsgLen", value: int64(1024), low: 1024, high: 16384, since: esxi8},
	{key: "User.execInstalledOnly", value: int64(1), low: 0, high: 1, since: esxi8},
	{key: "UserVars.ActiveDirectoryVerifyCAMCertificate", value: int64(1), low: 0, high: 1},
	{key: "UserVars.DcuiTimeOut", value: int64(600), low: 0, high: 86400},
	{key: "UserVars.ESXiShellInteractiveTimeOut", value: int64(0), low: 0, high: 86400},
	{key: "UserVars.ESXiShellTimeOut", value: int64(0), low: 0, high: 86400},
	{key: "UserVars.ESXiVPsAllowedCiphers", value: "ECDHE+AESGCM:ECDHE+AES", until: 803},
	{key: "UserVars.ESXiVPsDisabledProtocols", value: "sslv3,tlsv1,tlsv1.1"},
	{key: "UserVars.HostClientCEIPOptIn", value: int64(0), low: 0, high: 2},
	{key: "UserVars.HostClientSessionTimeout", value: int64(900), low: 0, high: 86400},
	{key: "UserVars.HostClientWelcomeMessage", value: ""},
	{key: "UserVars.SuppressHyperthreadWarning", value: int64(0), low: 0, high: 1},
	{key: "UserVars.SuppressShellWarning", value: int64(0), low: 0, high: 1},
	{key: "UserVars.ToolsRamdisk", value: int64(0), low: 0, high: 1},
	{key: "VMkernel.Boot.disableACSCheck", value: false},
	{key: "VMkernel.Boot.execInstalledOnly", value: false},
	{key: "VMkernel.Boot.hyperthreading", value: true},
	{key: "VMkernel.Boot.hyperthreadingMitigation", value: false},
	{key: "VMkernel.Boot.maxVMs", value: int64(0), low: 0, high: anyInt},
	{key: "VMkernel.Boot.noIOMMU", value: false},
	{key: "Vpx.Vpxa.config.log.level", value: "verbose",
		choices: []string{"none", "quiet", "panic", "error", "warning", "info", "verbose", "trivia"}},
}

// in says whether hosts of the release have the option.
func (o *option) in(r *release) bool {
	return r.rank >= o.since && (o.until == 0 || r.rank < o.until)
}
