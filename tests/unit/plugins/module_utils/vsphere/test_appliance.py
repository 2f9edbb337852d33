# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vSphere Automation API: answers of the documented shapes, refusals, and what an older vCenter does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import appliance
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Endpoint
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Facts
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref

PERMISSIONS = "/api/vcenter/authorization/permissions?action=list"
CLUSTER = "/api/esx/settings/clusters/domain-c8"
ANSWERS: dict[str, Any] = {
    PERMISSIONS: {
        "items": [
            {"permission": "1", "info": {"object": {"type": "GLOBAL", "id": "g"}, "role": "-1", "propagating": True,
             "principal": {"type": "GROUP", "name": "Administrators", "domain": "vsphere.local"}}},
            {"permission": "2", "info": {"object": {"type": "VirtualMachine", "id": "vm-1"}, "role": "-5",
             "propagating": False, "principal": {"type": "USER", "name": "mallory", "domain": "DWP"}}},
        ]
    },
    "/api/vcenter/identity/providers": [
        {"provider": "p1", "name": "IdP", "config_tag": "Oidc", "is_default": True, "domain_names": ["dwp.example"]}
    ],
    "/api/appliance/networking/firewall/inbound": [
        {"address": "192.0.2.0", "prefix": 24, "policy": "ACCEPT", "interface_name": "nic0"}
    ],
    "/api/appliance/logging/forwarding": [{"hostname": "log1", "port": 6514, "protocol": "TLS"}],
    "/api/content/local-library": ["l1"],
    "/api/content/local-library/l1": {
        "id": "l1", "name": "golden", "publish_info": {"published": True, "authentication_method": "BASIC"},
        "storage_backings": [{"type": "DATASTORE", "datastore_id": "datastore-1"}], "security_policy_id": "policy",
    },
    "/api/content/subscribed-library": ["s1"],
    "/api/content/subscribed-library/s1": {
        "id": "s1", "name": "mirror",
        "subscription_info": {
            "subscription_url": "https://vc2/lib.json", "ssl_thumbprint": "AB", "authentication_method": "NONE",
        },
    },
    "/api/content/library/item?library_id=l1": ["i1", "i2"],
    "/api/content/library/item?library_id=s1": [],
    "/api/content/library/item/i1": {
        "id": "i1", "name": "debian12", "type": "ovf", "size": 10, "last_modified_time": "2026-11-30T06:00:00.000Z",
        "security_compliance": True, "certificate_verification_info": {"status": "VERIFIED"},
    },
    f"{CLUSTER}/enablement/configuration/transition": {"status": "ENABLED"},
    f"{CLUSTER}/configuration/reports/last-compliance-result": {"cluster_status": "COMPLIANT"},
    f"{CLUSTER}/software/compliance": {"status": "NON_COMPLIANT"},
}  # fmt: skip


class VCenter:
    """Session, connections, inventory and fleet of one vCenter with one cluster and one template."""

    def __init__(self, changed: dict[str, Any], login: int = 201) -> None:
        self.endpoint = Endpoint("vc1", "192.0.2.10", "auditor", "S3cret")
        self.connections = self
        self.clusters = {"domain-c8": Found("C", "domain-c8", {"name": "prod", "host": ["host-1"]}, {})}
        self.hosts = {
            moid: Found("H", moid, {"name": f"{moid}.example", "parent": Ref("domain-c8", kind)}, {})
            for moid, kind in (("host-1", "ClusterComputeResource"), ("host-2", "ComputeResource"))
        }
        self.machines = {"host-1": [{"id": "u-1", "name": "tmpl", "template": True}, {"id": "u-2", "template": False}]}
        self.answers = {**ANSWERS, **changed}
        self.login = login
        self.asked: list[str] = []

    def unseen_clusters(self) -> str | None:
        return None

    def datastore_names(self) -> dict[str, str]:
        return {"datastore-1": "fast"}

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict, bytes]:
        self.asked.append(f"{method} {path}")
        if path == "/api/session" and method == "POST":
            return self.login, {}, b'"token"'
        if method == "DELETE":
            return 204, {}, b""
        assert headers["vmware-api-session-id"] == "token"
        found = self.answers.get(path, 404)
        if isinstance(found, list) and path == PERMISSIONS:
            found = found[int(json.loads(body)["iterate"].get("marker", 0))]
        return (found, {}, b"{}") if isinstance(found, int) else (200, {}, json.dumps(found).encode())


def filled(release: str = "9.0.0", login: int = 201, **changed: Any) -> tuple[Facts, VCenter]:
    vcenter, facts = VCenter({key.replace("__", "/"): value for key, value in changed.items()}, login), Facts()
    facts.put("host.version", release)
    facts.put("rbac.roles", [{"id": -1, "name": "Admin"}])
    appliance.fill(facts, vcenter, vcenter, vcenter)
    return facts, vcenter


def reasons(facts: Facts) -> dict[str, str]:
    return {error["path"]: error["reason"] for error in facts.errors}


