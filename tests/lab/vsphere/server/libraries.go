// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "encoding/json"

const (
	localLibrary      = "8b5f4c1e-0001-4b6a-9b63-000000000001"
	subscribedLibrary = "8b5f4c1e-0002-4b6a-9b63-000000000002"
	signedItem        = "8b5f4c1e-0003-4b6a-9b63-000000000003"
	isoItem           = "8b5f4c1e-0004-4b6a-9b63-000000000004"
	vendorItem        = "8b5f4c1e-0005-4b6a-9b63-000000000005"
	ovfPolicy         = "a5ff4bd2-0000-4b6a-9b63-0000000000aa"
)

type document = map[string]any

// libraryDocuments are two content libraries: a local one with the OVF policy, holding a signed template and an ISO file,
// and one subscribed over https with a pinned certificate.
func libraryDocuments() map[string]json.RawMessage {
	local := document{
		"id": localLibrary, "name": "images", "type": "LOCAL", "security_policy_id": ovfPolicy, "version": "4",
		"publish_info": document{"published": false, "authentication_method": "NONE", "persist_json_enabled": false},
	}
	subscribed := document{
		"id": subscribedLibrary, "name": "vendor-images", "type": "SUBSCRIBED", "version": "9",
		"subscription_info": document{
			"subscription_url": "https://images.lab.example/vcsp/lib.json", "authentication_method": "BASIC",
			"user_name": "subscriber", "automatic_sync_enabled": true, "on_demand": false,
			"ssl_thumbprint": "3C:0A:51:E4:9A:6B:77:10:5D:2F:8E:43:0B:9C:11:70:6A:5E:D2:19",
		},
	}
	items := []document{
		{"id": signedItem, "library_id": localLibrary, "name": "debian-12", "type": "ovf", "security_compliance": true,
			"certificate_verification_info": document{"status": "VERIFIED"}, "content_version": "1", "size": 1 << 30,
			"last_modified_time": "2026-03-02T09:00:00.000Z"},
		{"id": isoItem, "library_id": localLibrary, "name": "rescue", "type": "iso", "security_compliance": false,
			"certificate_verification_info": document{"status": "NOT_AVAILABLE"}, "content_version": "1", "size": 1 << 29,
			"last_modified_time": "2026-03-02T09:00:00.000Z"},
		{"id": vendorItem, "library_id": subscribedLibrary, "name": "appliance", "type": "ovf", "security_compliance": true,
			"certificate_verification_info": document{"status": "INTERNAL"}, "content_version": "2", "size": 1 << 31,
			"last_modified_time": "2026-03-02T09:00:00.000Z"},
	}
	found := map[string]any{
		"/api/content/library":                                 []string{localLibrary, subscribedLibrary},
		"/api/content/library/" + localLibrary:                 local,
		"/api/content/library/" + subscribedLibrary:            subscribed,
		"/api/content/local-library":                           []string{localLibrary},
		"/api/content/local-library/" + localLibrary:           local,
		"/api/content/subscribed-library":                      []string{subscribedLibrary},
		"/api/content/subscribed-library/" + subscribedLibrary: subscribed,
	}
	of := map[string][]string{}
	for _, item := range items {
		id, library := item["id"].(string), item["library_id"].(string)
		found["/api/content/library/item/"+id] = item
		of[library] = append(of[library], id)
	}
	for library, ids := range of {
		found["/api/content/library/item?library_id="+library] = ids
	}
	documents := map[string]json.RawMessage{}
	for path, value := range found {
		documents[path], _ = json.Marshal(value)
	}
	return documents
}
