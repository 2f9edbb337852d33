// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/cli/esx"
	"github.com/vmware/govmomi/simulator"
)

// commands are the esxcli commands of the lab. Field names are those of the STIGs' and the Security Configuration
// Guides' own checks.
var commands = map[string]command{
	"network.firewall.get":                  {kind: "Firewall", run: firewallGet},
	"network.firewall.load":                 {kind: "boolean", run: firewallLoad(true)},
	"network.firewall.set":                  {kind: "boolean", takes: options("enabled", "default-action"), run: firewallSet},
	"network.firewall.unload":               {kind: "boolean", run: firewallLoad(false)},
	"software.acceptance.get":               {kind: "string", run: acceptanceGet},
	"software.vib.list":                     {kind: "SummaryExt[]", run: vibList},
	"software.vib.signature.verify":         {kind: "Signature[]", run: vibSignature},
	"system.account.add":                    {kind: "boolean", takes: options("id!", "description", "password!", "password-confirmation!", "shell-access@800"), run: accountAdd},
	"system.account.list":                   {kind: "Account[]", run: accountList},
	"system.account.remove":                 {kind: "boolean", takes: options("id!"), run: accountRemove},
	"system.account.set":                    {kind: "boolean", takes: options("id!", "description", "password", "password-confirmation", "shell-access@800"), run: accountSet},
	"system.auditrecords.get":               {kind: "AuditRecords", run: auditGet},
	"system.auditrecords.local.disable":     {kind: "boolean", run: auditSwitch(false, false)},
	"system.auditrecords.local.enable":      {kind: "boolean", run: auditSwitch(false, true)},
	"system.auditrecords.local.set":         {kind: "boolean", takes: options("size", "directory"), run: auditSet},
	"system.auditrecords.remote.disable":    {kind: "boolean", run: auditSwitch(true, false)},
	"system.auditrecords.remote.enable":     {kind: "boolean", run: auditSwitch(true, true)},
	"system.secpolicy.domain.list":          {kind: "DomainList[]", run: domainList},
	"system.secpolicy.domain.set":           {kind: "boolean", takes: options("name", "level!", "all-domains?"), run: domainSet},
	"system.security.certificatestore.list": {kind: "Certificate[]", run: certificateList},
	"system.security.fips140.ssh.get":       {kind: "FIPS", run: fipsGet},
	"system.security.keypersistence.get":    {kind: "KeyPersistence", run: keyPersistenceGet},
	"system.settings.encryption.get":        {kind: "EncryptionSettings", run: encryptionGet},
	"system.settings.encryption.set":        {kind: "boolean", takes: options("mode", "require-secure-boot", "require-exec-installed-only"), run: encryptionSet},
	"system.settings.kernel.list":           {kind: "KernelSetting[]", takes: options("option"), run: kernelList},
	"system.ssh.server.config.list":         {since: esxi8, kind: "SshServerConfig[]", takes: options("keyword"), run: sshList},
	"system.ssh.server.config.set":          {since: esxi8, kind: "boolean", takes: options("keyword!", "value!"), run: sshSet},
	"system.syslog.config.get":              {kind: "SyslogConfig", run: syslogGet},
	"system.syslog.config.logfilter.get":    {kind: "LogFilter", run: logFilterGet},
	"system.syslog.config.logfilter.set":    {kind: "boolean", takes: options("log-filtering-enabled"), run: logFilterSet},
	"system.syslog.config.set":              {kind: "boolean", takes: options("loghost", "x509-strict"), run: syslogSet},
	"system.syslog.reload":                  {kind: "boolean", run: done},
	"system.tls.server.get":                 {since: 803, kind: "TLSServer", takes: options("show-profile-defaults?", "show-current-boot-profile?"), run: tlsGet},
	"system.tls.server.set":                 {since: 803, kind: "boolean", takes: options("profile!"), run: tlsSet},
	"system.version.get":                    {kind: "Version", run: versionGet},
}

