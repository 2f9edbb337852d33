// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// wrap sees every request of the endpoint before the simulator does, so that a connection can be cut: before the call is
// made, or after it, when what was asked has been done and the caller will never know.
func (l *lab) wrap(next http.Handler) http.Handler {
	f := l.faults
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.config.Standalone != "" && l.order[0].down.Load() {
			_ = hangUp(w)
			return
		}
		if r.URL.Path == "/sdk/vimServiceVersions.xml" {
			serveVersions(w, f.apiVersion)
			return
		}
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/sdk") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		method := soapMethod(body)
		cut := f.take("cut_connection", func(r *rule) bool {
			return (r.Method == "" && isWrite(method)) || r.Method == method
		})
		if cut == nil {
			next.ServeHTTP(w, r)
			return
		}
		if cut.When != "before" {
			next.ServeHTTP(silence{http.Header{}}, r)
		}
		_ = hangUp(w)
	})
}

// apiVersions are the releases that a server names as those it understands; an older client takes the newest it knows.
var apiVersions = []string{"9.0.0.0", "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.0", "7.0.2.0", "7.0.1.1", "7.0", "6.7.3", "6.7", "6.5", "6.0"}

func serveVersions(w http.ResponseWriter, own string) {
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><namespaces version="1.0"><namespace><name>urn:vim25</name>`+
		`<version>%s</version><priorVersions>`, own)
	for _, version := range apiVersions[slices.Index(apiVersions, own)+1:] {
		fmt.Fprintf(w, "<version>%s</version>", version)
	}
	fmt.Fprint(w, "</priorVersions></namespace></namespaces>")
}

// control is the endpoint that tests set faults and states on; README.md describes it.
func (l *lab) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, l.faults.list()) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) { refuse(w, l.addFault(r.Body)) })
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) { refuse(w, l.clearFaults()) })
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { reply(w, l.faults.counts()) })
	mux.HandleFunc("GET /writes", func(w http.ResponseWriter, _ *http.Request) { reply(w, l.faults.writes()) })
	mux.HandleFunc("DELETE /calls", func(w http.ResponseWriter, _ *http.Request) { l.faults.resetCounts() })
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, _ *http.Request) { reply(w, l.sessions()) })
	mux.HandleFunc("POST /state", func(w http.ResponseWriter, r *http.Request) { refuse(w, l.setState(r.Body)) })
	mux.HandleFunc("POST /packages", func(w http.ResponseWriter, r *http.Request) { refuse(w, l.addPackage(r.Body)) })
	mux.HandleFunc("POST /documents", func(w http.ResponseWriter, r *http.Request) { refuse(w, l.setDocument(r.Body)) })
	return mux
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func decode(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

var kinds = []string{"latency", "deny_method", "deny_property", "deny_path", "fault", "refuse_option", "cut_connection",
	"host_state", "expire_sessions", "slow_task", "evacuation_hangs", "no_return"}

func (l *lab) addFault(body io.Reader) error {
	r := new(rule)
	if err := decode(body, r); err != nil {
		return err
	}
	if !slices.Contains(kinds, r.Kind) {
		return fmt.Errorf("kind %q: expected one of %s", r.Kind, strings.Join(kinds, ", "))
	}
	if r.Host != "" && l.hostByName(r.Host) == nil {
		return fmt.Errorf("host %q: no such host", r.Host)
	}
	if r.Kind == "fault" {
		kind, ok := types.TypeFunc()(r.Fault)
		if !ok || !reflect.PointerTo(kind).Implements(reflect.TypeFor[types.BaseMethodFault]()) {
			return fmt.Errorf("fault %q: no such fault type", r.Fault)
		}
	}
	l.faults.mutex.Lock()
	defer l.faults.mutex.Unlock()
	switch r.Kind {
	case "expire_sessions":
		l.faults.expired = time.Now().UTC()
	case "host_state":
		return l.setConnection(r.Host, r.When)
	default:
		l.faults.rules = append(l.faults.rules, r)
	}
	return nil
}

func (l *lab) hostByName(name string) *esxHost {
	for _, h := range l.order {
		if h.system.Name == name {
			return h
		}
	}
	return nil
}

func (l *lab) setConnection(name, state string) error {
	h := l.hostByName(name)
	known := []string{"connected", "disconnected", "notResponding"}
	if h == nil || !slices.Contains(known, state) {
		return fmt.Errorf("host_state needs a host and \"when\", one of %s", strings.Join(known, ", "))
	}
	l.context().WithLock(h.system, func() {
		h.runtime().ConnectionState = types.HostSystemConnectionState(state)
	})
	return nil
}

func (l *lab) clearFaults() error {
	l.faults.mutex.Lock()
	defer l.faults.mutex.Unlock()
	l.faults.rules = nil
	for _, h := range l.order {
		if h.down.Load() {
			go h.boot()
			continue
		}
		if err := l.setConnection(h.system.Name, "connected"); err != nil {
			return err
		}
	}
	return nil
}

func (f *faults) list() []*rule {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return append([]*rule{}, f.rules...)
}

func (f *faults) counts() map[string]int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	copied := map[string]int{}
	for name, count := range f.calls {
		copied[name] = count
	}
	return copied
}

// writes lists the calls that change something, in their order.
func (f *faults) writes() []writtenCall {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return append([]writtenCall{}, f.written...)
}

func (f *faults) resetCounts() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.calls, f.written = map[string]int{}, nil
}

// sessions lists who is logged in; vcsim keeps a session that has expired.
func (l *lab) sessions() []string {
	names := []string{}
	manager := l.context().Session.Get(*l.model.ServiceContent.SessionManager).(*simulator.SessionManager)
	for _, session := range manager.SessionList {
		if !l.faults.ended(session.LoginTime) {
			names = append(names, session.UserName)
		}
	}
	slices.Sort(names)
	return names
}

// setState sets one property of a host or a virtual machine to what no API call can: firmware, TPM, attestation, links.
func (l *lab) setState(body io.Reader) error {
	var request struct {
		Object   string          `json:"object"`
		Property string          `json:"property"`
		Value    json.RawMessage `json:"value"`
	}
	if err := decode(body, &request); err != nil {
		return err
	}
	var found mo.Reference
	for _, entity := range slices.Concat(l.model.Map().All("HostSystem"), l.model.Map().All("VirtualMachine")) {
		if entity.Entity().Name == request.Object {
			found = entity
		}
	}
	if found == nil {
		return fmt.Errorf("object %q: no host or virtual machine of that name", request.Object)
	}
	var err error
	l.context().WithLock(found, func() {
		err = setProperty(reflect.ValueOf(found).Elem().Field(0), strings.Split(request.Property, "."), request.Value)
	})
	return err
}

// setProperty walks to the property by its path; null takes an optional one away.
func setProperty(at reflect.Value, path []string, value json.RawMessage) error {
	for i, name := range path {
		if at.Kind() == reflect.Pointer {
			if at.IsNil() {
				at.Set(reflect.New(at.Type().Elem()))
			}
			// Hosts share what is equal in all of them: change a copy.
			copied := reflect.New(at.Type().Elem())
			copied.Elem().Set(at.Elem())
			at.Set(copied)
			at = at.Elem()
		}
		if at.Kind() != reflect.Struct || name == "" {
			return fmt.Errorf("property %q: %s is no object", strings.Join(path, "."), strings.Join(path[:i], "."))
		}
		if at = at.FieldByName(strings.ToUpper(name[:1]) + name[1:]); !at.IsValid() {
			return fmt.Errorf("property %q: no %s", strings.Join(path, "."), name)
		}
	}
	fresh := reflect.New(at.Type())
	if err := json.Unmarshal(value, fresh.Interface()); err != nil {
		return fmt.Errorf("property %q: %w", strings.Join(path, "."), err)
	}
	at.Set(fresh.Elem())
	return nil
}

// addPackage installs a package, as a hand on the host's own shell would: no acceptance level stops it.
func (l *lab) addPackage(body io.Reader) error {
	var request struct{ Host, Name, Level string }
	if err := decode(body, &request); err != nil {
		return err
	}
	h := l.hostByName(request.Host)
	if h == nil || request.Name == "" || !slices.Contains(acceptanceLevels, request.Level) {
		return fmt.Errorf("needs host, name and level, one of %s", strings.Join(acceptanceLevels, ", "))
	}
	l.context().WithLock(h.image, func() {
		added := h.image.packages[0]
		added.Name, added.AcceptanceLevel, added.Vendor = request.Name, request.Level, "unknown"
		h.image.packages = append(slices.Clone(h.image.packages), added)
	})
	return nil
}
