// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// documents are answers of the vSphere Automation API by path and query, beside what vcsim's own serves (the older API's
// content library, tags). A path that has none is not found, as it is where a feature is not set up.
type documents struct {
	mutex sync.Mutex
	paths map[string]json.RawMessage
}

func (l *lab) newDocuments() *documents {
	d := &documents{paths: map[string]json.RawMessage{
		"/api/appliance/logging/forwarding":           json.RawMessage(`[]`),
		"/api/appliance/networking/firewall/inbound":  json.RawMessage(`[]`),
		"/api/appliance/system/version":               json.RawMessage(fmt.Sprintf(`{"version":"%s","build":"%s","product":"VMware vCenter Server","type":"vCenter Server with an embedded Platform Services Controller"}`, l.vcenter.version, l.vcenter.build)),
		"/api/vcenter/identity/providers":             json.RawMessage(`[]`),
		"/api/content/security-policies":              json.RawMessage(`[{"policy":"` + ovfPolicy + `","name":"OVF default policy","item_type_rules":{"ovf":"OVF_STRICT_VERIFICATION"}}]`),
		"/api/appliance/access/ssh":                   json.RawMessage(`false`),
		"/api/appliance/local-accounts/global-policy": json.RawMessage(`{"max_days":90,"min_days":0,"warn_days":7}`),
	}}
	maps.Copy(d.paths, libraryDocuments())
	for _, cluster := range l.model.Map().All("ClusterComputeResource") {
		base := "/api/esx/settings/clusters/" + cluster.Reference().Value
		d.paths[base+"/software/compliance"] = json.RawMessage(`{"status":"COMPLIANT","impact":"NO_IMPACT","hosts":[]}`)
		d.paths[base+"/enablement/software"] = json.RawMessage(`{"enabled":true}`)
		d.paths[base+"/enablement/configuration/transition"] = json.RawMessage(`{"status":"NOT_STARTED"}`)
	}
	return d
}

func (d *documents) get(path string) json.RawMessage {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.paths[path]
}

func (d *documents) set(path string, document json.RawMessage) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if document == nil || string(document) == "null" {
		delete(d.paths, path)
		return
	}
	d.paths[path] = document
}

// setDocument is the control endpoint's: null takes a path away.
func (l *lab) setDocument(body io.Reader) error {
	var request struct {
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if err := decode(body, &request); err != nil {
		return err
	}
	if l.documents == nil || !strings.HasPrefix(request.Path, "/api/") {
		return fmt.Errorf("path %q: expected one below /api/ of a vCenter", request.Path)
	}
	l.documents.set(request.Path, request.Value)
	return nil
}

// documentRoots are the parts of the API that vcsim's own server has nothing of.
var documentRoots = []string{"/api/appliance/", "/api/content/library", "/api/content/local-library", "/api/content/subscribed-library",
	"/api/esx/settings/clusters/", "/api/vcenter/identity/"}

// wrapREST answers the documents' paths for callers whose session vcsim's own /api/session knows.
func (l *lab) wrapREST(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/session" {
			session(w, r, next)
			return
		}
		permissions := r.URL.Path == "/api/vcenter/authorization/permissions"
		// A document without a query answers for every query that has none of its own.
		document := l.documents.get(r.URL.RequestURI())
		if document == nil {
			document = l.documents.get(r.URL.Path)
		}
		if document == nil && !permissions && !slices.ContainsFunc(documentRoots, func(root string) bool {
			return strings.HasPrefix(r.URL.Path, root)
		}) {
			next.ServeHTTP(w, r)
			return
		}
		switch {
		case oldSession(r, http.MethodGet, next).Code != http.StatusOK:
			restError(w, http.StatusUnauthorized, "UNAUTHENTICATED")
		case permissions && l.vcenter.rank < 900:
			restError(w, http.StatusNotFound, "NOT_FOUND") // the resource is 9.0's
		case l.faults.deniesPath(r.URL.Path):
			restError(w, http.StatusForbidden, "UNAUTHORIZED")
		case permissions && r.Method == http.MethodPost && r.URL.Query().Get("action") == "list":
			items := l.permissionItems()
			if document != nil {
				items = append(items, document)
			}
			reply(w, map[string]any{"items": items})
		case document != nil && r.Method == http.MethodGet:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(document)
		case document != nil && (r.Method == http.MethodPut || r.Method == http.MethodPatch):
			l.writeDocument(w, r, next)
		default:
			restError(w, http.StatusNotFound, "NOT_FOUND")
		}
	})
}

