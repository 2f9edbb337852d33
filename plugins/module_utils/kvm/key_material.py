# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where keys and certificates lie: key files of disks, libvirt's secrets, TLS of QEMU. Never what is in them."""

from __future__ import annotations

import posixpath

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_conf
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

CRYPTTAB = "/etc/crypttab"
# systemd looks here for <name>.key when crypttab names no key file (crypttab(5)).
KEY_DIRECTORIES = ("/etc/cryptsetup-keys.d", "/run/cryptsetup-keys.d")
LIBVIRT_SECRETS = "/etc/libvirt/secrets"
PKI = "/etc/pki"
QEMU_CONF = "/etc/libvirt/qemu.conf"
MAX_FILES = 200


def key_files(host):
    """[{id, opens, kind, exists, mode, uid}] of files that hold a key to a disk.

    kind: crypttab, or libvirt secret (libvirt keeps the value of a secret that is not ephemeral in a file beside its
    definition, base64 and nothing more).
    """
    found = [dict(_described(host, path), opens=name, kind="crypttab") for name, path in _crypttab(host)]
    for directory in KEY_DIRECTORIES:
        for name in _names(host, directory):
            path = posixpath.join(directory, name)
            if name.endswith(".key") and path not in [entry["id"] for entry in found]:
                found.append(dict(_described(host, path), opens=name[: -len(".key")], kind="crypttab"))
    for name in _names(host, LIBVIRT_SECRETS):
        if name.endswith(".base64"):
            path = posixpath.join(LIBVIRT_SECRETS, name)
            found.append(dict(_described(host, path), opens=name[: -len(".base64")], kind="libvirt secret"))
    if len(found) > MAX_FILES:
        raise Unreadable("more than %d key files" % MAX_FILES)
    return found


def _crypttab(host):
    """(name, key file) of every entry that names a file; a device as key (/dev/urandom) is a new key at every start."""
    try:
        text = host.read(CRYPTTAB)
    except Absent:
        return []
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 2 and not line.lstrip().startswith("#") and fields[2].startswith("/"):
            # `/path:device`: the key file is on another device, which is mounted for the moment only.
            path = fields[2].split(":", 1)[0]
            if not path.startswith("/dev/"):
                found.append((fields[0], path))
    return found


def _described(host, path):
    try:
        stat = host.stat(path)
    except Absent:
        return {"id": path[:300], "exists": False, "mode": "", "uid": 0}
    return {"id": path[:300], "exists": True, "mode": stat["mode"], "uid": stat["uid"]}


def _names(host, directory):
    try:
        return host.list(directory)
    except Absent:
        return []


def tls_directories(host):
    """The directories QEMU and libvirt take TLS from: [{id, certificates, keys}].

    certificates: [{id, not_after, problem}]. keys: [{id, mode, uid}].
    not_after: seconds since the epoch, 0 with a problem where openssl does not tell it.
    """
    paths = ["%s/%s" % (PKI, name) for name in _names(host, PKI) if name.startswith(("qemu", "libvirt"))]
    paths += [path for path in _configured(host) if path not in paths]
    return [_tls_directory(host, path) for path in paths[:20]]


def _configured(host):
    try:
        settings = libvirt_conf.parse(host.read(QEMU_CONF))
    except (Absent, libvirt_conf.BadConfiguration):
        return []
    return [
        value.rstrip("/")
        for key, value in sorted(settings.items())
        if key.endswith("_tls_x509_cert_dir") and isinstance(value, str) and value.startswith("/")
    ]


def _tls_directory(host, directory):
    certificates, keys = [], []
    for folder in (directory, directory + "/private"):
        for name in _names(host, folder)[:50]:
            path = posixpath.join(folder, name)
            if name.endswith(("-key.pem", "key.pem")):
                keys.append({key: value for key, value in _described(host, path).items() if key != "exists"})
            elif name.endswith(("cert.pem", "certs.pem")):
                certificates.append(_certificate(host, path))
    return {"id": directory, "certificates": certificates, "keys": keys}


def _certificate(host, path):
    try:
        out = host.succeed(["openssl", "x509", "-noout", "-enddate", "-in", path])
        # The date is in the C locale's English whatever the host speaks, which this function reads by itself.
        import ssl

        return {
            "id": path,
            "not_after": int(ssl.cert_time_to_seconds(out.strip().partition("notAfter=")[2])),
            "problem": "",
        }
    except (Unreadable, ValueError) as reason:
        return {"id": path, "not_after": 0, "problem": str(reason)[:300]}
