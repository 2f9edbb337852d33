# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the vSphere Automation API (REST) of a vCenter tells: libraries, identity, its own firewall, clusters."""

from __future__ import annotations

import datetime
from urllib.parse import quote

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import rest
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CLUSTERS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import version

# Every item is asked for apart; a library of thousands would take minutes.
MAX_ITEMS = 500
MAX_PAGES = 100
KINDS = ("ovf", "iso", "vm-template")


def fill(facts, session, inventory, fleet):
    """Put what the API tells into `facts`."""
    questions = dict(QUESTIONS)
    if version(facts.document["host"].get("version")) < (9,):
        # No public API told of global permissions before (pitfall P17), which is no error.
        del questions["rbac.global_permissions"]
    try:
        with rest.opened(session) as api:
            for path, ask in questions.items():
                facts.attempt(path, lambda ask=ask: ask(Asking(api, facts, inventory, fleet)))
    except Unreadable as reason:
        for path in questions:
            if not facts.has(path):
                facts.lost(path, reason)


class Asking(object):
    """What a question may need: the API, the facts so far, what hosts share, and the machines."""

    def __init__(self, api, facts, inventory, fleet):
        self.api = api
        self.facts = facts
        self.inventory = inventory
        self.fleet = fleet

    def each(self, path, shape):
        """A list of the API, each entry in its shape."""
        return [shape(found) for found in self.api.get(path)]

    def clusters(self, ask):
        """ask(api, id, name) of every cluster.

        :raises Unreadable: the vCenter has clusters that it does not show.
        """
        unseen = self.inventory.unseen_clusters()
        if unseen:
            raise Unreadable(unseen)
        return [ask(self.api, moid, found.values.get("name", moid)) for moid, found in self.inventory.clusters.items()]

    def alone(self, entry):
        """An entry for each host that is in no cluster, which nothing that holds for clusters says anything of.

        :raises Unreadable: the vCenter does not tell of a host what it is in.
        """
        hosts = self.inventory.hosts.items()
        untold = [moid for moid, found in hosts if found.values.get("parent") is None]
        if untold:
            raise Unreadable("the account may not see whether %s is in a cluster" % untold[0])
        return [
            {"id": moid, "name": found.values.get("name", moid), **entry}
            for moid, found in hosts
            if found.values["parent"].type != CLUSTERS.type
        ]


def _global_permissions(asking):
    names = {str(role["id"]): role["name"] for role in asking.facts.document.get("rbac", {}).get("roles", [])}
    found = [
        entry for entry in _pages_of_permissions(asking.api) if "GLOBAL" in str(entry["object"].get("type", "")).upper()
    ]
    if not found:
        # The administrators of the SSO domain always hold one: an answer without any says nothing.
        raise Unreadable("the list of permissions names no global one")
    return [
        {
            "principal": "\\".join(filter(None, (entry["principal"].get("domain"), entry["principal"]["name"]))),
            "group": str(entry["principal"].get("type", "")).upper() == "GROUP",
            "role": names.get(str(entry["role"]), str(entry["role"])),
        }
        for entry in found
    ]


def _pages_of_permissions(api):
    iterate = {"page_size": 1000}
    for _page in range(MAX_PAGES):
        answer = api.post("/api/vcenter/authorization/permissions?action=list", {"iterate": iterate})
        for entry in answer["items"]:
            yield entry["info"]
        if not answer.get("marker"):
            return
        iterate["marker"] = answer["marker"]
    raise Unreadable("there are more than %d permissions" % (MAX_PAGES * 1000))


def _provider(found):
    return {
        "id": str(found["provider"]),
        "name": str(found.get("name", "")),
        "kind": str(found["config_tag"]),
        "default": found["is_default"] is True,
        "domains": [str(name) for name in found.get("domain_names") or []],
    }


def _rule(found):
    return {
        "address": str(found["address"]),
        "prefix": int(found["prefix"]),
        "policy": str(found["policy"]),
        "interface": str(found.get("interface_name") or "*"),
    }


def _target(found):
    return {"host": str(found["hostname"]), "port": int(found["port"]), "protocol": str(found["protocol"])}


