# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.places import Places

KNOWN = {
    "group-d1": ("Datacenters", ""),
    "datacenter-2": ("london", "group-d1"),
    "datacenter-3": ("leeds", "group-d1"),
    "group-v4": ("vm", "datacenter-2"),
    "group-v5": ("vm", "datacenter-3"),
    "group-v6": ("production", "group-v5"),
    "datastore-7": ("images", None),
    "resgroup-8": ("own", "resgroup-9"),
    "resgroup-9": ("other", "resgroup-8"),
    "resgroup-10": ("pool", "domain-c99"),
}


@pytest.mark.parametrize(
    ("moid", "called", "path"),
    [
        ("group-d1", "Datacenters", "/"),
        ("datacenter-2", "london", "/london"),
        ("group-v4", "/london/vm", "/london/vm"),
        ("group-v5", "/leeds/vm", "/leeds/vm"),
        ("group-v6", "production", "/leeds/vm/production"),
        # Nothing is known of what is above these.
        ("datastore-7", "images", "datastore-7"),
        ("resgroup-10", "pool", "domain-c99/pool"),
    ],
)
def test_an_object_is_called_by_its_name_where_it_is_the_only_one(moid, called, path):
    places = Places(KNOWN)
    assert (places.called(moid), places.path(moid)) == (called, path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("production", ["group-v6"]),
        ("vm", ["group-v4", "group-v5"]),
        ("/leeds/vm", ["group-v5"]),
        ("/leeds/vm/production", ["group-v6"]),
        ("/", ["group-d1"]),
        ("leeds/vm", []),
        ("datastore-7", []),
        ("", []),
    ],
)
def test_what_has_a_name_or_a_path(name, found):
    assert Places(KNOWN).find(name) == found


def test_objects_that_are_in_one_another_end():
    assert Places(KNOWN).path("resgroup-8").count("/") == 64
