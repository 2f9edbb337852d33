// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// mostPerPage is the server's own limit of objects in one answer, which a client has to expect even without asking.
const mostPerPage = 1000

// propertyCollector is vcsim's with what a real one does: it leaves out properties that are not set, pages everything in
// the same way, and hides what the caller may not read.
//
// vcsim makes a new one for each session from the type alone, so that what it needs is in the package: collectorLab.
type propertyCollector struct {
	simulator.PropertyCollector
}

var (
	collectorLab *lab
	pages        sync.Map
	lastToken    atomic.Int64
)

type page struct {
	session string
	most    int
	objects []encoded
}

// next returns the first objects of a page and, when some are left, the token for them.
func (p page) next() *encodedPage {
	if len(p.objects) == 0 {
		return nil
	}
	if len(p.objects) <= p.most {
		return &encodedPage{Objects: p.objects}
	}
	token := strconv.FormatInt(lastToken.Add(1), 10)
	pages.Store(token, page{p.session, p.most, p.objects[p.most:]})
	return &encodedPage{token, p.objects[:p.most]}
}

type encodedPage struct {
	Token   string    `xml:"token,omitempty"`
	Objects []encoded `xml:"objects"`
}

type pageResponse struct {
	Returnval *encodedPage `xml:"returnval,omitempty"`
}

type firstPageBody struct {
	Res    *pageResponse `xml:"RetrievePropertiesExResponse"`
	Fault_ *soap.Fault
}

func (b *firstPageBody) Fault() *soap.Fault { return b.Fault_ }

type nextPageBody struct {
	Res    *pageResponse `xml:"ContinueRetrievePropertiesExResponse"`
	Fault_ *soap.Fault
}

func (b *nextPageBody) Fault() *soap.Fault { return b.Fault_ }

func (c *propertyCollector) retrieve(ctx *simulator.Context, specs []types.PropertyFilterSpec) ([]types.ObjectContent, *soap.Fault) {
	body := c.PropertyCollector.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{SpecSet: specs})
	if fault := body.Fault(); fault != nil {
		return nil, fault
	}
	direct := map[types.ManagedObjectReference]bool{}
	for _, spec := range specs {
		for _, object := range spec.ObjectSet {
			direct[object.Obj] = true
		}
	}
	var out []types.ObjectContent
	for _, content := range body.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects {
		if collectorLab.censor(ctx, &content) || direct[content.Obj] {
			out = append(out, content)
		}
	}
	return out, nil
}

// censor moves what the caller may not read to the missing set; it is false when nothing of the object may be seen.
func (l *lab) censor(ctx *simulator.Context, content *types.ObjectContent) bool {
	may := l.rightsOn(ctx, content.Obj)
	kept := content.PropSet[:0]
	for _, property := range content.PropSet {
		if privilege := may.lacks(property.Name); privilege != "" {
			content.MissingSet = append(content.MissingSet, deniedProperty(content.Obj, property.Name, privilege))
			continue
		}
		kept = append(kept, property)
	}
	content.PropSet = kept
	return may.view
}

// rights are what the caller may see of one object.
type rights struct {
	lab        *lab
	ref        types.ManagedObjectReference
	held       []string
	read, view bool
}

func (l *lab) rightsOn(ctx *simulator.Context, ref types.ManagedObjectReference) rights {
	held := l.authorization.privileges(ctx, ctx.Session.UserName, l.owner(ctx, ref))
	read := slices.Contains(held, "System.Read") || l.open(ctx, ref)
	return rights{l, ref, held, read, read || slices.Contains(held, "System.View")}
}

// lacks names the privilege that the caller has not for a property; a fault on request counts as that.
func (r rights) lacks(property string) string {
	privilege, allowed := "System.Read", r.read
	if special := propertyPrivileges[r.ref.Type+"."+property]; special != "" {
		privilege, allowed = special, slices.Contains(r.held, special)
	}
	if allowed && !r.lab.faults.deniesProperty(r.lab, r.ref, property) {
		return ""
	}
	return privilege
}

