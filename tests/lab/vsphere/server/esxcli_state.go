// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/cli/esx"
	"github.com/vmware/govmomi/simulator"
)

// account is a local user of an ESXi host.
type account struct {
	id, description string
	shell           bool
}

// auditRecords is where ESXi 7 keeps what 8 has as advanced options (pitfall P3).
type auditRecords struct {
	storage, remote bool
	capacity        int
	directory       string
}

func newShell(host *esxHost) *shell {
	s := &shell{
		host: host, vmDomain: "enforcing", tlsProfile: "COMPATIBLE", tlsBoot: "COMPATIBLE",
		accounts: []account{
			{"root", "Administrator", true}, {"dcui", "DCUI User", true},
			{"vpxuser", "VMware VirtualCenter administration account", true},
		},
		audit: auditRecords{capacity: 4, directory: "/scratch/auditLog"},
		ssh: map[string]string{
			"banner": "/etc/issue", "ciphers": "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
			"allowstreamlocalforwarding": "no", "allowtcpforwarding": "no", "clientalivecountmax": "3",
			"clientaliveinterval": "200", "gatewayports": "no", "hostbasedauthentication": "no", "ignorerhosts": "yes",
			"permitrootlogin": "yes", "permittunnel": "no", "permituserenvironment": "no",
		},
	}
	// vcsim's own is of the type ManagedMethodExecuter, which no real server knows.
	_, id, _ := strings.Cut(host.system.Self.Value, "-")
	s.Self.Type, s.Self.Value = "ReflectManagedMethodExecuter", "ManagedMethodExecuter-"+id
	return s
}

func (s *shell) account(id string) *account {
	for i := range s.accounts {
		if s.accounts[i].id == id {
			return &s.accounts[i]
		}
	}
	return nil
}

// accountList shows shell access from 8.0 on.
func accountList(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	var rows []esx.Values
	for _, a := range h.shell.accounts {
		row := one("UserID", a.id, "Description", a.description)
		if h.release.rank >= esxi8 {
			row[0]["Shellaccess"] = []string{yes(a.shell)}
		}
		rows = append(rows, row...)
	}
	return rows, nil
}

func accountAdd(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	id, password := arguments.Value("id"), arguments.Value("password")
	shellAccess, set, err := boolArgument(arguments, "shellaccess")
	switch {
	case err != nil:
		return nil, err
	case id == "" || len(password) < 7 || password != arguments.Value("passwordconfirmation"):
		return nil, cliErrorf("A general system error occurred: Weak password, or the passwords do not match")
	case h.shell.account(id) != nil:
		return nil, cliErrorf("The specified key, name, or identifier '%s' already exists.", id)
	}
	h.shell.accounts = append(h.shell.accounts, account{id, arguments.Value("description"), shellAccess || !set})
	return succeeded, nil
}

func accountSet(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	found := h.shell.account(arguments.Value("id"))
	if found == nil {
		return nil, cliErrorf("The user or group named '%s' does not exist.", arguments.Value("id"))
	}
	access, set, err := boolArgument(arguments, "shellaccess")
	switch {
	case err != nil:
		return nil, err
	case set && access && h.lab.config.Standalone == "" && !h.shell.account("vpxuser").shell:
		// vCenter comes in as vpxuser, and who has no shell access cannot give it (pitfall P4).
		return nil, cliErrorf("Permission to perform this operation was denied.")
	case set && !access && found.id == "root":
		return nil, cliErrorf("The shell access of root cannot be changed.")
	}
	if set {
		found.shell = access
	}
	return succeeded, nil
}

func accountRemove(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	id := arguments.Value("id")
	if h.shell.account(id) == nil {
		return nil, cliErrorf("The user or group named '%s' does not exist.", id)
	}
	if slices.Contains([]string{"root", "dcui", "vpxuser"}, id) {
		return nil, cliErrorf("The user '%s' cannot be removed.", id)
	}
	h.shell.accounts = slices.DeleteFunc(h.shell.accounts, func(a account) bool { return a.id == id })
	h.access.setEntry(id, false, "accessNone")
	return succeeded, nil
}

func sshList(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	var rows []esx.Values
	for _, key := range slices.Sorted(maps.Keys(h.shell.ssh)) {
		if wanted := arguments.Value("keyword"); wanted == "" || wanted == key {
			rows = append(rows, one("Key", key, "Value", h.shell.ssh[key])...)
		}
	}
	return rows, nil
}

