# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything libvirt says, read-only and in bulk, as one plain dict of texts.

No fact is made here, so that a recorded snapshot can stand for a host in tests. Bulk calls where libvirt has them: one
call lists the domains, one gives their states, two more tell which start by themselves and which are defined; after
that one description per domain, and a second one for those that both run and are defined. The host's capabilities and
QEMU's version are not asked for: libvirt starts several QEMUs to answer, which takes seconds.
"""

from __future__ import annotations

try:
    import libvirt
except ImportError:
    libvirt = None

MAX_VOLUMES = 5000

STATES = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")


class NoLibvirt(Exception):
    """libvirt cannot be asked at all: no binding, no daemon, no right to connect. The message is the reason."""


def available():
    """True when the Python binding is installed for the running interpreter."""
    return libvirt is not None


def snapshot(uri):
    """Return what libvirt at `uri` says.

    {uri, via, version, hypervisor, domains, networks, pools, nwfilters, secrets, errors}. A domain is {uuid, name,
    state,
    active, autostart, persistent, live_xml, inactive_xml, error}; the other lists hold {uuid, name, active, autostart,
    persistent, xml}, pools also volumes: [{name, xml}]. What could not be read is None, with {path, reason} in errors;
    path is the branch of the facts it would have filled.

    :raises NoLibvirt: nothing can be read.
    """
    # libvirt prints every error to stderr by itself, where it would spoil the module's answer.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = _open(uri)
    try:
        return _Reader(connection, uri).snapshot()
    finally:
        try:
            connection.close()
        except libvirt.libvirtError:
            pass


def _open(uri):
    try:
        return libvirt.openReadOnly(uri)
    except libvirt.libvirtError as error:
        raise NoLibvirt("libvirt at %s: %s" % (uri, _text(error)))


def _text(error):
    return str(error.get_error_message() or error)[:200]


class _Reader(object):
    """One connection, read to its end; a call that fails is recorded and the rest goes on."""

    def __init__(self, connection, uri):
        self._connection = connection
        self._uri = uri
        self._errors = []

    def snapshot(self):
        connection = self._connection
        found = {
            "uri": self._uri,
            "via": "binding",
            "version": self._try("libvirt.version", lambda: _dotted(connection.getLibVersion())),
            "hypervisor": self._try("libvirt.hypervisor", connection.getType),
            "domains": self._try("vms", self._domains),
            "networks": self._try("networks", lambda: self._objects("networks", connection.listAllNetworks())),
            "pools": self._try("pools", self._pools),
            "nwfilters": self._try("nwfilters", lambda: self._objects("nwfilters", connection.listAllNWFilters())),
            "secrets": self._try("secrets", lambda: self._objects("secrets", connection.listAllSecrets())),
        }
        found["errors"] = self._errors
        return found

    def _try(self, path, read):
        try:
            return read()
        except libvirt.libvirtError as error:
            self._errors.append({"path": path, "reason": _text(error)})
            return None

    def _domains(self):
        states = {domain.UUIDString(): stats.get("state.state") for domain, stats in self._states()}
        autostart = self._uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        persistent = self._uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)
        domains = [self._domain(domain, states, autostart, persistent) for domain in self._connection.listAllDomains()]
        return [domain for domain in domains if domain is not None]

    def _states(self):
        return self._connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)

    def _uuids(self, flag):
        return {domain.UUIDString() for domain in self._connection.listAllDomains(flag)}

    @staticmethod
    def _domain(domain, states, autostart, persistent):
        uuid = domain.UUIDString()
        record = {"uuid": uuid, "name": domain.name(), "autostart": uuid in autostart, "persistent": uuid in persistent}
        record.update(state=None, active=None, live_xml=None, inactive_xml=None, error=None)
        try:
            number = states.get(uuid)
            if number is None:
                number = domain.state()[0]
            record["state"] = STATES[number] if 0 <= number < len(STATES) else "nostate"
            record["active"] = record["state"] not in ("shutoff", "crashed")
            # Without VIR_DOMAIN_XML_SECURE libvirt leaves passwords out.
            # Of a machine that is shut off, the definition in the words it also has while it runs.
            record["live_xml"] = domain.XMLDesc(0 if record["active"] else libvirt.VIR_DOMAIN_XML_INACTIVE)
            if record["active"] and record["persistent"]:
                record["inactive_xml"] = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            record["error"] = _text(error)
        return record

    def _objects(self, path, objects):
        found = []
        for entry in objects:
            record = {"uuid": entry.UUIDString(), "name": entry.name() if hasattr(entry, "name") else "", "xml": None}
            record["xml"] = self._try("%s[%s]" % (path, record["uuid"]), lambda entry=entry: entry.XMLDesc(0))
            for key, method in (("active", "isActive"), ("autostart", "autostart"), ("persistent", "isPersistent")):
                if hasattr(entry, method):
                    value = self._try("%s[%s].%s" % (path, record["uuid"], key), getattr(entry, method))
                    record[key] = None if value is None else bool(value)
            found.append(record)
        return found

    def _pools(self):
        pools = self._connection.listAllStoragePools()
        records = self._objects("pools", pools)
        left = MAX_VOLUMES
        for pool, record in zip(pools, records):
            record["volumes"] = []
            if record["active"]:
                record["volumes"] = self._try("volumes", lambda pool=pool, left=left: self._volumes(pool, left))
                left -= len(record["volumes"] or [])
        return records

    def _volumes(self, pool, left):
        volumes = pool.listAllVolumes()
        if len(volumes) > left:
            self._errors.append(
                {"path": "volumes", "reason": "more than %d volumes; the rest was not read" % MAX_VOLUMES}
            )
        return [
            {"name": volume.name(), "xml": self._try("volumes", lambda volume=volume: volume.XMLDesc(0))}
            for volume in volumes[:left]
        ]


def _dotted(number):
    return "%d.%d.%d" % (number // 1000000, number // 1000 % 1000, number % 1000)
