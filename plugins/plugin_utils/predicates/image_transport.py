# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What images travel over: pools, disks and mounts on other machines, and migration (11.2.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    entries,
    flag,
    hidden,
    setting,
    text,
    texts,
    whole,
)

SECURE = ("https", "ftps", "ssh")
NFS_SECURITY = ("krb5p",)
NFS_TRANSPORT = ("tls", "mtls")
TLS = "a protocol that encrypts, such as TLS, SSH, krb5p or SMB encryption"
# Pools whose volumes come from another machine, by libvirt's types; netfs is judged by its mount.
POOL_PROTOCOLS = {"iscsi": "iscsi", "iscsi-direct": "iscsi", "rbd": "rbd", "gluster": "gluster", "sheepdog": "sheepdog"}
# Transports of a block device that have no encryption of their own on Linux.
CLEAR_DISKS = ("iscsi", "nbd", "drbd")
DEFAULT_TLS, MIGRATION_TLS = "/etc/pki/qemu", "/etc/pki/libvirt-migrate"


def transport_secure(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Images on other machines are reached over a protocol that encrypts.

    facts: pools, images, places, conf, ceph, visibility.
    """
    places = {text(place, "id"): place for place in entries(facts, "places")}
    items = hidden(facts)
    for pool in entries(facts, "pools"):
        found = guarded(partial(_pool, pool, places, facts))
        if found.status != o.NOT_APPLICABLE:
            items.append(o.item(f"pool {text(pool, 'name')}", found))
    for image in entries(facts, "images"):
        found = guarded(partial(_image, image, places, facts))
        if found.status != o.NOT_APPLICABLE:
            items.append(o.item(text(image, "id"), found))
    empty = o.not_applicable("every image and every storage pool is on storage of this host itself")
    return o.combine(items, empty=empty, expected=TLS)


def _local() -> Outcome:
    return o.not_applicable("on this host")


def _pool(pool: Mapping[str, Any], places: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> Outcome:
    kind = text(pool, "type")
    if kind in POOL_PROTOCOLS:
        return _protocol(POOL_PROTOCOLS[kind], "", facts)
    if kind == "vstorage":
        return o.manual("whether Virtuozzo storage encrypts cannot be read on the host", kind)
    if kind != "netfs":
        return _local()
    path = text(pool, "path")
    mounted = [place for place in places.values() if text(place, "target") == path and flag(place, "remote")]
    if mounted:
        return _mount(mounted[0])
    options = dict(option.partition("=")[::2] for option in texts(pool, "mount_options"))
    return _mount({"type": text(pool, "source_format") or "nfs", "source": text(pool, "source"), "options": options})


def _image(image: Mapping[str, Any], places: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> Outcome:
    kind = text(image, "type")
    if text(image, "problem"):
        return o.unknown(image["problem"])
    if kind == "network":
        return _local() if flag(image, "local") else _protocol(text(image, "protocol"), text(image, "tls"), facts)
    if kind == "address":
        scheme = text(image, "id").partition(":")[2].partition("://")[0]
        return _protocol(scheme.partition("+")[0], "", facts)
    if kind == "absent":
        return _local()
    if kind not in ("file", "block", "dir"):
        return o.unknown(f"what a source of type {kind!r} travels over is not known")
    place = places.get(text(image, "place"))
    if place is None:
        raise MissingFact("the device below it was not read")
    if flag(place, "remote"):
        return _mount(place)
    transports = {text(leaf, "transport") for leaf in entries(place, "leaves")}
    clear = sorted(transports & set(CLEAR_DISKS))
    if clear:
        return o.failed(clear[0], TLS, f"it is reached through {clear[0]}, which does not encrypt")
    if "rbd" in transports:
        return _protocol("rbd", "", facts)
    fabrics = sorted(name for name in transports if name == "fc" or name.startswith("nvme-"))
    if fabrics:
        return o.manual(f"it is reached through {fabrics[0]}: encryption in the fabric needs evidence", fabrics)
    return _local()


def _protocol(name: str, tls: str, facts: Mapping[str, Any]) -> Outcome:
    if name in SECURE:
        return o.passed(name, TLS)
    if name in ("nbd", "vxhs"):
        # `tls` of the source wins over qemu.conf, which switches it on for every source of the kind.
        if tls == "yes" or (tls == "" and setting(facts["conf"], f"{name}_tls", 0) == 1):
            return o.passed(f"{name} over TLS", TLS)
        return o.failed(name, TLS, f"{name} without TLS")
    if name == "rbd":
        if flag(facts["ceph"], "client_secure"):
            return o.passed("rbd, secure mode", TLS)
        return o.failed(name, TLS, "Ceph without secure mode only (ms_client_mode in ceph.conf)")
    if name == "gluster":
        return o.manual("whether Gluster's connections use TLS is set on its volume, not on this host", name)
    return o.failed(name or "unknown", TLS, f"{name or 'its protocol'} does not encrypt")


def _mount(place: Mapping[str, Any]) -> Outcome:
    kind, source = text(place, "type"), text(place, "source")
    options = place.get("options")
    if not isinstance(options, Mapping) or None in options.values():
        raise MissingFact("its mount options were not read")
    shown = {"type": kind, "source": source, "options": dict(options)}
    if kind in ("nfs", "nfs4", "auto"):
        if options.get("sec") in NFS_SECURITY or options.get("xprtsec") in NFS_TRANSPORT:
            return o.passed(shown, TLS)
        return o.failed(shown, TLS, f"{source} is mounted over NFS without sec=krb5p or xprtsec=tls")
    if kind in ("cifs", "smb3"):
        return (
            o.passed(shown, TLS)
            if "seal" in options
            else o.failed(shown, TLS, f"{source} is mounted over SMB without seal")
        )
    if kind == "ceph":
        if options.get("ms_mode") == "secure":
            return o.passed(shown, TLS)
        return o.failed(shown, TLS, f"{source} is mounted without ms_mode=secure")
    if kind == "fuse.sshfs":
        return o.passed(shown, TLS)
    return o.manual(f"whether {kind} from {source} encrypts cannot be read on the host", shown)


def migration_encrypted(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """QEMU migrates over TLS with a verified peer, or not at all. facts: conf, daemon, tls, now."""
    conf = facts["conf"]
    verify = setting(conf, "migrate_tls_x509_verify", setting(conf, "default_tls_x509_verify", 1))
    items = [
        _is_one("migrate_tls_force", setting(conf, "migrate_tls_force", 0), "a machine may be migrated in clear text"),
        _is_one("migrate_tls_x509_verify", verify, "the certificate of the other host is not verified"),
    ]
    if flag(facts["daemon"], "in_force"):
        items.append(o.item("qemu.conf", o.passed("in force")))
    else:
        message = "not in force: qemu.conf is newer than the daemon that reads it"
        items.append(o.item("qemu.conf", o.failed("older", "a daemon started after the last change", message)))
    directories = {text(entry, "id"): entry for entry in entries(facts, "tls")}
    default = setting(conf, "default_tls_x509_cert_dir", DEFAULT_TLS)
    own = MIGRATION_TLS if MIGRATION_TLS in directories else default
    name = str(setting(conf, "migrate_tls_x509_cert_dir", own)).rstrip("/")
    found = directories.get(name, {"certificates": [], "keys": []})
    certificates = entries(found, "certificates")
    if not certificates and gold["gold_migration_transport"] == "tls":
        items.append(
            o.item(
                name, o.failed("none", "certificates", "migration over TLS is declared, and there is no certificate")
            )
        )
    now = moment(facts["now"], "the time of the audit").timestamp()
    items += [o.item(text(entry, "id"), guarded(partial(_certificate, entry, now))) for entry in certificates]
    items += [o.item(text(entry, "id"), guarded(partial(_key, entry))) for entry in entries(found, "keys")]
    return o.combine(
        items, empty=o.unknown("nothing was read"), expected="TLS forced, peers verified, certificates in date"
    )


def _is_one(key: str, value: Any, message: str) -> Outcome:
    return o.item(key, o.passed(value, 1) if value == 1 else o.failed(value, 1, f"{key} is {value}: {message}"))


def _certificate(entry: Mapping[str, Any], now: float) -> Outcome:
    if text(entry, "problem"):
        return o.unknown(entry["problem"])
    left = round((whole(entry, "not_after") - now) / 86400, 1)
    return (
        o.passed(f"{left} days left")
        if left > 0
        else o.failed(f"{left} days left", "in date", "the certificate has expired")
    )


def _key(entry: Mapping[str, Any]) -> Outcome:
    mode = text(entry, "mode")
    if int(mode, 8) & 0o007:
        return o.failed(mode, "nothing for others", "every account of the host can reach this private key")
    return o.passed(mode)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "image_transport_secure": transport_secure,
    "migration_encrypted": migration_encrypted,
}
