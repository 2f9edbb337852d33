// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// Bulk reads have their own way to the answer. vcsim copies every object by encoding and decoding it before it encodes it
// for good, which at ten thousand machines costs more than everything else; here each object is encoded once, under its
// lock.

// encoded is the inside of one <objects> element.
type encoded struct {
	Inner []byte `xml:",innerxml"`
}

// writer encodes objects one after the other.
type writer struct {
	buffer  bytes.Buffer
	encoder *xml.Encoder
}

func newWriter() *writer {
	w := new(writer)
	w.encoder = xml.NewEncoder(&w.buffer)
	return w
}

func (w *writer) element(name string, value any) {
	_ = w.encoder.EncodeElement(value, xml.StartElement{Name: xml.Name{Local: name}})
}

func (w *writer) take() encoded {
	_ = w.encoder.Flush()
	out := encoded{bytes.Clone(w.buffer.Bytes())}
	w.buffer.Reset()
	return out
}

// content encodes what the slow way has found.
func (w *writer) content(content *types.ObjectContent) encoded {
	w.element("obj", content.Obj)
	for i := range content.PropSet {
		w.element("propSet", content.PropSet[i])
	}
	for i := range content.MissingSet {
		w.element("missingSet", content.MissingSet[i])
	}
	return w.take()
}

// isBulk says whether the request is of the common kind: named properties without keys, of objects behind traversals.
func isBulk(specs []types.PropertyFilterSpec) bool {
	for _, spec := range specs {
		for _, set := range spec.PropSet {
			keyed := slices.ContainsFunc(set.PathSet, func(path string) bool { return strings.Contains(path, "[") })
			if keyed || (set.All != nil && *set.All) {
				return false
			}
		}
	}
	return true
}

// managed is the plain managed object inside one of the simulator's, and its type.
func managed(object mo.Reference) reflect.Value {
	if own, ok := object.(interface{ Get() mo.Reference }); ok {
		object = own.Get()
	}
	value := reflect.ValueOf(object).Elem()
	for path.Base(value.Type().PkgPath()) != "mo" && value.NumField() > 0 {
		if value = value.Field(0); value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
	}
	return value
}

// property walks a path; known is false for a name that the type has not, and the value nil where it is not set.
func property(value reflect.Value, path string) (found any, known bool) {
	for name := range strings.SplitSeq(path, ".") {
		for value.Kind() == reflect.Interface || value.Kind() == reflect.Pointer {
			if value.IsNil() {
				return nil, true
			}
			value = value.Elem()
		}
		if value.Kind() != reflect.Struct || name == "" {
			return nil, false
		}
		if value = value.FieldByName(strings.ToUpper(name[:1]) + name[1:]); !value.IsValid() {
			return nil, false
		}
	}
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return nil, true
		}
		return value.Elem().Interface(), true
	case reflect.Interface:
		if value.IsNil() {
			return nil, true
		}
		return value.Interface(), true
	case reflect.String:
		if value.Len() == 0 {
			return nil, true
		}
	case reflect.Slice:
		return array(value), true
	}
	return value.Interface(), true
}

// arrayNames are the names of arrays of basic types.
var arrayNames = map[string]string{"string": "String", "uint8": "Byte", "int16": "Short", "int32": "Int", "int64": "Long"}

// array wraps a list in the type that property collectors give it: ArrayOfOptionValue with the field OptionValue.
func array(list reflect.Value) any {
	name := strings.TrimPrefix(list.Type().Elem().Name(), "Base")
	if basic, ok := arrayNames[name]; ok {
		name = basic
	}
	kind, ok := types.TypeFunc()("ArrayOf" + name)
	if !ok {
		return nil
	}
	wrapped := reflect.New(kind)
	field := wrapped.Elem().FieldByName(name)
	field.Set(list.Convert(field.Type()))
	return wrapped.Interface()
}

// selection is one run over a request's specs.
type selection struct {
	ctx   *simulator.Context
	named map[string]*types.TraversalSpec
	seen  map[types.ManagedObjectReference]bool
	refs  []types.ManagedObjectReference
}

func (s *selection) add(ref types.ManagedObjectReference) {
	if !s.seen[ref] {
		s.seen[ref] = true
		s.refs = append(s.refs, ref)
	}
}

