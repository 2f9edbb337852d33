// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "reflect"

// overlay returns base with every field that change sets: what vSphere does with a partial spec. Policies that carry a
// Value are one whole, since their zero is a value too.
func overlay(base, change reflect.Value) reflect.Value {
	switch change.Kind() {
	case reflect.Interface, reflect.Pointer:
		return overlayReference(base, change)
	case reflect.Slice:
		if change.IsNil() {
			return base
		}
		return change
	case reflect.Struct:
		if _, whole := change.Type().FieldByName("Value"); whole {
			return change
		}
		out := reflect.New(change.Type()).Elem()
		for i := range change.NumField() {
			out.Field(i).Set(overlay(base.Field(i), change.Field(i)))
		}
		return out
	default:
		if change.IsZero() {
			return base
		}
		return change
	}
}

func overlayReference(base, change reflect.Value) reflect.Value {
	if change.IsNil() {
		return base
	}
	// A scalar behind a pointer is set where the pointer is: false and 0 are values.
	if base.IsNil() || base.Elem().Type() != change.Elem().Type() || scalar(base.Elem().Kind()) {
		return change
	}
	merged := overlay(base.Elem(), change.Elem())
	if change.Kind() == reflect.Interface {
		return merged
	}
	out := reflect.New(merged.Type())
	out.Elem().Set(merged)
	return out
}

func scalar(kind reflect.Kind) bool {
	return kind == reflect.Bool || kind >= reflect.Int && kind <= reflect.Float64 || kind == reflect.String
}

// merge is overlay for one type.
func merge[T any](base, change T) T {
	out := new(T)
	reflect.ValueOf(out).Elem().Set(overlay(reflect.ValueOf(&base).Elem(), reflect.ValueOf(&change).Elem()))
	return *out
}
