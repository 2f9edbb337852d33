// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"net/http"
	"strings"
)

// writePrivileges are those for what is below a path. The appliance asks for membership of a group of the single sign-on
// domain instead, which the lab does not have: who administers the vCenter counts as a member.
var writePrivileges = map[string]string{
	"/api/appliance/":                  "Authorization.ModifyPermissions",
	"/api/content/local-library/":      "ContentLibrary.UpdateLocalLibrary",
	"/api/content/subscribed-library/": "ContentLibrary.UpdateSubscribedLibrary",
}

// writeDocument sets what the API lets be set, for callers who may.
func (l *lab) writeDocument(w http.ResponseWriter, r *http.Request, next http.Handler) {
	needed, user := "", l.restUser(r, next)
	for root, privilege := range writePrivileges {
		if strings.HasPrefix(r.URL.Path, root) {
			needed = privilege
		}
	}
	switch {
	case needed == "":
		restError(w, http.StatusNotFound, "NOT_FOUND")
	case !l.authorization.holds(l.context(), user, needed, l.model.ServiceContent.RootFolder):
		restError(w, http.StatusForbidden, "UNAUTHORIZED")
	case r.Method == http.MethodPatch:
		l.patchLibrary(w, r)
	default:
		l.putDocument(w, r)
	}
}

// restUser is the account of a session of the Automation API.
func (l *lab) restUser(r *http.Request, next http.Handler) string {
	var session struct {
		Value struct {
			User string `json:"user"`
		} `json:"value"`
	}
	_ = json.Unmarshal(oldSession(r, http.MethodGet, next).Body.Bytes(), &session)
	return session.Value.User
}

// patchLibrary gives a library a security policy, or takes it away; what the request leaves out stays.
func (l *lab) patchLibrary(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Policy string `json:"security_policy_id,omitempty"`
		Unset  bool   `json:"unset_security_policy_id,omitempty"`
	}
	library := document{}
	if decode(r.Body, &request) != nil || json.Unmarshal(l.documents.get(r.URL.Path), &library) != nil ||
		(request.Policy != "" && (request.Unset || request.Policy != ovfPolicy)) {
		restError(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	if request.Policy != "" {
		library["security_policy_id"] = request.Policy
	}
	if request.Unset {
		delete(library, "security_policy_id")
	}
	text, _ := json.Marshal(library)
	l.documents.set(r.URL.Path, text)
	l.documents.set("/api/content/library/"+library["id"].(string), text)
	w.WriteHeader(http.StatusNoContent)
}