def test_everything_the_documented_answers_tell() -> None:
    facts, vcenter = filled()
    assert facts.document["rbac"]["global_permissions"] == [
        {"principal": "vsphere.local\\Administrators", "group": True, "role": "Admin"}
    ]
    assert facts.document["identity"]["providers"][0]["domains"] == ["dwp.example"]
    assert facts.document["firewall"]["inbound"] == [
        {"address": "192.0.2.0", "prefix": 24, "policy": "ACCEPT", "interface": "nic0"}
    ]
    assert facts.document["logging"]["forwarding"] == [{"host": "log1", "port": 6514, "protocol": "TLS"}]
    assert facts.document["drift"]["clusters"] == [
        {"id": "domain-c8", "name": "prod", "tool": "configuration_profile", "compliant": True},
        # What holds for clusters says nothing of a host in none.
        {"id": "host-2", "name": "host-2.example", "tool": "none", "compliant": False},
    ]
    assert facts.document["patch"]["clusters"] == [
        {"id": "domain-c8", "name": "prod", "tool": "image", "status": "NON_COMPLIANT"},
        {"id": "host-2", "name": "host-2.example", "tool": "alone", "status": ""},
    ]
    assert facts.errors == []
    assert vcenter.asked[-1] == "DELETE /api/session"


def test_libraries_items_and_templates_outside_of_them() -> None:
    library = filled()[0].document["storage"]["library"]
    assert [(one["kind"], one["published"], one["authentication"]) for one in library["libraries"]] == [
        ("LOCAL", True, "BASIC"),
        ("SUBSCRIBED", False, "NONE"),
    ]
    assert library["libraries"][0]["datastores"] == ["fast"]
    items = {item["name"]: item for item in library["items"]}
    assert items["debian12"]["certificate_status"] == "VERIFIED"
    assert items["debian12"]["mtime"] == 1796018400
    # An item that is gone between the list and the question is shown with the reason.
    assert "does not offer" in items["i2"]["problem"]
    assert (items["tmpl"]["kind"], items["tmpl"]["library"]) == ("vm-template", "")
    assert "u-2" not in {item["id"] for item in library["items"]}


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("/api/vcenter/identity/providers", "identity.providers"),
        ("/api/appliance/networking/firewall/inbound", "firewall.inbound"),
        ("/api/content/local-library", "storage.library"),
        (PERMISSIONS, "rbac.global_permissions"),
        (f"{CLUSTER}/software/compliance", "patch.clusters"),
    ],
)
@pytest.mark.parametrize(("answer", "said"), [(403, "no permission"), (500, "HTTP 500"), ({"strange": 1}, "shape")])
def test_what_is_refused_or_strange_is_unknown_alone(path: str, fact: str, answer: Any, said: str) -> None:
    facts, _vcenter = filled(**{path: answer})
    assert list(reasons(facts)) == [fact]
    assert said in reasons(facts)[fact] or "does not offer" in reasons(facts)[fact]


def test_clusters_without_profile_and_image_are_known_as_such() -> None:
    facts, _vcenter = filled(
        **{f"{CLUSTER}/enablement/configuration/transition": 404, f"{CLUSTER}/software/compliance": 404}
    )
    assert facts.document["drift"]["clusters"][0]["tool"] == "none"
    assert facts.document["drift"]["clusters"][0]["compliant"] is False
    assert facts.document["patch"]["clusters"][0] == {
        "id": "domain-c8",
        "name": "prod",
        "tool": "baseline",
        "status": "",
    }


def test_before_9_nobody_is_asked_for_global_permissions() -> None:
    facts, vcenter = filled("8.0.3")
    assert not facts.has("rbac.global_permissions")
    assert "rbac.global_permissions" not in reasons(facts)
    assert not any("authorization" in asked for asked in vcenter.asked)


def test_a_list_of_permissions_without_a_global_one_is_unknown() -> None:
    facts, _vcenter = filled(**{PERMISSIONS: {"items": []}})
    assert "names no global one" in reasons(facts)["rbac.global_permissions"]


def test_permissions_are_read_page_by_page() -> None:
    first, second = ({"items": [entry]} for entry in ANSWERS[PERMISSIONS]["items"])
    facts, vcenter = filled(**{PERMISSIONS: [{**second, "marker": "1"}, first]})
    assert [entry["role"] for entry in facts.document["rbac"]["global_permissions"]] == ["Admin"]
    assert vcenter.asked.count(f"POST {PERMISSIONS}") == 2


def test_a_list_of_permissions_without_end_is_unknown() -> None:
    facts, _vcenter = filled(**{PERMISSIONS: {**ANSWERS[PERMISSIONS], "marker": "again"}})
    assert "more than" in reasons(facts)["rbac.global_permissions"]


@pytest.mark.parametrize(("login", "said"), [(401, "refuses the login"), (404, "is not there"), (503, "refuses")])
def test_without_a_session_everything_of_the_api_is_unknown(login: int, said: str) -> None:
    facts, vcenter = filled(login=login)
    assert set(reasons(facts)) == set(appliance.QUESTIONS)
    assert all(said in reason for reason in reasons(facts).values())
    assert len(vcenter.asked) == 1


def test_what_a_host_is_in_has_to_be_told() -> None:
    vcenter, facts = VCenter({}), Facts()
    facts.put("host.version", "9.0.0")
    vcenter.hosts["host-2"].values.pop("parent")
    appliance.fill(facts, vcenter, vcenter, vcenter)
    for fact in ("patch.clusters", "drift.clusters"):
        assert reasons(facts)[fact] == "the account may not see whether host-2 is in a cluster"