func sshSet(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	key, value := arguments.Value("keyword"), arguments.Value("value")
	old, ok := h.shell.ssh[key]
	if !ok {
		return nil, cliErrorf("Invalid keyword '%s'.", key)
	}
	switches := []string{"yes", "no"}
	if key == "permitrootlogin" {
		switches = append(switches, "prohibit-password")
	}
	if slices.Contains([]string{"yes", "no"}, old) && !slices.Contains(switches, value) || value == "" {
		return nil, cliErrorf("Invalid value '%s' for keyword '%s'.", value, key)
	}
	ssh := maps.Clone(h.shell.ssh)
	ssh[key] = value
	h.shell.ssh = ssh
	return succeeded, nil
}

func (h *esxHost) flag(key string, before bool) bool {
	if value, ok := h.options.get(key).(bool); ok {
		return value
	}
	return before
}

// auditGet shows one state that two interfaces set: the options of 8.0 and this command.
func auditGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	const prefix = "Syslog.global.auditRecord."
	audit := h.shell.audit
	capacity := int64(audit.capacity)
	if value, ok := h.options.get(prefix + "storageCapacity").(int64); ok {
		capacity = value
	}
	return one(
		"AuditRecordRemoteTransmissionActive", yes(h.flag(prefix+"remoteEnable", audit.remote)),
		"AuditRecordStorageActive", yes(h.flag(prefix+"storageEnable", audit.storage)),
		"AuditRecordStorageCapacity", strconv.FormatInt(capacity, 10),
		"AuditRecordStorageDirectory", audit.directory,
	), nil
}

func auditSwitch(remote, active bool) func(*simulator.Context, *esxHost, esx.Values) ([]esx.Values, error) {
	return func(ctx *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
		target, key := &h.shell.audit.storage, "Syslog.global.auditRecord.storageEnable"
		if remote {
			target, key = &h.shell.audit.remote, "Syslog.global.auditRecord.remoteEnable"
		}
		*target = active
		h.setOption(ctx, key, active)
		return succeeded, nil
	}
}

// setOption is for what esxcli and an option both set; a release without the option has the command's state alone.
func (h *esxHost) setOption(ctx *simulator.Context, key string, value any) {
	if h.options.table[key] != nil {
		h.options.set(key, value)
		h.options.changed(ctx)
	}
}

func auditSet(ctx *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	if text := arguments.Value("size"); text != "" {
		size, err := strconv.Atoi(text)
		if err != nil || size < 4 || size > 100 {
			return nil, cliErrorf("Invalid data constraint for parameter 'size'.")
		}
		h.shell.audit.capacity = size
		h.setOption(ctx, "Syslog.global.auditRecord.storageCapacity", int64(size))
	}
	if directory := arguments.Value("directory"); directory != "" {
		h.shell.audit.directory = directory
	}
	return succeeded, nil
}

func syslogGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	certificates := h.flag("Syslog.global.certificate.checkSSLCerts", h.flag("Syslog.global.logCheckSSLCerts", true))
	remote, _ := h.options.get("Syslog.global.logHost").(string)
	if remote == "" {
		remote = "<none>"
	}
	// Of the host's own file system only /scratch outlives a restart.
	directory, _ := h.options.get("Syslog.global.logDir").(string)
	inMemory := strings.HasPrefix(directory, "[] /") && !strings.HasPrefix(directory, "[] /scratch/")
	return one(
		"AllowVsanBacking", "false", "EnforceSSLCertificates", yes(certificates), "LocalLogOutput", "/scratch/log",
		"LocalLogOutputIsConfigured", "false", "LocalLogOutputIsPersistent", yes(!inMemory),
		"LogLevel", h.options.get("Syslog.global.logLevel").(string), "LogToUniqueSubdirectory", "false",
		"RemoteHost", remote,
		"StrictX509Compliance", yes(h.flag("Syslog.global.certificate.strictX509Compliance", h.shell.strict)),
	), nil
}

func syslogSet(ctx *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	strict, set, err := boolArgument(arguments, "x509strict")
	if err != nil {
		return nil, err
	}
	if set {
		h.shell.strict = strict
		h.setOption(ctx, "Syslog.global.certificate.strictX509Compliance", strict)
	}
	if remote := arguments.Value("loghost"); remote != "" {
		h.setOption(ctx, "Syslog.global.logHost", remote)
	}
	return succeeded, nil
}

func logFilterGet(_ *simulator.Context, h *esxHost, _ esx.Values) ([]esx.Values, error) {
	return one("LogFilteringEnabled", yes(h.flag("Syslog.global.logFiltersEnable", h.shell.filters))), nil
}

func logFilterSet(ctx *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	enabled, set, err := boolArgument(arguments, "logfilteringenabled")
	if err != nil {
		return nil, err
	}
	if set {
		h.shell.filters = enabled
		h.setOption(ctx, "Syslog.global.logFiltersEnable", enabled)
	}
	return succeeded, nil
}
