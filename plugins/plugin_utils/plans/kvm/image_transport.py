# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What images and migrating machines travel over (11.2.10).

Nothing is forced that the host could not do itself: without certificates a machine would not start, or could not be
moved away. What another machine serves is set there, and a person changes mounts, with the machines on them shut down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.image_transport import (
    DEFAULT_TLS,
    MIGRATION_TLS,
    transport_secure,
)

# What QEMU reads from a directory of certificates: as the one that connects, and as the one that is connected to.
CLIENT = ("ca-cert.pem", "client-cert.pem", "client-key.pem")
SERVER = ("ca-cert.pem", "server-cert.pem", "server-key.pem")
PROTOCOLS = ("nbd", "vxhs")


def pool_transport(situation: Situation) -> list[Row]:
    """kvm-11.2.10-pool-transport: TLS for NBD and VXHS, where this host has its certificates; the rest by hand."""
    storage, conf = situation.facts["storage"], qemu_conf.settings(situation)
    rows: list[Row] = []
    switched: set[str] = set()
    for protocol in PROTOCOLS:
        clear = [
            image
            for image in storage["images"]
            if image["type"] == "network" and image["protocol"] == protocol and image["tls"] == ""
        ]
        if clear and conf.get(f"{protocol}_tls", 0) != 1:
            directory = _directory(situation, protocol)
            missing = _missing(storage["tls"], directory, CLIENT)
            if missing:
                what = f"deploy {', '.join(missing)} to {directory}, then run this again"
                rows.append(plan.by_hand(f"{protocol}_tls stays off, as machines could not reach their disks: {what}"))
            else:
                switched.add(protocol)
                rows += qemu_conf.configure(situation, {f"{protocol}_tls": "1"})
    return rows + _left_over(situation, switched)


def _left_over(situation: Situation, switched: set[str]) -> list[Row]:
    """A by_hand row for each source the check fails and no row above mends."""
    facts = situation.facts
    judged = transport_secure(
        {
            "pools": facts["pools"],
            "images": facts["storage"]["images"],
            "places": facts["storage"]["places"],
            "conf": {
                **facts["qemu"]["conf"],
                "settings": {**qemu_conf.settings(situation), **{f"{name}_tls": 1 for name in switched}},
            },
            "ceph": facts["storage"]["ceph"],
            "visibility": facts["libvirt"]["visibility"],
        },
        dict(situation.gold),
    )
    how = "shut down the machines that use it, change how it is reached or mounted, and start them again"
    return [
        plan.by_hand(f"{item.id}: {item.message}: {how}")
        for item in judged.items
        if item.status == o.FAIL and not str(item.id).startswith("process ")
    ]


def migration_tls(situation: Situation) -> list[Row]:
    """kvm-11.2.10-migration-tls: certificates on this host and on every peer before TLS is forced anywhere."""
    transport = situation.gold["gold_migration_transport"]
    directory = _directory(situation, "migrate")
    missing = _missing(situation.facts["storage"]["tls"], directory, (*SERVER, *CLIENT[1:]))
    if missing and transport == "none":
        what = (
            f"forcing TLS would end every migration; deploy {', '.join(missing)} to {directory} on each host, or set "
            f"migrate_tls_force = 1 in {qemu_conf.QEMU_CONF} by hand where machines never migrate"
        )
        return [plan.by_hand(f"gold_migration_transport is none and this host has no certificates: {what}")]
    if missing:
        raise Refusal(
            f"gold_migration_transport is {transport}, and {directory} lacks {', '.join(missing)}: forcing TLS would "
            f"end every migration to and from this host; deploy its certificates first"
        )
    _refuse_expired(situation, directory)
    rows = _private_keys(situation, directory)
    waiting = _peers_not_ready(situation, transport)
    if waiting:
        what = (
            "deploy their certificates, prove one migration over TLS, and name them in migration_peers_ready of "
            "hypervisor_options"
        )
        return [
            *rows,
            plan.by_hand(f"migrate_tls_force is not set, as these peers are not ready: {', '.join(waiting)}: {what}"),
        ]
    conf = qemu_conf.settings(situation)
    values: dict[str, str | None] = {"migrate_tls_force": "1"}
    if conf.get("migrate_tls_x509_verify", conf.get("default_tls_x509_verify", 1)) != 1:
        values["migrate_tls_x509_verify"] = "1"
    return rows + qemu_conf.configure(situation, values, next_start=False)


def _directory(situation: Situation, use: str) -> str:
    """Where QEMU takes the certificates of one use from: qemu.conf, or libvirt's directory of the use if it exists."""
    conf = qemu_conf.settings(situation)
    default = str(conf.get("default_tls_x509_cert_dir", DEFAULT_TLS))
    own = MIGRATION_TLS if use == "migrate" else f"/etc/pki/libvirt-{use}"
    there = {entry["id"] for entry in situation.facts["storage"]["tls"]}
    return str(conf.get(f"{use}_tls_x509_cert_dir", own if own in there else default)).rstrip("/")


def _missing(tls: list[Mapping[str, Any]], directory: str, wanted: tuple[str, ...]) -> list[str]:
    found: Mapping[str, Any] = next(
        (entry for entry in tls if entry["id"] == directory), {"certificates": [], "keys": []}
    )
    names = {entry["id"].rpartition("/")[2] for entry in (*found["certificates"], *found["keys"])}
    return [name for name in wanted if name not in names]


def _refuse_expired(situation: Situation, directory: str) -> None:
    now = moment(situation.facts["host"]["collected_at"], "the time of the audit").timestamp()
    for entry in situation.facts["storage"]["tls"]:
        for certificate in entry["certificates"] if entry["id"] == directory else []:
            if certificate["problem"] or certificate["not_after"] <= now:
                why = certificate["problem"] or "it has expired"
                raise Refusal(
                    f"{certificate['id']} is of no use ({why}): with TLS forced nothing would migrate; renew it"
                )


def _private_keys(situation: Situation, directory: str) -> list[Row]:
    """Private keys closed to others, and open to the group QEMU runs under, which has to read them."""
    group = qemu_conf.ACCOUNTS[situation.family][1]
    rows = []
    for entry in situation.facts["storage"]["tls"]:
        for key in entry["keys"] if entry["id"] == directory else []:
            mode = int(key["mode"], 8)
            if mode & 0o007:
                rows.append(plan.access(key["id"], mode=f"{(mode | 0o040) & ~0o007:04o}", group=group))
    return rows


def _peers_not_ready(situation: Situation, transport: str) -> list[str]:
    peers = [str(name) for name in situation.gold["gold_migration_peers"]]
    if transport == "none":
        return []
    if not peers:
        raise Refusal(
            f"gold_migration_transport is {transport} and gold_migration_peers names nobody: which hosts need "
            f"certificates is not known; name the peers, or set gold_migration_transport to none"
        )
    ready = situation.options.get("migration_peers_ready", [])
    strange = sorted({str(name) for name in ready} - set(peers))
    if strange:
        raise Refusal(
            f"migration_peers_ready names {strange[0]}, which is not among gold_migration_peers: {', '.join(peers)}"
        )
    return [name for name in peers if name not in ready]


PLANS: dict[str, Planner] = {
    **machines.with_strangers({"kvm-11.2.10-pool-transport": pool_transport}),
    "kvm-11.2.10-migration-tls": migration_tls,
}