// walk follows the traversals from an object.
func (s *selection) walk(from reflect.Value, set []types.BaseSelectionSpec) *soap.Fault {
	for _, spec := range set {
		if traversal, ok := spec.(*types.TraversalSpec); ok && traversal.Name != "" {
			s.named[traversal.Name] = traversal
		}
	}
	for _, spec := range set {
		traversal, ok := spec.(*types.TraversalSpec)
		if !ok {
			if traversal = s.named[spec.GetSelectionSpec().Name]; traversal == nil {
				return invalidArgument("specSet.objectSet.selectSet")
			}
		}
		for _, ref := range references(from, traversal.Path) {
			if traversal.Skip == nil || !*traversal.Skip {
				s.add(ref)
			}
			object := s.ctx.Session.Get(ref)
			if object == nil || len(traversal.SelectSet) == 0 {
				continue
			}
			if fault := s.walk(managed(object), traversal.SelectSet); fault != nil {
				return fault
			}
		}
	}
	return nil
}

func references(value reflect.Value, path string) []types.ManagedObjectReference {
	found, _ := property(value, path)
	switch refs := found.(type) {
	case types.ManagedObjectReference:
		return []types.ManagedObjectReference{refs}
	case *types.ArrayOfManagedObjectReference:
		return refs.ManagedObjectReference
	}
	return nil
}

// bulk answers a request of the common kind.
func (l *lab) bulk(ctx *simulator.Context, specs []types.PropertyFilterSpec) ([]encoded, *soap.Fault) {
	s := &selection{
		ctx: ctx, named: map[string]*types.TraversalSpec{}, seen: map[types.ManagedObjectReference]bool{},
	}
	direct := map[types.ManagedObjectReference]bool{}
	for _, spec := range specs {
		for i := range spec.PropSet {
			slices.Sort(spec.PropSet[i].PathSet)
			spec.PropSet[i].PathSet = slices.Compact(spec.PropSet[i].PathSet)
		}
		for _, start := range spec.ObjectSet {
			direct[start.Obj] = true
			object := ctx.Session.Get(start.Obj)
			if object == nil {
				if spec.ReportMissingObjectsInResults != nil && *spec.ReportMissingObjectsInResults {
					continue
				}
				return nil, simulator.Fault("The object has already been deleted or has not been completely created",
					&types.ManagedObjectNotFound{Obj: start.Obj})
			}
			if start.SelectSet == nil || start.Skip == nil || !*start.Skip {
				s.add(start.Obj)
			}
			var fault *soap.Fault
			ctx.WithLock(start.Obj, func() { fault = s.walk(managed(object), start.SelectSet) })
			if fault != nil {
				return nil, fault
			}
		}
	}
	w, out := newWriter(), make([]encoded, 0, len(s.refs))
	for _, ref := range s.refs {
		object := ctx.Session.Get(ref)
		if object == nil {
			continue
		}
		ctx.WithLock(ref, func() {
			if item, ok := l.encode(ctx, w, ref, managed(object), specs, direct[ref]); ok {
				out = append(out, item)
			}
		})
	}
	return out, nil
}

// encode writes one object; it is false when no spec asks for its type, or when the caller may see nothing of it and has
// not named it himself.
func (l *lab) encode(ctx *simulator.Context, w *writer, ref types.ManagedObjectReference, value reflect.Value, specs []types.PropertyFilterSpec, direct bool) (encoded, bool) {
	may := l.rightsOn(ctx, ref)
	if !may.view && !direct {
		return encoded{}, false
	}
	w.element("obj", ref)
	var missing []types.MissingProperty
	wanted := false
	for _, spec := range specs {
		for _, set := range spec.PropSet {
			if !isA(ref, value.Type(), set.Type) {
				continue
			}
			wanted = true
			for _, name := range set.PathSet {
				found, known := property(value, name)
				switch {
				case !known:
					missing = append(missing, types.MissingProperty{
						Path: name, Fault: types.LocalizedMethodFault{Fault: &types.InvalidProperty{Name: name}},
					})
				case found == nil:
				default:
					if privilege := may.lacks(name); privilege != "" {
						missing = append(missing, deniedProperty(ref, name, privilege))
					} else {
						w.element("propSet", types.DynamicProperty{Name: name, Val: found})
					}
				}
			}
		}
	}
	for i := range missing {
		w.element("missingSet", missing[i])
	}
	item := w.take()
	return item, wanted
}

// isA says whether the object is of the type, or of one derived from it.
func isA(ref types.ManagedObjectReference, own reflect.Type, wanted string) bool {
	if wanted == ref.Type || wanted == own.Name() {
		return true
	}
	field, ok := own.FieldByName(wanted)
	return ok && field.Anonymous
}
