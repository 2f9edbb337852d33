# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content libraries, keys and transport (11.2.8 to 11.2.10, 11.3.8, 11.3.9)."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    RELEASES,
    Break,
    Place,
    Step,
    deny,
    deny_path,
    esxcli,
    options,
    refuse,
    restart,
    state,
)
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import done

LOCAL, SUBSCRIBED = "/api/content/local-library", "/api/content/subscribed-library"
ITEMS = "/api/content/library/item"


def _says(kind: str, **changed: Any) -> Step:
    """Every library of a kind, with what somebody has changed in it."""

    def step(place: Place) -> None:
        for library in place.admin.rest("GET", kind)[1]:
            _change(place, f"{kind}/{library}", changed)

    return step


def _items_say(**changed: Any) -> Step:
    """Every image of every library."""

    def step(place: Place) -> None:
        for kind in (LOCAL, SUBSCRIBED):
            for library in place.admin.rest("GET", kind)[1]:
                for item in place.admin.rest("GET", f"{ITEMS}?library_id={library}")[1]:
                    _change(place, f"{ITEMS}/{item}", changed)

    return step


def _change(place: Place, path: str, changed: dict[str, Any]) -> None:
    value = {**place.admin.rest("GET", path)[1], **changed}
    place.target.control("POST", "documents", {"path": path, "value": value})


def _unmount_nfs(place: Place) -> None:
    (store,) = (found for found in place.admin.all(vim.Datastore) if found.name == "nfs-images")
    done(store.Destroy_Task())


def _no_key_provider(place: Place) -> None:
    """The only provider is gone."""
    manager = place.admin.content.cryptoManager
    for provider in manager.ListKmsClusters():
        manager.UnregisterKmsCluster(clusterId=provider.clusterId)


def _key_provider(place: Place) -> None:
    """A standard key provider, the default one."""
    manager, name = place.admin.content.cryptoManager, vim.encryption.KeyProviderId(id="site-keys")
    info = vim.encryption.KmipServerInfo(name="kms1", address="192.0.2.40", port=5696)
    manager.RegisterKmipServer(server=vim.encryption.KmipServerSpec(clusterId=name, info=info))
    manager.MarkDefault(clusterId=name)


SAFE = [state("runtime.cryptoState", "safe", host) for host in RELEASES]
VERIFIED = {"status": "VERIFIED"}
POLICY = "a5ff4bd2-0000-4b6a-9b63-0000000000aa"

BREAKS = [
    Break(
        "vsphere-11.2.8-publish-auth",
        {
            "fail": [_says(LOCAL, publish_info={"published": True, "authentication_method": "NONE"})],
            "pass": [_says(LOCAL, publish_info={"published": True, "authentication_method": "BASIC"})],
            "unknown": [deny_path(LOCAL)],
        },
        "is published to whoever knows its address",
    ),
    Break(
        "vsphere-11.2.9-key-provider",
        {"fail": [], "pass": SAFE, "unknown": [refuse("ListKmsClusters")]},
        "its crypto state is incapable",
    ),
    Break(
        "vsphere-11.2.9-key-provider",
        {"fail": [*SAFE, _no_key_provider], "pass": [_key_provider], "unknown": [deny("runtime.cryptoState")]},
        "there is no key provider",
    ),
    Break(
        "vsphere-11.2.10-tls-server",
        {
            "fail": [],
            "pass": [esxcli("system.tls.server.set", profile="NIST_2024"), restart],
            "unknown": [refuse("ExecuteSoap")],
        },
        "the TLS profile is COMPATIBLE",
    ),
    Break(
        "vsphere-11.2.10-tls-server",
        {
            "fail": [options(UserVars__ESXiVPsDisabledProtocols="sslv3")],
            "pass": [options(UserVars__ESXiVPsDisabledProtocols="sslv3,tlsv1,tlsv1.1")],
            "unknown": [deny("config.option")],
        },
        "tlsv1.1 is not disabled",
        host="esx01.lab.example",
    ),
    Break(
        "vsphere-11.2.10-library-sub",
        {"fail": [], "pass": [_unmount_nfs], "unknown": [deny_path(SUBSCRIBED)]},
        "in clear text (AUTH_SYS)",
    ),
    Break(
        "vsphere-11.2.10-library-sub",
        {
            "fail": [
                _unmount_nfs,
                _says(SUBSCRIBED, subscription_info={"subscription_url": "http://images.example.test"}),
            ],
            "pass": [
                _says(
                    SUBSCRIBED,
                    subscription_info={
                        "subscription_url": "https://images.example.test",
                        "ssl_thumbprint": "3C:0A:51:E4:9A:6B:77:10:5D:2F:8E:43:0B:9C:11:70:6A:5E:D2:19",
                    },
                )
            ],
            "unknown": [deny("summary.type", "Datastore")],
        },
        "subscribed to without TLS",
    ),
    Break(
        "vsphere-11.3.8-inventory",
        {
            "fail": [_items_say(security_compliance=False)],
            "pass": [_items_say(security_compliance=True)],
            "unknown": [deny_path(f"{ITEMS}/")],
        },
        "does not comply",
    ),
    Break(
        "vsphere-11.3.9-signature",
        {
            "fail": [],
            "pass": [
                _says(SUBSCRIBED, security_policy_id=POLICY),
                _items_say(certificate_verification_info=VERIFIED),
            ],
            "unknown": [deny_path(ITEMS)],
        },
        "has no security policy",
    ),
    Break(
        "vsphere-11.3.9-signature",
        {
            "fail": [
                _says(SUBSCRIBED, security_policy_id=POLICY),
                _items_say(certificate_verification_info={"status": "NOT_AVAILABLE"}),
            ],
            "pass": [_items_say(certificate_verification_info=VERIFIED)],
            "unknown": [_items_say(certificate_verification_info={"status": "VERIFICATION_IN_PROGRESS"})],
        },
        "is NOT_AVAILABLE",
    ),
]
