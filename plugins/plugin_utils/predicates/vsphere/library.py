# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content libraries, key providers and TLS of a vCenter and its hosts (11.2.8 to 11.2.10, 11.3.8, 11.3.9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, flag, text, whole
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import option, version

# vSphere Automation API, Library Item CertVerificationStatus. INTERNAL is made by vCenter itself, and unsigned.
VERIFIED, IN_PROGRESS = "VERIFIED", "VERIFICATION_IN_PROGRESS"
NO_LIBRARY = "there is no content library"
NO_ITEM = "no library holds an image, and there is no template"
OLD_PROTOCOLS = {"sslv3", "tlsv1", "tlsv1.1"}
# NFS with Kerberos: krb5i proves that nothing was changed, only krb5p encrypts (ESX 9 and later), as on KVM.
NFS_ENCRYPTED = "SEC_KRB5P"
# Since this version the profile exists; before, ESXi only knows the protocols that are off.
PROFILES = (8, 0, 3)


def tls_floor(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Old protocols are off and the profile is an accepted one. facts: options, version, and from 8.0.3 on profile and
    waits (whether another profile waits for a restart)."""
    # Until 8 the option says what is off; the vendor's guide for 9 knows the profile alone.
    release, allowed = version(facts["version"]), gold["gold_tls_profiles"]
    actual: dict[str, Any] = {}
    faults = []
    if release < (9, 0):
        off = option(facts["options"], "UserVars.ESXiVPsDisabledProtocols")
        actual["disabled"] = off
        missing = sorted(OLD_PROTOCOLS - {part.strip().casefold() for part in str(off).split(",")})
        if missing:
            faults.append(f"{', '.join(missing)} is not disabled")
    if release >= PROFILES:
        profile = facts["profile"]
        if profile is None:
            raise MissingFact("the TLS profile was not read")
        if not isinstance(facts["waits"], bool):
            raise MissingFact("whether a TLS profile waits for a restart was not read")
        actual["profile"] = profile
        if profile not in allowed:
            faults.append(f"the TLS profile is {str(profile)[:40]}")
        if facts["waits"]:
            actual["waits for a restart"] = True
            faults.append("another TLS profile is set and waits for a restart")
    expected = f"{', '.join(sorted(OLD_PROTOCOLS))} off; profile one of {', '.join(map(str, allowed))}"
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def publish_authenticated(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """A published library asks for a password. facts: libraries."""
    items = [o.item(text(library, "id"), guarded(_published, library)) for library in entries(facts, "libraries")]
    return o.combine(items, empty=o.not_applicable(NO_LIBRARY), expected="not published, or with a password")


def _published(library: Mapping[str, Any]) -> Outcome:
    if not flag(library, "published"):
        return o.passed("not published")
    method = text(library, "authentication")
    if method == "BASIC":
        return o.passed(method)
    return o.failed(method, "BASIC", f"{text(library, 'name')[:80]} is published to whoever knows its address")


def transport_secure(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Images come over pinned TLS, or NFS that encrypts. facts: libraries, datastores."""
    items = []
    for library in entries(facts, "libraries"):
        if text(library, "kind") == "SUBSCRIBED":
            items.append(o.item(text(library, "id"), guarded(_subscribed, library)))
    for store in entries(facts, "datastores"):
        if store.get("kind") is None or text(store, "kind").upper().startswith("NFS"):
            items.append(o.item(text(store, "id"), guarded(_nfs, store)))
    none = "no library is subscribed and no datastore is on a file server"
    return o.combine(
        items, empty=o.not_applicable(none), expected="https with a pinned certificate; NFS that encrypts (krb5p)"
    )


def _subscribed(library: Mapping[str, Any]) -> Outcome:
    url, pinned = text(library, "subscription_url"), text(library, "ssl_thumbprint")
    name = text(library, "name")[:80]
    if not url.lower().startswith("https://"):
        return o.failed(url, "https", f"{name} is subscribed to without TLS")
    if not pinned:
        return o.failed(url, "a pinned certificate", f"{name} pins no certificate of its publisher")
    return o.passed(url)


def _nfs(store: Mapping[str, Any]) -> Outcome:
    need(store, "kind")
    security, server = text(store, "security") or "AUTH_SYS", text(store, "remote_host")
    actual = {"server": server, "security": security}
    if security == NFS_ENCRYPTED:
        return o.passed(actual)
    return o.failed(actual, NFS_ENCRYPTED, f"images travel from {server[:80]} in clear text ({security})")


def key_provider(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Keys come from a healthy default provider, and every host can use them. facts: providers, hosts."""
    providers = entries(facts, "providers")
    expected = "a healthy default key provider that is backed up, every host in crypto-safe mode"
    if not providers:
        return o.failed([], expected, "there is no key provider: nothing can be encrypted")
    chosen = [provider for provider in providers if flag(provider, "default")]
    items = [
        o.item(
            "default",
            o.passed(text(chosen[0], "id"))
            if chosen
            else o.failed("none", "a provider", "no key provider is the default"),
        )
    ]
    items += [o.item(text(provider, "id"), guarded(_provider, provider)) for provider in providers]
    for host in entries(facts, "hosts"):
        state = text(host, "state")
        safe = (
            o.passed(state)
            if state == "safe"
            else o.failed(state, "safe", f"its crypto state is {state}: it cannot run encrypted machines")
        )
        items.append(o.item(text(host, "id"), safe))
    return o.combine(items, empty=o.unknown("nothing was read"), expected=expected)


def _provider(provider: Mapping[str, Any]) -> Outcome:
    servers = {text(server, "name"): text(server, "status") for server in entries(provider, "servers")}
    actual = {
        "kind": text(provider, "kind"),
        "healthy": flag(provider, "healthy"),
        "backed up": flag(provider, "backed_up"),
        "servers": servers,
    }
    down = [name for name, status in servers.items() if status != "green"]
    if not actual["healthy"] or down:
        return o.failed(actual, "healthy", f"it is not healthy{': ' + down[0][:80] if down else ''}")
    if not actual["backed up"]:
        return o.failed(actual, "backed up", "it was never backed up: with the vCenter every key would be lost")
    return o.passed(actual)


def inventory(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every image is known, and whether it complies with its library's policy. facts: items."""
    items = [o.item(text(item, "id"), guarded(partial(_known, item))) for item in entries(facts, "items")]
    return o.combine(
        items, empty=o.not_applicable(NO_ITEM), expected="every image read, and compliant with its library's policy"
    )


def _known(item: Mapping[str, Any]) -> Outcome:
    if text(item, "problem"):
        return o.unknown(item["problem"][:200])
    kind = text(item, "kind")
    if kind != "ovf":
        return o.passed(kind)  # a policy looks at OVF templates only
    if flag(item, "security_compliance"):
        return o.passed(kind)
    return o.failed(False, True, f"{text(item, 'name')[:80]} does not comply with the policy of its library")


def signed(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every image is signed: OVF by its certificate, others as the manifest records. facts: libraries, items."""
    policies = {text(library, "name"): text(library, "security_policy") for library in entries(facts, "libraries")}
    items = [
        o.item(text(item, "id"), guarded(partial(_signed, item, policies, gold["gold_image_manifest"])))
        for item in entries(facts, "items")
    ]
    return o.combine(
        items,
        empty=o.not_applicable(NO_ITEM),
        expected="a verified certificate under the library's policy, or a signature in the manifest",
    )


def _verified(item: Mapping[str, Any], kind: str, day: Any) -> Outcome:
    """By the manifest, for as long as the image is what was verified: its name alone anybody may give to another."""
    actual = {"kind": kind, "verified on": str(day)}
    on = moment(day, "signature_verified_on in gold_image_manifest").date()
    # A template that lies in no library has no time of its own.
    changed = dt.datetime.fromtimestamp(whole(item, "mtime"), dt.timezone.utc).date() if text(item, "library") else on
    if changed > on:
        actual["changed on"] = changed.isoformat()
        return o.failed(actual, "a signature verified since", "it was changed since its signature was verified")
    return o.passed(actual)


def _signed(item: Mapping[str, Any], policies: Mapping[str, str], manifest: list[Any]) -> Outcome:
    name, kind, library = text(item, "name"), text(item, "kind"), text(item, "library")
    if kind != "ovf":
        entry = next(
            (row for row in manifest if isinstance(row, Mapping) and row.get("name") in (item["id"], name)), None
        )
        if entry and entry.get("signature_verified_on"):
            return _verified(item, kind, entry["signature_verified_on"])
        return o.failed(
            kind,
            "a signature in gold_image_manifest",
            f"{name[:80]} ({kind}) carries no certificate, and the manifest knows no signature of it",
        )
    if library not in policies:
        raise MissingFact("its library was not read")
    actual = {"policy": policies[library] or "none", "certificate": text(item, "certificate_status")}
    if not policies[library]:
        return o.failed(
            actual, "a policy", f"the library {library[:80]} has no security policy: certificates are not asked for"
        )
    if actual["certificate"] == IN_PROGRESS:
        raise MissingFact("its certificate is still being verified")
    if actual["certificate"] != VERIFIED:
        return o.failed(actual, VERIFIED, f"the certificate of {name[:80]} is {actual['certificate'] or 'missing'}")
    return o.passed(actual)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_tls_floor": tls_floor,
    "vsphere_publish_authenticated": publish_authenticated,
    "vsphere_library_transport": transport_secure,
    "vsphere_key_provider": key_provider,
    "vsphere_library_inventory": inventory,
    "vsphere_library_signed": signed,
}
