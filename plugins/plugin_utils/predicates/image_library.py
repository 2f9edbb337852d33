# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image library: who may check images in and out, what it may hold, who signed it (11.2.8, 11.3.8, 11.3.9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import days_between, moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import access_libvirt
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import polkit_policy as policy
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    entries,
    flag,
    text,
    texts,
    whole,
)

READ, WRITE, SEARCH = 0o4, 0o2, 0o1
# Accounts QEMU runs under: they pass through a directory to the disks of running machines.
QEMU_ACCOUNTS = ("qemu", "libvirt-qemu")
STORAGE_DAEMONS = ("libvirtd", "virtstoraged")
STORAGE_ACTIONS = ("org.libvirt.api.storage-pool.", "org.libvirt.api.storage-vol.")
# Permissions that show what there is; everything else checks an image in or out (libvirt docs, aclpolkit).
LOOKING = re.compile(r"\.(getattr|read|search-storage-vols)$")
AUDITED = {"r", "w", "a"}
NO_DIRECTORY = "no storage pool keeps its images in a directory of this host"
NO_LIBRARY = "no storage pool holds an image that is not the disk of a machine"
STRONG_HASHES = ("sha256", "sha384", "sha512", "sha3-256", "sha3-512")
ELLIPTIC = ("ecdsa", "ed25519", "ed448")


