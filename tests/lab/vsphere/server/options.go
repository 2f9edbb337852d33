// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// optionManager holds the advanced options of one ESXi host, or vCenter's own settings. It knows its keys and their
// types, as the real ones do: an unknown key is InvalidName, a value of another type or outside its range is
// InvalidArgument, and nothing is written when one value of a call is refused.
type optionManager struct {
	mo.OptionManager

	table   map[string]*option
	host    *esxHost
	changed func(*simulator.Context)
	refuse  func(key string) bool
}

func newOptionManager(table []option, keep func(*option) bool) *optionManager {
	m := &optionManager{table: map[string]*option{}}
	for i := range table {
		o := &table[i]
		if keep(o) {
			m.table[o.key] = o
			m.Setting = append(m.Setting, &types.OptionValue{Key: o.key, Value: o.value})
		}
	}
	return m
}

// supportedOptions declares the options' types; hosts of one release share the answer.
func supportedOptions(table map[string]*option) []types.OptionDef {
	keys := make([]string, 0, len(table))
	for key := range table {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	defs := make([]types.OptionDef, 0, len(keys))
	for _, key := range keys {
		defs = append(defs, types.OptionDef{
			ElementDescription: types.ElementDescription{
				Description: types.Description{Label: key, Summary: key}, Key: key,
			},
			OptionType: table[key].declare(),
		})
	}
	return defs
}

func (o *option) declare() types.BaseOptionType {
	base := types.OptionType{ValueIsReadonly: types.NewBool(o.readonly)}
	if o.choices != nil {
		choice := &types.ChoiceOption{OptionType: base, DefaultIndex: int32(slices.Index(o.choices, o.value.(string)))}
		for _, name := range o.choices {
			choice.ChoiceInfo = append(choice.ChoiceInfo, &types.ElementDescription{
				Description: types.Description{Label: name, Summary: name}, Key: name,
			})
		}
		return choice
	}
	switch value := o.value.(type) {
	case bool:
		return &types.BoolOption{OptionType: base, Supported: true, DefaultValue: value}
	case int64:
		return &types.LongOption{OptionType: base, Min: o.low, Max: o.high, DefaultValue: value}
	case int32:
		return &types.IntOption{OptionType: base, Min: int32(o.low), Max: int32(min(o.high, anyInt-1)), DefaultValue: value}
	default:
		return &types.StringOption{OptionType: base, DefaultValue: o.value.(string)}
	}
}

// QueryOptions answers one option by its whole name or all below a node; a trailing dot is allowed.
func (m *optionManager) QueryOptions(req *types.QueryOptions) soap.HasFault {
	res := new(types.QueryOptionsResponse)
	node := strings.TrimSuffix(req.Name, ".")
	for _, setting := range m.Setting {
		key := setting.GetOptionValue().Key
		if node == "" || key == node || strings.HasPrefix(key, node+".") {
			res.Returnval = append(res.Returnval, setting)
		}
	}
	if len(res.Returnval) == 0 {
		return &methods.QueryOptionsBody{Fault_: invalidName(req.Name)}
	}
	return &methods.QueryOptionsBody{Res: res}
}

// UpdateOptions checks every value first and then writes all of them.
func (m *optionManager) UpdateOptions(ctx *simulator.Context, req *types.UpdateOptions) soap.HasFault {
	if m.host != nil {
		if fault := m.host.reachable(); fault != nil {
			return &methods.UpdateOptionsBody{Fault_: fault}
		}
	}
	for i, change := range req.ChangedValue {
		if fault := m.refused(i, change.GetOptionValue()); fault != nil {
			return &methods.UpdateOptionsBody{Fault_: fault}
		}
	}
	for _, change := range req.ChangedValue {
		value := change.GetOptionValue()
		m.set(value.Key, value.Value)
	}
	if m.changed != nil {
		m.changed(ctx)
	}
	return &methods.UpdateOptionsBody{Res: new(types.UpdateOptionsResponse)}
}

func (m *optionManager) refused(index int, value *types.OptionValue) *soap.Fault {
	known, ok := m.table[value.Key]
	switch {
	case !ok:
		return invalidName(value.Key)
	case known.readonly || (m.refuse != nil && m.refuse(value.Key)) || !known.accepts(value.Value):
		// hostd names the argument, not the option.
		return invalidArgument("changedValue[" + itoa(index) + "].value")
	}
	return nil
}

func (o *option) accepts(value any) bool {
	switch o.value.(type) {
	case bool:
		_, ok := value.(bool)
		return ok
	case int64:
		number, ok := value.(int64)
		return ok && number >= o.low && number <= o.high
	case int32:
		number, ok := value.(int32)
		return ok && int64(number) >= o.low && int64(number) <= o.high
	default:
		text, ok := value.(string)
		return ok && (o.choices == nil || slices.Contains(o.choices, text))
	}
}

func (m *optionManager) get(key string) any {
	for _, setting := range m.Setting {
		if value := setting.GetOptionValue(); value.Key == key {
			return value.Value
		}
	}
	return nil
}

// set replaces the value in place of the old one: a reader may still hold the old list.
func (m *optionManager) set(key string, value any) {
	settings := slices.Clone(m.Setting)
	for i := range settings {
		if settings[i].GetOptionValue().Key == key {
			settings[i] = &types.OptionValue{Key: key, Value: value}
		}
	}
	m.Setting = settings
}
