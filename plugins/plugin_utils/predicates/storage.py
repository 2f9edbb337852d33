# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on stored images: encrypted devices and who can open them (11.2.9). Other storage tests stand beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import image_library, image_transport
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    entries,
    flag,
    hidden,
    text,
    texts,
    whole,
)

# XTS takes two keys, so 512 bits are AES-256.
MIN_KEY_BITS = 512
# Disks that another machine offers; whether they are encrypted is for that machine to show.
NETWORK_DISKS = ("iscsi", "fc", "nbd", "rbd", "drbd")
SECRET_USES = ("volume", "vtpm")
ENCRYPTED = "LUKS with AES-256 in XTS mode, on the image or on every device below it"
NO_IMAGE = "no virtual machine and no storage pool keeps an image on this host"


def _by_id(facts: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    return {text(entry, "id"): entry for entry in entries(facts, key)}


def images_encrypted(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every image is on an encrypted device, or encrypted itself. facts: images, places, crypt, visibility."""
    places, crypt = _by_id(facts, "places"), _by_id(facts, "crypt")
    declared = {str(drive).strip().lower() for drive in gold["gold_self_encrypting_drives"]}
    items = hidden(facts)
    for image in entries(facts, "images"):
        items.append(o.item(text(image, "id"), guarded(partial(_image, image, places, crypt, declared))))
    return o.combine(items, empty=o.not_applicable(NO_IMAGE), expected=ENCRYPTED)


def _image(
    image: Mapping[str, Any], places: Mapping[str, Any], crypt: Mapping[str, Any], declared: set[str]
) -> Outcome:
    kind, encryption = text(image, "type"), text(image, "encryption")
    if text(image, "problem"):
        return o.unknown(image["problem"])
    if kind == "absent":
        return o.not_applicable("nothing is stored there")
    if encryption == "luks":
        return _strong(image["luks"], "the image") if image.get("luks") else o.passed("LUKS")
    if encryption == "swtpm":
        return o.passed("encrypted by swtpm with a secret of libvirt")
    if encryption:
        return o.failed(encryption, ENCRYPTED, f"it is encrypted with {encryption}, which is broken")
    if kind == "network":
        return o.manual(f"it is on a {text(image, 'protocol')} server: encryption there needs evidence", kind)
    if kind not in ("file", "block", "dir"):
        raise MissingFact(f"where a source of type {kind!r} lies is not known")
    place = places.get(text(image, "place"))
    if place is None:
        raise MissingFact("the device below it was not read")
    return _place(place, crypt, declared)


def _place(place: Mapping[str, Any], crypt: Mapping[str, Any], declared: set[str]) -> Outcome:
    where = f"{text(place, 'type')} {text(place, 'source')}"
    if flag(place, "remote"):
        return o.manual(f"it is on {where}: encryption on the server needs evidence", where)
    encrypted = text(place, "encrypted")
    if encrypted == "yes":
        found = [guarded(partial(_device, name, crypt)) for name in texts(place, "crypt")]
        return o.combine(found, empty=o.unknown(f"what encrypts {where} was not read"))
    if encrypted != "no":
        return o.unknown(f"the kernel does not show the devices below {where}")
    leaves = entries(place, "leaves")
    elsewhere = [leaf for leaf in leaves if text(leaf, "transport").startswith((*NETWORK_DISKS, "nvme-"))]
    named = [leaf for leaf in leaves if text(leaf, "wwid").lower() in declared - {""}]
    if leaves and all(leaf in elsewhere or leaf in named for leaf in leaves):
        disks = ", ".join(f"{text(leaf, 'id')} ({leaf['transport']})" for leaf in leaves)
        return o.manual(f"it is on {disks}: encryption in the array or the drive needs evidence", disks)
    return o.failed(where, ENCRYPTED, f"it is on {where}, which is not encrypted")


def _device(name: str, crypt: Mapping[str, Any]) -> Outcome:
    device = crypt.get(name)
    if device is None:
        raise MissingFact(f"the encrypted device {name} was not read")
    if text(device, "problem"):
        return o.unknown(f"{name}: {device['problem']}")
    if text(device, "kind") != "luks2":
        return o.failed(device["kind"], "LUKS2", f"{name} is {device['kind']}, not LUKS2")
    return _strong(device, name)


def _strong(header: Mapping[str, Any], name: str) -> Outcome:
    cipher, bits = text(header, "cipher"), whole(header, "key_bits")
    found = f"{cipher}, {bits} bits"
    if cipher.startswith("aes-xts") and bits >= MIN_KEY_BITS:
        return o.passed(found)
    return o.failed(found, ENCRYPTED, f"{name} is encrypted with {found}")


def unlock_restricted(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Few strong ways to open an encrypted device, and no key that lies beside the disk.

    facts: images, places, crypt, key_files, secrets.
    """
    places = _by_id(facts, "places")
    used = {name for image in entries(facts, "images") for name in _crypt_below(image, places)}
    limit = gold["gold_luks_max_keyslots"]
    items = [
        o.item(text(device, "id"), guarded(partial(_slots, device, limit)))
        for device in entries(facts, "crypt")
        if text(device, "id") in used
    ]
    for image in entries(facts, "images"):
        if image.get("luks"):
            items.append(o.item(text(image, "id"), guarded(partial(_image_slots, image["luks"], limit))))
    secrets = _by_id(facts, "secrets")
    for secret in secrets.values():
        if text(secret, "usage") in SECRET_USES:
            items.append(o.item(f"secret {secret['id']}", guarded(partial(_private, secret))))
    for file in entries(facts, "key_files"):
        if _opens_disk(file, used, secrets):
            items.append(o.item(text(file, "id"), guarded(partial(_key_file, file, places))))
    return o.combine(items, empty=o.not_applicable("no image on this host is opened with a key"))


def _crypt_below(image: Mapping[str, Any], places: Mapping[str, Mapping[str, Any]]) -> list[str]:
    name = text(image, "place")
    if name and name not in places:
        raise MissingFact("the device below an image was not read")
    return texts(places[name], "crypt") if name else []


def _slots(device: Mapping[str, Any], limit: int) -> Outcome:
    if text(device, "problem"):
        return o.unknown(device["problem"])
    return _image_slots(device, limit, "argon2id" if text(device, "kind") == "luks2" else "")


def _image_slots(header: Mapping[str, Any], limit: int, kdf: str = "") -> Outcome:
    """Of an image inside a file only the number of slots: QEMU writes LUKS1 headers, whose only function is PBKDF2."""
    slots = entries(header, "slots")
    shown = [f"{text(slot, 'id')}: {text(slot, 'kdf')} {text(slot, 'token')}".strip() for slot in slots]
    if not 1 <= len(slots) <= limit:
        return o.failed(shown, f"1 to {limit} key slots", f"{len(slots)} keys open it")
    # A key that a TPM or a Tang server releases is random: nothing has to slow down guessing it.
    weak = [slot for slot in slots if kdf and not slot["token"] and slot["kdf"] != kdf]
    if weak:
        return o.failed(shown, kdf, f"the passphrase of key slot {weak[0]['id']} is derived with {weak[0]['kdf']}")
    return o.passed(shown, f"1 to {limit} key slots")


def _private(secret: Mapping[str, Any]) -> Outcome:
    if flag(secret, "private"):
        return o.passed("private")
    return o.failed("not private", "private", "whoever may read libvirt's secrets can read its value")


def _opens_disk(file: Mapping[str, Any], used: set[str], secrets: Mapping[str, Mapping[str, Any]]) -> bool:
    if text(file, "kind") == "crypttab":
        return text(file, "opens") in used
    secret = secrets.get(text(file, "opens"))
    return secret is None or text(secret, "usage") in SECRET_USES


def _key_file(file: Mapping[str, Any], places: Mapping[str, Mapping[str, Any]]) -> Outcome:
    if not flag(file, "exists"):
        return o.passed("not on the host")
    if text(file, "problem"):
        return o.unknown(file["problem"])
    mode = text(file, "mode")
    if whole(file, "uid") or int(mode, 8) & 0o077:
        return o.failed(mode, "0400, owned by root", "others than root can read this key")
    place = places.get(text(file, "place"))
    if place is None:
        raise MissingFact("the device below the key file was not read")
    if flag(place, "memory") or text(place, "encrypted") == "yes":
        return o.passed(mode)
    where = f"{text(place, 'type')} {text(place, 'source')}"
    if place["encrypted"] != "no":
        return o.unknown(f"the kernel does not show the devices below {where}")
    message = f"this key lies on {where}, which is not encrypted: who takes the disks takes the key"
    return o.failed(where, "an encrypted device, a TPM or a key server", message)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "images_encrypted": images_encrypted,
    "image_unlock_restricted": unlock_restricted,
    **image_library.PREDICATES,
    **image_transport.PREDICATES,
}