def path_acl(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Only root and the image administrators reach a pool's directory. facts: directories, images."""
    items, open_directories = [], []
    for directory in entries(facts, "directories"):
        items.append(o.item(text(directory, "id"), guarded(partial(_directory, directory, gold))))
        if flag(directory, "exists") and int(text(directory, "mode"), 8) & SEARCH:
            open_directories.append(text(directory, "id").rstrip("/") + "/")
    for image in entries(facts, "images"):
        # Through a directory that others may search, whoever knows a name reaches the file.
        if text(image, "type") == "file" and text(image, "id").startswith(tuple(open_directories)):
            items.append(o.item(image["id"], guarded(partial(_file, image))))
    expected = "root and the image administrators only; others may at most pass through a pool's directory"
    return o.combine(items, empty=o.not_applicable(NO_DIRECTORY), expected=expected)


def _directory(directory: Mapping[str, Any], gold: Mapping[str, Any]) -> Outcome:
    if not flag(directory, "exists"):
        return o.not_applicable("the directory does not exist")
    mode = int(text(directory, "mode"), 8)
    owner, group = text(directory, "owner"), text(directory, "group")
    actual = f"{owner}:{group} {directory['mode']}"
    if owner != "root":
        return o.failed(actual, None, f"it belongs to {owner}, not to root")
    if mode & (READ | WRITE):
        return o.failed(actual, None, "every account may list or change it")
    if group not in ("root", gold["gold_image_admin_group"]) and mode >> 3 & (READ | WRITE):
        return o.failed(actual, None, f"the group {group} may list or change it, and is not gold_image_admin_group")
    strangers = [
        entry
        for entry in texts(directory, "acl") + texts(directory, "default_acl")
        if not acl_entry_listed(entry, gold)
    ]
    if strangers:
        return o.failed(strangers, None, f"its access list lets in {strangers[0]}")
    return o.passed(actual)


def acl_entry_listed(entry: str, gold: Mapping[str, Any]) -> bool:
    """Whether an entry of an access list, e.g. user:alice:rwx, is for somebody who may have it."""
    kind, name, rights = ([*entry.split(":"), "", ""])[:3]
    if rights == "---":
        return True
    if kind == "group":
        return bool(name) and name == gold["gold_image_admin_group"]
    return name in gold["gold_image_admins"] or (name in QEMU_ACCOUNTS and "w" not in rights)


def _file(image: Mapping[str, Any]) -> Outcome:
    mode = text(image, "mode")
    if int(mode, 8) & (READ | WRITE):
        return o.failed(mode, "nothing for others", "every account that knows its name may read or change this image")
    return o.passed(mode)


def pool_rules(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """libvirt asks who may change storage, and its rules let in image administrators only. facts: daemons, rules."""
    daemons = [daemon for daemon in entries(facts, "daemons") if _serves_storage(daemon)]
    driver = access_libvirt.access_driver({"daemons": daemons}, gold)
    items = driver.items or [o.item("libvirt", driver)]
    allowed = set(gold["gold_image_admins"])
    if gold["gold_image_admin_group"]:
        allowed.add("%" + gold["gold_image_admin_group"])
    reviewed = policy.reviewed(facts["rules"], gold["gold_polkit_rule_files"])
    for answer in policy.answers(facts["rules"]):
        if answer.grants and answer.path not in reviewed and _changes_storage(answer):
            items.append(o.item(answer.path, _grant(answer, allowed)))
    expected = f"polkit asked for storage, and granted to {', '.join(sorted(allowed)) or 'nobody'} only"
    return o.combine(items, empty=o.unknown("no daemon was judged"), expected=expected)


def _serves_storage(daemon: Mapping[str, Any]) -> bool:
    """By its name, or because a socket unit of the storage daemon starts it: systemd may give that to another."""
    sockets = daemon.get("sockets")
    units = [str(socket.get("unit")) for socket in sockets or [] if isinstance(socket, Mapping)]
    return text(daemon, "name") in STORAGE_DAEMONS or any(unit.startswith("virtstoraged") for unit in units)


def _changes_storage(answer: policy.Answer) -> bool:
    if not any(answer.touches(prefix) for prefix in STORAGE_ACTIONS):
        return False
    return not answer.actions or any(not LOOKING.search(action) for action in answer.actions)


def _grant(answer: policy.Answer, allowed: set[str]) -> Outcome:
    actions = ", ".join(answer.actions)[:120]
    strangers = sorted(answer.principals - allowed)
    if answer.principals and not strangers:
        return o.passed(sorted(answer.principals))
    whom = ", ".join(strangers[:5]) or "everybody"
    message = f"it can grant {actions} to {whom}, who may not check images in or out"
    return o.failed(whom, None, message) if answer.certain else o.unknown(message, whom)


def access_audited(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every access to the library is recorded. facts: directories, rules, configured."""
    running, configured = texts(facts, "rules"), texts(facts, "configured")
    expected = "a watch on it for reading, writing and attributes, now and after a restart"
    items = []
    for directory in entries(facts, "directories"):
        if not flag(directory, "exists"):
            continue
        path = text(directory, "id")
        if not any(watches(rule, path) for rule in running):
            found = o.failed("no watch", expected, "no audit rule watches it")
        elif not any(watches(rule, path) for rule in configured):
            found = o.failed("now only", expected, "it is watched now, but not after a restart", persistent=False)
        else:
            found = o.passed("watched", expected, persistent=True)
        items.append(o.item(path, found))
    return o.combine(items, empty=o.not_applicable(NO_DIRECTORY))


def watches(rule: str, path: str) -> bool:
    """Whether an audit rule (auditctl(8)), short or long, watches a directory for reading, writing and attributes."""
    where = re.search(r"(?:-w\s+|-F\s+dir=)(\S+)", rule)
    if not where or rule.startswith("-W") or re.search(r"-a\s+(never|\S+,never)|-A\s+never", rule):
        return False
    watched = where.group(1).rstrip("/")
    rights = re.search(r"(?:-p\s+|-F\s+perm=)(\w+)", rule)
    return (path == watched or path.startswith(watched + "/")) and (not rights or set(rights.group(1)) >= AUDITED)


def _entry_of(item: Mapping[str, Any], manifest: list[Any]) -> Mapping[str, Any] | None:
    names = (text(item, "id"), text(item, "name"))
    return next((entry for entry in manifest if isinstance(entry, Mapping) and entry.get("name") in names), None)


def _same_file(item: Mapping[str, Any], entry: Mapping[str, Any]) -> bool | None:
    """Whether a file is still the assessed one, by the size and time recorded with its hash; None: not recorded."""
    if entry.get("size_b") is None or entry.get("mtime") is None or not entry.get("sha256"):
        return None
    changed = (
        entry["mtime"]
        if isinstance(entry["mtime"], int)
        else moment(entry["mtime"], "mtime in the manifest").timestamp()
    )
    return (whole(item, "size_b"), whole(item, "mtime")) == (entry["size_b"], int(changed))


def only_compliant(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every image of the library is in the manifest as compliant with SS-025. facts: items, now."""
    manifest = gold["gold_image_manifest"]
    items = [
        o.item(text(item, "id"), guarded(partial(_assessed, item, _entry_of(item, manifest), facts["now"])))
        for item in entries(facts, "items")
    ]
    return o.combine(items, empty=o.manual("no image library was found: say where images are kept"))


def _assessed(item: Mapping[str, Any], entry: Mapping[str, Any] | None, now: Any) -> Outcome:
    expected = "assessed as compliant with SS-025, in date"
    if entry is None:
        return o.failed("not listed", expected, "it is in the library and not in gold_image_manifest")
    actual = {key: entry.get(key) for key in ("ss025_status", "assessed_by", "assessed_on", "expires")}
    if entry.get("ss025_status") != "compliant" or not entry.get("assessed_by"):
        return o.failed(
            actual,
            expected,
            f"the manifest says {entry.get('ss025_status')!r}, assessed by {entry.get('assessed_by')!r}",
        )
    if days_between(entry.get("assessed_on"), now, "assessed_on in the manifest") < 0:
        return o.failed(actual, expected, "its assessment lies in the future")
    # The day of expiry itself still counts.
    if days_between(entry.get("expires"), now, "expires in the manifest") >= 1:
        return o.failed(actual, expected, f"its assessment expired on {entry.get('expires')}")
    same = _same_file(item, entry)
    if same is None:
        message = "listed as compliant; that it is still that file needs sha256, size_b and mtime in the manifest"
        return o.manual(message, actual, expected)
    if not same:
        return o.failed(
            {"size_b": item["size_b"], "mtime": item["mtime"]}, expected, "it was changed since it was assessed"
        )
    return o.passed(actual, expected)


def library_guarded(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The library is known in full, and no machine writes to an image that others are made from. facts: items."""
    items = []
    for item in entries(facts, "items"):
        items.append(o.item(text(item, "id"), guarded(partial(_template, item))))
    return o.combine(
        items, empty=o.not_applicable(NO_LIBRARY), expected="every image read, and none written to by a machine"
    )


def _template(item: Mapping[str, Any]) -> Outcome:
    if text(item, "problem"):
        return o.unknown(item["problem"])
    writers, mode = texts(item, "written_by"), text(item, "mode")
    if writers:
        return o.failed(writers, "no writer", f"the machine {writers[0]} writes to it while others build on it")
    if int(mode, 8) & WRITE:
        return o.failed(mode, "nothing for others", "every account may change it")
    return o.passed(mode)


def images_signed(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every image of the library has a detached signature of an approved, strong key. facts: items."""
    items = [o.item(text(item, "id"), guarded(partial(_signed, item, gold))) for item in entries(facts, "items")]
    expected = "a signature by one of gold_image_signers with SHA-256 or better, verified when the image was checked in"
    return o.combine(items, empty=o.not_applicable(NO_LIBRARY), expected=expected)


def _signed(item: Mapping[str, Any], gold: Mapping[str, Any]) -> Outcome:
    signature = item.get("signature")
    if not isinstance(signature, Mapping):
        raise MissingFact("its signature was not read")
    if not text(signature, "file"):
        return o.failed("none", None, "no signature (.asc, .sig or .gpg) lies beside it")
    if text(signature, "problem"):
        return o.failed(signature["problem"], None, f"its signature cannot be read: {signature['problem']}")
    algorithm, digest, issuer = (text(signature, key) for key in ("algorithm", "hash", "issuer"))
    actual = {"algorithm": algorithm, "hash": digest, "issuer": issuer}
    if digest not in STRONG_HASHES:
        return o.failed(actual, None, f"it is signed over {digest}, which is weak")
    signer = next((entry for entry in gold["gold_image_signers"] if issuer and _is_key(entry, issuer)), None)
    if signer is None:
        return o.failed(actual, None, f"the key {issuer or 'of its signature'} is not among gold_image_signers")
    weakness = _weak_key(signer, algorithm, gold["gold_image_rsa_bits_min"])
    if weakness:
        return o.failed(actual, None, weakness)
    entry = _entry_of(item, gold["gold_image_manifest"])
    if entry is None or not entry.get("signature_verified_on") or not _same_file(item, entry):
        message = (
            "signed by an approved key; an audit does not read whole images, so that it was verified needs the manifest"
        )
        return o.manual(message, actual)
    return o.passed({**actual, "verified on": str(entry["signature_verified_on"])})


def _is_key(entry: Any, issuer: str) -> bool:
    """Whether a signer is the issuer. A signature may name only the last 16 digits of the fingerprint."""
    fingerprint = str(entry.get("fingerprint", "")).replace(" ", "").upper() if isinstance(entry, Mapping) else ""
    return len(fingerprint) >= 40 and (fingerprint == issuer or len(issuer) == 16 and fingerprint.endswith(issuer))


def _weak_key(signer: Mapping[str, Any], algorithm: str, rsa_bits: int) -> str:
    if signer.get("algorithm") != algorithm:
        return f"the key is recorded as {signer.get('algorithm')}, the signature was made with {algorithm}"
    bits = signer.get("bits")
    if algorithm in ELLIPTIC:
        return "" if isinstance(bits, int) and bits >= 256 else f"a key of {bits} bits is too short for {algorithm}"
    if algorithm == "rsa":
        return "" if isinstance(bits, int) and bits >= rsa_bits else f"a key of {bits} bits is too short for RSA"
    return f"{algorithm} is no approved algorithm"


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "image_path_acl": path_acl,
    "image_pool_rules": pool_rules,
    "image_access_audited": access_audited,
    "image_only_compliant": only_compliant,
    "image_library_guarded": library_guarded,
    "image_signed": images_signed,
}