def _library(asking):
    api, names = asking.api, asking.inventory.datastore_names()
    libraries, items = [], []
    for kind, place in (("LOCAL", "local-library"), ("SUBSCRIBED", "subscribed-library")):
        for library_id in api.get("/api/content/%s" % place):
            found = api.get("/api/content/%s/%s" % (place, quote(str(library_id), safe="")))
            libraries.append(_one_library(found, kind, names))
            items += _items(api, library_id, str(found.get("name", "")), MAX_ITEMS - len(items))
    # Templates that lie in no library are cloned all the same.
    items += [
        _template(entry)
        for entries in asking.fleet.machines.values()
        for entry in entries
        if entry.get("template") is True
    ]
    return {"libraries": libraries, "items": items}


def _one_library(found, kind, names):
    published, subscribed = found.get("publish_info") or {}, found.get("subscription_info") or {}
    return {
        "id": str(found["id"]),
        "name": str(found.get("name", "")),
        "kind": kind,
        "published": published.get("published") is True,
        "authentication": str((subscribed or published).get("authentication_method") or "NONE"),
        "subscription_url": str(subscribed.get("subscription_url", "")),
        "ssl_thumbprint": str(subscribed.get("ssl_thumbprint", "")),
        "security_policy": str(found.get("security_policy_id") or ""),
        "datastores": [
            names.get(backing.get("datastore_id"), str(backing.get("datastore_id") or backing.get("storage_uri", "")))
            for backing in found.get("storage_backings") or []
        ],
    }


def _items(api, library_id, library, room):
    ids = api.get("/api/content/library/item?library_id=%s" % quote(str(library_id), safe=""))
    for number, item_id in enumerate(ids):
        entry = {"id": str(item_id), "name": str(item_id), "library": library, "kind": "other", "problem": ""}
        try:
            if number >= room:
                raise Unreadable("not read: there are more than %d items" % MAX_ITEMS)
            found = api.get("/api/content/library/item/%s" % quote(str(item_id), safe=""))
        except Unreadable as reason:
            yield {**entry, "problem": str(reason)[:300]}
            continue
        kind = found.get("type")
        entry.update(
            {
                "name": str(found.get("name", "")),
                "kind": kind if kind in KINDS else "other",
                "size_b": int(found.get("size") or 0),
                "mtime": _seconds(found.get("last_modified_time") or found.get("creation_time")),
                "security_compliance": found.get("security_compliance") is True,
                "certificate_status": str((found.get("certificate_verification_info") or {}).get("status", "")),
            }
        )
        yield {key: one for key, one in entry.items() if one is not None}


def _seconds(text):
    try:
        moment = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return int(moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc).timestamp())


def _template(entry):
    return {
        "id": entry["id"],
        "name": entry.get("name", ""),
        "library": "",
        "kind": "vm-template",
        "size_b": 0,
        "security_compliance": False,
        "certificate_status": "",
        "problem": "",
    }


def _drift(api, moid, name):
    """Configuration profiles exist since 8.0 U1; a cluster without one has no tool that this API knows."""
    cluster = "/api/esx/settings/clusters/%s" % quote(str(moid), safe="")
    entry = {"id": str(moid), "name": name, "tool": "none"}
    try:
        status = api.get("%s/enablement/configuration/transition" % cluster)["status"]
        if status != "ENABLED":
            return {**entry, "compliant": False}
        result = api.get("%s/configuration/reports/last-compliance-result" % cluster)
    except rest.NotFound:
        return {**entry, "compliant": False}
    return {**entry, "tool": "configuration_profile", "compliant": result.get("cluster_status") == "COMPLIANT"}


def _image(api, moid, name):
    """A cluster that is managed by baselines has no image to be compared with."""
    entry = {"id": str(moid), "name": name}
    try:
        found = api.get("/api/esx/settings/clusters/%s/software/compliance" % quote(str(moid), safe=""))
    except rest.NotFound:
        return {**entry, "tool": "baseline", "status": ""}
    return {**entry, "tool": "image", "status": str(found["status"])}


# fact: the question.
QUESTIONS = {
    "rbac.global_permissions": _global_permissions,
    "identity.providers": lambda asking: asking.each("/api/vcenter/identity/providers", _provider),
    "firewall.inbound": lambda asking: asking.each("/api/appliance/networking/firewall/inbound", _rule),
    "logging.forwarding": lambda asking: asking.each("/api/appliance/logging/forwarding", _target),
    "storage.library": _library,
    "drift.clusters": lambda asking: [*asking.clusters(_drift), *asking.alone({"tool": "none", "compliant": False})],
    "patch.clusters": lambda asking: [*asking.clusters(_image), *asking.alone({"tool": "alone", "status": ""})],
}
