// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// rule is one thing that goes wrong on request; README.md lists the kinds and the fields that each reads.
type rule struct {
	Kind         string `json:"kind"`
	Host         string `json:"host,omitempty"`
	Method       string `json:"method,omitempty"`
	Type         string `json:"type,omitempty"`
	Property     string `json:"property,omitempty"`
	Key          string `json:"key,omitempty"`
	Path         string `json:"path,omitempty"`
	Fault        string `json:"fault,omitempty"`
	When         string `json:"when,omitempty"`
	Milliseconds int    `json:"milliseconds,omitempty"`
	Count        int    `json:"count,omitempty"`
}

// faults holds the rules and counts the calls.
type faults struct {
	mutex   sync.Mutex
	rules   []*rule
	calls   map[string]int
	written []writtenCall
	expired time.Time

	apiVersion string
}

// writtenCall is a call that changes something; Host is empty where it is about none.
type writtenCall struct {
	Method string `json:"method"`
	Host   string `json:"host"`
}

func newFaults() *faults { return &faults{calls: map[string]int{}} }

func matches(pattern, value string) bool { return pattern == "" || pattern == value }

// take finds a rule of the kind that fits, and uses up one of its counted times.
func (f *faults) take(kind string, fits func(*rule) bool) *rule {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for i, r := range f.rules {
		if r.Kind != kind || !fits(r) {
			continue
		}
		if r.Count > 0 {
			if r.Count--; r.Count == 0 {
				f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
			}
		}
		return r
	}
	return nil
}

func (f *faults) none() bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return len(f.rules) == 0
}

// ended says whether sessions of that time have been made to expire.
func (f *faults) ended(login time.Time) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return login.Before(f.expired)
}

// takeHost finds a rule of the kind for the host.
func (f *faults) takeHost(kind string, h *esxHost) bool {
	return f.take(kind, func(r *rule) bool { return matches(r.Host, h.system.Name) }) != nil
}

// expire ends the sessions that were opened before.
func (f *faults) expire(before time.Time) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.expired = before
}

// refuses says whether the option of the host does not take its value.
func (f *faults) refuses(host, key string) bool {
	return f.take("refuse_option", func(r *rule) bool { return matches(r.Host, host) && matches(r.Key, key) }) != nil
}

// deniesPath says whether the Automation API keeps a path from everybody.
func (f *faults) deniesPath(path string) bool {
	return f.take("deny_path", func(r *rule) bool { return strings.HasPrefix(path, r.Path) }) != nil
}

// taskDelay is how long a task on a machine of the host takes.
func (f *faults) taskDelay(host string) time.Duration {
	if r := f.take("slow_task", func(r *rule) bool { return matches(r.Host, host) }); r != nil {
		return time.Duration(r.Milliseconds) * time.Millisecond
	}
	return 0
}

func (f *faults) deniesProperty(l *lab, ref types.ManagedObjectReference, property string) bool {
	if f.none() {
		return false
	}
	return f.take("deny_property", func(r *rule) bool {
		within := r.Property == property || strings.HasPrefix(property, r.Property+".")
		return matches(r.Type, ref.Type) && within && matches(r.Host, l.hostName(ref))
	}) != nil
}

// hostName is the name of the host that an object is, or belongs to.
func (l *lab) hostName(ref types.ManagedObjectReference) string {
	if host, ok := l.owners[ref]; ok {
		ref = host
	}
	if h := l.hosts[ref]; h != nil {
		return h.system.Name
	}
	return ""
}

// open methods need no session.
var openMethods = map[string]bool{
	"Login": true, "LoginByToken": true, "CloneSession": true, "RetrieveServiceContent": true, "CurrentTime": true,
	"PbmRetrieveServiceContent": true, "RetrieveInternalContent": true,
}

