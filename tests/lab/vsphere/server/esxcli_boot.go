// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/cli/esx"
	"github.com/vmware/govmomi/simulator"
)

const bootPrefix = "VMkernel.Boot."

// started notes what is in force from this start of the host on.
func (s *shell) started() {
	s.tlsBoot, s.bootOptions = s.tlsProfile, map[string]any{}
	for key := range s.host.options.table {
		if strings.HasPrefix(key, bootPrefix) {
			s.bootOptions[key] = s.host.options.get(key)
		}
	}
}

// kernelList tells for each option of the VMkernel what is configured and what the host has started with.
func kernelList(_ *simulator.Context, h *esxHost, arguments esx.Values) ([]esx.Values, error) {
	var rows []esx.Values
	wanted := arguments.Value("option")
	for _, setting := range h.options.Setting {
		key := setting.GetOptionValue().Key
		name, found := strings.CutPrefix(key, bootPrefix)
		if !found || (wanted != "" && wanted != name) {
			continue
		}
		kind := "Bool"
		if _, number := h.options.table[key].value.(int64); number {
			kind = "uint32"
		}
		rows = append(rows, one("Name", name, "Type", kind, "Configured", word(setting.GetOptionValue().Value),
			"Runtime", word(h.shell.bootOptions[key]), "Default", word(h.options.table[key].value),
			"Description", "")...)
	}
	if wanted != "" && rows == nil {
		return nil, cliErrorf("Invalid VMkernel boot option '%s'.", wanted)
	}
	return rows, nil
}

// word is a value as the command prints it: TRUE and FALSE.
func word(value any) string { return strings.ToUpper(fmt.Sprint(value)) }
