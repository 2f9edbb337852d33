# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pending security updates of Debian and Ubuntu, from what apt has already fetched.

apt itself is not run: a simulated upgrade costs most of a second, keeps kernels back and hides holds (amendments.md).
"""

from __future__ import annotations

import datetime
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import deb_version
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

LISTS = "/var/lib/apt/lists"
STATUS = "/var/lib/dpkg/status"
MAX_LIST = 64 * 1024 * 1024
# Suites whose packages are security fixes: Debian and Ubuntu name them alike, Ubuntu Pro adds the esm archives.
SECURITY = re.compile(r"_dists_[a-z]+-(?:security|infra-security|apps-security)_")
MAX_PENDING = 500


def installed(host):
    """{package: {version, hold}} of what dpkg has installed. Do not change the answer."""
    return host.once("dpkg", lambda: _read_status(host))


def _read_status(host):
    found = {}
    for block in host.read(STATUS, MAX_LIST).split("\n\n"):
        name = re.search(r"^Package: (\S+)$", block, re.MULTILINE)
        state = re.search(r"^Status: (\S+) (\S+) (\S+)$", block, re.MULTILINE)
        version = re.search(r"^Version: (\S+)$", block, re.MULTILINE)
        if name and state and version and state.group(3) == "installed":
            found[name.group(1)] = {"version": version.group(1), "hold": state.group(1) == "hold"}
    if not found:
        raise Unreadable("%s lists no installed package" % STATUS)
    return found


def security_lists(host):
    """[(path of Packages, path of its Release)] of the security suites.

    :raises Unreadable: there is none, or it is compressed in a way the standard library cannot read.
    """
    try:
        names = host.list(LISTS)
    except Absent:
        raise Unreadable("%s does not exist: apt has fetched nothing" % LISTS)
    packages = [name for name in names if SECURITY.search(name) and re.search(r"_Packages(\.\w+)?$", name)]
    if not packages:
        raise Unreadable("apt has fetched no list of a security suite")
    compressed = [name for name in packages if not name.endswith("_Packages")]
    if compressed:
        raise Unreadable("apt keeps its lists compressed (Acquire::GzipIndexes): %s" % compressed[0][-80:])
    return [("%s/%s" % (LISTS, name), release_of(names, name)) for name in packages]


def release_of(names, packages):
    """The Release file of the same suite, or None."""
    suite = packages.partition("_dists_")[0] + "_dists_" + packages.partition("_dists_")[2].partition("_")[0]
    return next(
        ("%s/%s_%s" % (LISTS, suite, kind) for kind in ("InRelease", "Release") if "%s_%s" % (suite, kind) in names),
        None,
    )


def pending(host):
    """Return {"pending": [...], "list_date": ISO date of the oldest security list}.

    pending: [{id, installed, available, hold, severity: "", issued: ""}]. Debian's lists carry neither severity nor
    date.
    """
    have = installed(host)
    available, dates = {}, []
    for path, release in security_lists(host):
        for name, version in versions(host.read(path, MAX_LIST)):
            if name in have and (name not in available or deb_version.newer(version, available[name])):
                available[name] = version
        dates.append(date_of(host.read(release, MAX_LIST)) if release else None)
    if None in dates:
        raise Unreadable("a security suite has no Release file with a date")
    found = [
        {
            "id": name,
            "installed": have[name]["version"],
            "available": version,
            "hold": have[name]["hold"],
            "severity": "",
            "issued": "",
        }
        for name, version in sorted(available.items())
        if deb_version.newer(version, have[name]["version"])
    ]
    return {
        "pending": found[:MAX_PENDING],
        "list_date": min(dates),
        "holds": sorted(n for n in have if have[n]["hold"]),
    }


def versions(text):
    """Yield (package, version) of each paragraph of a Packages file."""
    name = None
    for line in text.splitlines():
        if line.startswith("Package: "):
            name = line[9:].strip()
        elif line.startswith("Version: ") and name:
            yield name, line[9:].strip()
            name = None


def date_of(release):
    """The Date of a Release file as ISO 8601 in UTC, or None."""
    found = re.search(r"^Date: (\w{3}, +\d+ \w{3} \d{4} [\d:]{7,8}) (?:UTC|GMT|\+0000)$", release, re.MULTILINE)
    if not found:
        return None
    try:
        moment = datetime.datetime.strptime(re.sub(" +", " ", found.group(1)), "%a, %d %b %Y %H:%M:%S")
    except ValueError:
        return None
    return moment.replace(tzinfo=datetime.timezone.utc).isoformat()
