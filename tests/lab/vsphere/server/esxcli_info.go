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
	"github.com/vmware/govmomi/vim25/xml"
)

// parameter is one argument of a command: the long option without its leading dashes, which the API names without any.
type parameter struct {
	option         string
	flag, required bool
	since          int
}

func (p *parameter) name() string { return strings.ReplaceAll(p.option, "-", "") }

// options reads parameters: "!" after a name is required, "?" a flag, "@800" the release that first has it.
func options(texts ...string) []parameter {
	var list []parameter
	for _, text := range texts {
		text, since, _ := strings.Cut(text, "@")
		rank, _ := strconv.Atoi(since)
		list = append(list, parameter{
			option: strings.TrimRight(text, "!?"), flag: strings.HasSuffix(text, "?"),
			required: strings.HasSuffix(text, "!"), since: rank,
		})
	}
	return list
}

func (c *command) in(rank int) bool { return rank >= c.since && (c.until == 0 || rank < c.until) }

// refuse names an argument that the release does not know, one without a value, and one that is missing.
func (c *command) refuse(arguments esx.Values, rank int) error {
	known := map[string]bool{}
	for i := range c.takes {
		p := &c.takes[i]
		if rank < p.since {
			continue
		}
		known[p.name()] = true
		if p.required && arguments.Value(p.name()) == "" {
			return cliErrorf("Missing required parameter --%s", p.option)
		}
		if given := arguments.Value(p.name()); p.flag && given != "" && given != "true" && given != "false" {
			return cliErrorf("Invalid data constraint for parameter '%s'.", p.name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		if !known[name] {
			return cliErrorf("Invalid parameter '%s'.", name)
		}
	}
	return nil
}

// info answers FetchCLIInfo: the commands of a namespace that the release has, and their arguments.
func (s *shell) info(handler, kind string) (string, error) {
	namespace, found := strings.CutPrefix(kind, "vim.EsxCLI.")
	if handler != "ha-dynamic-type-manager-local-cli-cliinfo" || !found {
		return "", errUnknownCommand
	}
	told := esx.CommandInfo{CommandInfoItem: esx.CommandInfoItem{Name: namespace, DisplayName: namespace}}
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		short, below := strings.CutPrefix(name, namespace+".")
		c := commands[name]
		if !below || strings.Contains(short, ".") || !c.in(s.host.release.rank) {
			continue
		}
		method := esx.CommandInfoMethod{CommandInfoItem: esx.CommandInfoItem{Name: short, DisplayName: short}}
		for i := range c.takes {
			if p := &c.takes[i]; s.host.release.rank >= p.since {
				method.Param = append(method.Param, esx.CommandInfoParam{
					CommandInfoItem: esx.CommandInfoItem{Name: p.name(), DisplayName: p.option},
					Aliases:         []string{"--" + p.option}, Flag: p.flag,
				})
			}
		}
		told.Method = append(told.Method, method)
	}
	if len(told.Method) == 0 {
		return "", errUnknownCommand
	}
	answer, err := xml.Marshal(told)
	return string(answer), err
}