// admit sees every call before it is made: it delays or refuses it, or puts a shim in the place of vcsim's object.
func (l *lab) admit(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil && openMethods[method.Name] {
		return nil, nil
	}
	session := ctx.Session
	if session == nil || l.faults.ended(session.LoginTime) {
		return nil, &types.NotAuthenticated{NoPermission: *noPermission(method.This, "System.View")}
	}
	if fault := l.faults.before(l, method); fault != nil {
		return nil, fault
	}
	for _, privilege := range l.privilegesOf(method) {
		if owner := l.owner(ctx, method.This); !l.authorization.holds(ctx, session.UserName, privilege, owner) {
			return nil, noPermission(owner, privilege)
		}
	}
	// vcsim looks an object up in the session's registry before anywhere else, even before what this function returns; the
	// session is this request's own copy, so that a registry with nothing but the shim holds for this call alone.
	if shim := l.shim(ctx, method); shim != nil {
		session.Registry = simulator.NewRegistry()
		session.Registry.Put(shim)
	}
	return nil, nil
}

// before counts the call and applies the rules for methods: latency first, then a refusal or another fault.
func (f *faults) before(l *lab, method *simulator.Method) types.BaseMethodFault {
	host := l.hostName(method.This)
	f.mutex.Lock()
	f.calls[method.Name]++
	if isWrite(method.Name) {
		f.written = append(f.written, writtenCall{method.Name, host})
	}
	f.mutex.Unlock()
	fits := func(r *rule) bool { return matches(r.Method, method.Name) && matches(r.Host, host) }
	if r := f.take("latency", fits); r != nil {
		time.Sleep(time.Duration(r.Milliseconds) * time.Millisecond)
	}
	if f.take("deny_method", fits) != nil {
		return noPermission(method.This, "System.Read")
	}
	if r := f.take("fault", fits); r != nil {
		kind, _ := types.TypeFunc()(r.Fault)
		return reflect.New(kind).Interface().(types.BaseMethodFault)
	}
	return nil
}

// shim is the object that answers in the place of vcsim's, or nil.
func (l *lab) shim(ctx *simulator.Context, method *simulator.Method) mo.Reference {
	switch object := ctx.Map.Get(method.This).(type) {
	case *simulator.HostSystem:
		if h := l.hosts[method.This]; h != nil {
			return &hostShim{object, h}
		}
	case *simulator.VirtualMachine:
		if method.Name == "ReconfigVM_Task" {
			return &machineShim{object, l}
		}
	case *simulator.ClusterComputeResource:
		return &clusterShim{object}
	case *simulator.DistributedVirtualPortgroup:
		return &portgroupShim{object}
	case *simulator.DistributedVirtualSwitch:
		return &switchShim{object}
	case *simulator.AlarmManager:
		return &alarmManagerShim{object}
	case *simulator.Alarm:
		return &alarmShim{object}
	case *simulator.CryptoManagerKmip:
		return &cryptoShim{object}
	case *simulator.OptionManager:
		if l.settings != nil {
			return &settingsShim{object, l.settings}
		}
	}
	return nil
}

// writes are the methods that change something, by the start of their names.
var writes = []string{"Update", "Change", "Start", "Stop", "Restart", "Enable", "Disable", "Set", "Add", "Remove", "Reset",
	"Reconfig", "Create", "Join", "Leave", "Enter", "Exit", "Register", "Mark", "Power",
	"Select", "Deselect", "Reboot"}

func isWrite(method string) bool {
	for _, start := range writes {
		if strings.HasPrefix(method, start) && !strings.HasPrefix(method, "CreateContainerView") &&
			!strings.HasPrefix(method, "CreateFilter") && !strings.HasPrefix(method, "CreatePropertyCollector") {
			return true
		}
	}
	return false
}

var firstInBody = regexp.MustCompile(`<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)`)

// soapMethod is the name of the first element of the body, whatever prefixes the client writes.
func soapMethod(body []byte) string {
	found := firstInBody.FindSubmatch(body)
	if found == nil {
		return ""
	}
	return string(found[1])
}

// silence swallows what the server writes after the connection was cut.
type silence struct{ header http.Header }

func (s silence) Header() http.Header            { return s.header }
func (s silence) Write(data []byte) (int, error) { return len(data), nil }
func (s silence) WriteHeader(int)                {}

// hang up closes the connection without an answer.
func hangUp(w http.ResponseWriter) error {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return fmt.Errorf("connection cannot be cut")
	}
	connection, _, err := hijacker.Hijack()
	if err != nil {
		return err
	}
	return connection.Close()
}