// oldSession calls vcsim's session, which is the older API's, with the caller's headers.
func oldSession(r *http.Request, method string, next http.Handler) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(method, "/rest/com/vmware/cis/session", nil)
	request.Header = r.Header.Clone()
	next.ServeHTTP(answer, request)
	return answer
}

// session is /api/session: the token is the whole answer, where the older API wraps it.
func session(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := oldSession(r, r.Method, next)
	var wrapped struct {
		Value json.RawMessage `json:"value"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &wrapped)
	switch {
	case answer.Code != http.StatusOK:
		restError(w, http.StatusUnauthorized, "UNAUTHENTICATED")
	case r.Method == http.MethodPost:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(wrapped.Value)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		reply(w, wrapped.Value)
	}
}

func restError(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error_type": kind, "messages": []any{}})
}

// putDocument sets the two lists that the appliance lets be set, each as a whole.
func (l *lab) putDocument(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Servers []struct {
			Hostname string `json:"hostname"`
			Port     int    `json:"port"`
			Protocol string `json:"protocol"`
		} `json:"cfg_list"`
		Rules []struct {
			Address   string `json:"address"`
			Prefix    int    `json:"prefix"`
			Policy    string `json:"policy"`
			Interface string `json:"interface_name,omitempty"`
		} `json:"rules"`
	}
	if err := decode(r.Body, &request); err != nil {
		restError(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	var list any
	switch r.URL.Path {
	case "/api/appliance/logging/forwarding":
		for _, server := range request.Servers {
			known := slices.Contains([]string{"TLS", "UDP", "TCP", "RELP"}, server.Protocol)
			if server.Hostname == "" || server.Port < 1 || server.Port > 65535 || !known {
				restError(w, http.StatusBadRequest, "INVALID_ARGUMENT")
				return
			}
		}
		if len(request.Servers) > 3 {
			restError(w, http.StatusInternalServerError, "UNABLE_TO_ALLOCATE_RESOURCE")
			return
		}
		list = append(request.Servers[:0:0], request.Servers...)
	case "/api/appliance/networking/firewall/inbound":
		for _, rule := range request.Rules {
			if !slices.Contains([]string{"IGNORE", "ACCEPT", "REJECT", "RETURN"}, rule.Policy) || rule.Prefix < 0 || rule.Prefix > 128 {
				restError(w, http.StatusBadRequest, "INVALID_ARGUMENT")
				return
			}
		}
		list = append(request.Rules[:0:0], request.Rules...)
	default:
		restError(w, http.StatusNotFound, "NOT_FOUND")
		return
	}
	text, _ := json.Marshal(list)
	if string(text) == "null" {
		text = []byte("[]")
	}
	l.documents.set(r.URL.Path, text)
	w.WriteHeader(http.StatusNoContent)
}

// permissionItems are all permissions; the administrators' global one is not in AuthorizationManager (pitfall P17).
func (l *lab) permissionItems() []any {
	item := func(id string, kind, object, principal string, group bool, role int32, propagate bool) any {
		domain, name, found := strings.Cut(principal, `\`)
		if !found {
			name, domain, _ = strings.Cut(principal, "@")
		}
		who := "USER"
		if group {
			who = "GROUP"
		}
		return map[string]any{"permission": id, "info": map[string]any{
			"object":    map[string]any{"type": kind, "id": object},
			"principal": map[string]any{"type": who, "name": name, "domain": domain},
			"role":      strconv.Itoa(int(role)), "propagating": propagate,
		}}
	}
	items := []any{item("global-1", "GlobalAcl", "global-permission", "Administrators@vsphere.local", true, -1, true)}
	l.authorization.mutex.RLock()
	defer l.authorization.mutex.RUnlock()
	var all []types.Permission
	for _, permissions := range l.authorization.permissions {
		all = append(all, permissions...)
	}
	for i, p := range all {
		items = append(items, item("permission-"+itoa(i+1), p.Entity.Type, p.Entity.Value, p.Principal, p.Group, p.RoleId, p.Propagate))
	}
	return items
}