func deniedProperty(ref types.ManagedObjectReference, property, privilege string) types.MissingProperty {
	return types.MissingProperty{Path: property, Fault: types.LocalizedMethodFault{
		Fault: noPermission(ref, privilege), LocalizedMessage: "Permission to perform this operation was denied.",
	}}
}

// open objects belong to no entity and show themselves to everybody who is logged in: sessions, views, tasks, managers of
// the service.
func (l *lab) open(ctx *simulator.Context, ref types.ManagedObjectReference) bool {
	_, managed := l.owners[ref]
	return !managed && !isEntity(ctx, ref)
}

func (c *propertyCollector) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	objects, fault := c.encoded(ctx, req.SpecSet)
	most := mostPerPage
	if asked := int(req.Options.MaxObjects); asked > 0 && asked < most {
		most = asked
	}
	body := &firstPageBody{Fault_: fault}
	if fault == nil {
		body.Res = &pageResponse{page{ctx.Session.Key, most, objects}.next()}
	}
	return body
}

func (c *propertyCollector) encoded(ctx *simulator.Context, specs []types.PropertyFilterSpec) ([]encoded, *soap.Fault) {
	collectorLab.weighClusters(ctx, specs)
	if isBulk(specs) {
		return collectorLab.bulk(ctx, specs)
	}
	contents, fault := c.retrieve(ctx, specs)
	w, objects := newWriter(), make([]encoded, 0, len(contents))
	for i := range contents {
		objects = append(objects, w.content(&contents[i]))
	}
	return objects, fault
}

func (c *propertyCollector) ContinueRetrievePropertiesEx(ctx *simulator.Context, req *types.ContinueRetrievePropertiesEx) soap.HasFault {
	found, ok := pages.LoadAndDelete(req.Token)
	if !ok || found.(page).session != ctx.Session.Key {
		return &nextPageBody{Fault_: invalidArgument("token")}
	}
	return &nextPageBody{Res: &pageResponse{found.(page).next()}}
}

func (c *propertyCollector) CancelRetrievePropertiesEx(_ *simulator.Context, req *types.CancelRetrievePropertiesEx) soap.HasFault {
	body := &methods.CancelRetrievePropertiesExBody{Res: new(types.CancelRetrievePropertiesExResponse)}
	if _, ok := pages.LoadAndDelete(req.Token); !ok {
		body.Fault_ = invalidArgument("token")
	}
	return body
}

func (c *propertyCollector) RetrieveProperties(ctx *simulator.Context, req *types.RetrieveProperties) soap.HasFault {
	objects, fault := c.retrieve(ctx, req.SpecSet)
	return &methods.RetrievePropertiesBody{Fault_: fault, Res: &types.RetrievePropertiesResponse{Returnval: objects}}
}

// FetchResponse is the private type's equal.
type FetchResponse struct {
	Returnval types.AnyType `xml:"returnval,omitempty,typeattr"`
}

type fetchBody struct {
	Res    *FetchResponse `xml:"FetchResponse"`
	Fault_ *soap.Fault
}

func (b *fetchBody) Fault() *soap.Fault { return b.Fault_ }

// Fetch is how pyVmomi reads one property. Its request type is govmomi's own and is read by reflection.
func (c *propertyCollector) Fetch(ctx *simulator.Context, req any) soap.HasFault {
	request := reflect.ValueOf(req).Elem()
	this := request.FieldByName("This").Interface().(types.ManagedObjectReference)
	specs := []types.PropertyFilterSpec{{
		PropSet:   []types.PropertySpec{{Type: this.Type, PathSet: []string{request.FieldByName("Prop").String()}}},
		ObjectSet: []types.ObjectSpec{{Obj: this}},
	}}
	collectorLab.weighClusters(ctx, specs)
	objects, fault := c.retrieve(ctx, specs)
	body := &fetchBody{Fault_: fault, Res: new(FetchResponse)}
	switch {
	case fault != nil:
	case len(objects) == 0:
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: this})
	case len(objects[0].MissingSet) > 0:
		missing := objects[0].MissingSet[0].Fault
		body.Fault_ = simulator.Fault(missing.LocalizedMessage, missing.Fault)
	case len(objects[0].PropSet) > 0:
		body.Res.Returnval = objects[0].PropSet[0].Val
	}
	return body
}