func one(pairs ...string) []esx.Values {
	row := esx.Values{}
	for i := 0; i < len(pairs); i += 2 {
		row[pairs[i]] = []string{pairs[i+1]}
	}
	return []esx.Values{row}
}

var succeeded = one("value", "true")

func done(*simulator.Context, *esxHost, esx.Values) ([]esx.Values, error) { return succeeded, nil }

func yes(value bool) string { return strconv.FormatBool(value) }

// boolArgument reads an optional true or false; set is false when it was not given.
func boolArgument(arguments esx.Values, name string) (value, set bool, err error) {
	text := arguments.Value(name)
	if text == "" {
		return false, false, nil
	}
	if value, err = strconv.ParseBool(text); err != nil {
		return false, false, cliErrorf("Invalid data constraint for parameter '%s'.", name)
	}
	return value, true, nil
}

func firewallGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	action := "PASS"
	if blocked := h.firewall.FirewallInfo.DefaultPolicy.IncomingBlocked; blocked != nil && *blocked {
		action = "DROP"
	}
	return one("DefaultAction", action, "Enabled", yes(h.firewall.enabled), "Loaded", yes(h.firewall.loaded)), nil
}

func firewallSet(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	enabled, set, err := boolArgument(arguments, "enabled")
	switch {
	case err != nil:
		return nil, err
	case !set && arguments.Value("defaultaction") == "":
		return nil, cliErrorf("Missing required parameter -d, -e, -p or -u")
	case set && enabled && !h.firewall.loaded:
		return nil, cliErrorf("The firewall module is not loaded.")
	}
	if set {
		h.firewall.enabled = enabled
	}
	return succeeded, nil
}

func firewallLoad(loaded bool) func(*simulator.Context, *esxHost, esx.Values) ([]esx.Values, error) {
	return func(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
		h.firewall.loaded = loaded
		return succeeded, nil
	}
}

func acceptanceGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	return one("value", cliLevel(h.image.level)), nil
}

// cliLevel is esxcli's own spelling of an acceptance level.
func cliLevel(level string) string {
	return map[string]string{
		"vmware_certified": "VMwareCertified", "vmware_accepted": "VMwareAccepted", "partner": "PartnerSupported",
		"community": "CommunitySupported",
	}[level]
}

func vibList(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	var rows []esx.Values
	for _, p := range h.image.packages {
		rows = append(rows, one("Name", p.Name, "Version", p.Version, "Vendor", p.Vendor, "ID",
			p.Vendor+"_bootbank_"+p.Name+"_"+p.Version, "AcceptanceLevel", cliLevel(p.AcceptanceLevel),
			"InstallDate", "2024-06-03", "Platforms", "host", "Status", "")...)
	}
	return rows, nil
}

func vibSignature(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	var rows []esx.Values
	for _, p := range h.image.packages {
		result := "Succeeded"
		if p.AcceptanceLevel == "community" {
			result = "Signature Not Available: Host may have been upgraded from an older ESXi version"
		}
		rows = append(rows, one("Name", p.Name, "Version", p.Version, "Vendor", p.Vendor, "AcceptanceLevel",
			cliLevel(p.AcceptanceLevel), "SignatureVerification", result)...)
	}
	return rows, nil
}

// domains are the user worlds' security domains; enforcing is the default of all of them.
var domains = []string{"globalVMDom", "hostdDom", "regularVMDom", "superDom"}

func domainList(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	var rows []esx.Values
	for _, name := range domains {
		level := "enforcing"
		if name == "regularVMDom" {
			level = h.shell.vmDomain
		}
		rows = append(rows, one("DomainName", name, "EnforcementLevel", level)...)
	}
	return rows, nil
}

func domainSet(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	name, level := arguments.Value("name"), arguments.Value("level")
	if arguments.Value("alldomains") == "true" {
		name = "regularVMDom"
	}
	if !slices.Contains(domains, name) {
		return nil, cliErrorf("Unable to set domain %s: no such domain", name)
	}
	if !slices.Contains([]string{"enforcing", "warning", "disabled"}, level) {
		return nil, cliErrorf("Invalid data constraint for parameter 'level'.")
	}
	if name == "regularVMDom" {
		h.shell.vmDomain = level
	}
	return succeeded, nil
}

func encryptionGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	state := h.runtime().StateEncryption
	mode := map[string]string{"none": "NONE", "tpm": "TPM"}[state.ProtectionMode]
	return one("Mode", mode, "RequireExecutablesOnlyFromInstalledVIBs", yes(*state.RequireExecInstalledOnly),
		"RequireSecureBoot", yes(*state.RequireSecureBoot)), nil
}

// encryptionSet needs secure boot, or the boot option, in force before it enforces them.
func encryptionSet(ctx *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	state := *h.runtime().StateEncryption
	boot, bootSet, err := boolArgument(arguments, "requiresecureboot")
	if err != nil {
		return nil, err
	}
	installed, installedSet, err := boolArgument(arguments, "requireexecinstalledonly")
	if err != nil {
		return nil, err
	}
	if mode := strings.ToLower(arguments.Value("mode")); mode != "" {
		if mode != "none" && mode != "tpm" {
			return nil, cliErrorf("Invalid data constraint for parameter 'mode'.")
		}
		if mode == "none" && state.ProtectionMode == "tpm" {
			return nil, cliErrorf("Unable to change the encryption mode and policy: the mode cannot be lowered")
		}
		state.ProtectionMode = mode
	}
	if (boot || installed) && state.ProtectionMode != "tpm" {
		return nil, cliErrorf("Unable to change the encryption mode and policy: the mode is not TPM")
	}
	if secure := h.system.Capability.UefiSecureBoot; boot && secure != nil && !*secure {
		return nil, cliErrorf("Unable to change the encryption mode and policy: secure boot is not enabled")
	}
	if enforced, _ := h.shell.bootOptions["VMkernel.Boot.execInstalledOnly"].(bool); installed && !enforced {
		return nil, cliErrorf("Unable to change the encryption mode and policy: execInstalledOnly is not enforced")
	}
	if bootSet {
		state.RequireSecureBoot = &boot
	}
	if installedSet {
		state.RequireExecInstalledOnly = &installed
	}
	ctx.WithLock(h.system, func() { h.system.Runtime.StateEncryption = &state })
	return succeeded, nil
}

func versionGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	return one("Product", "VMware ESXi", "Version", h.release.version, "Build", "Releasebuild-"+h.release.build,
		"Update", h.release.update, "Patch", "0"), nil
}

func fipsGet(*simulator.Context, *esxHost, esx.Values) ([]esx.Values, error) {
	return one("Enabled", "true"), nil
}

func keyPersistenceGet(*simulator.Context, *esxHost, esx.Values) ([]esx.Values, error) {
	return one("Enabled", "false"), nil
}

func certificateList(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	return one("Subject", "O=vSphere lab,CN=CA", "Certificate", string(h.system.Config.Certificate)), nil
}

var tlsProfiles = []string{"COMPATIBLE", "NIST_2024", "MANUAL"}

func tlsGet(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	profile := h.shell.tlsProfile
	if arguments.Value("showcurrentbootprofile") == "true" {
		profile = h.shell.tlsBoot
	}
	row := one("Profile", profile, "RebootRequired", yes(h.shell.tlsProfile != h.shell.tlsBoot))
	if arguments.Value("showprofiledefaults") == "true" {
		row[0]["CipherList"] = []string{"ECDHE+AESGCM"}
		row[0]["ProtocolVersions"] = []string{"tls1.2,tls1.3"}
	}
	return row, nil
}

func tlsSet(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	profile := arguments.Value("profile")
	known := slices.Contains(tlsProfiles, profile) || (profile == "NIST_2024_TLS_13_ONLY" && h.release.rank >= esxi9)
	if !known {
		return nil, cliErrorf("Invalid data constraint for parameter 'profile'.")
	}
	h.shell.tlsProfile = profile
	return succeeded, nil
}
