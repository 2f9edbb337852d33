# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a virtual machine's XML."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.definition import BadPath, Definition, steps
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan

XML = """<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <!-- kept -->
  <name>web</name>
  <metadata><os:libosinfo xmlns:os="http://libosinfo.org/xmlns/1.0"><os:x id='1'/></os:libosinfo></metadata>
  <vcpu placement='static' current='2'>8</vcpu>
  <seclabel type='none' model='dac'/>
  <seclabel type='dynamic' model='apparmor' relabel='yes'/>
  <devices>
    <disk type='file'><target dev='vda'/></disk>
    <disk type='file'><target dev='vdb'/><iotune><total_iops_sec>5</total_iops_sec></iotune></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/></interface>
    <interface type='network'><mac address='52:54:00:00:00:02'/></interface>
    <graphics type='vnc' passwd='tops3cret' port='-1'/>
  </devices>
  <qemu:commandline><qemu:arg value='-x'/></qemu:commandline>
</domain>"""


@pytest.fixture
def web():
    return Definition(XML)


def test_what_nobody_asked_about_stays(web):
    before = web.text()
    assert web.name == "web"
    web.edit(plan.domain_set("vcpu", {"current": None}, text="3"))
    expected = before.replace('<vcpu placement="static" current="2">8<', '<vcpu placement="static">3<')
    assert web.text() == expected != before
    for kept in ("<!-- kept -->", 'xmlns:os="http://libosinfo.org/xmlns/1.0"', '<qemu:arg value="-x"/>', "tops3cret"):
        assert kept in web.text()


def test_a_missing_place_is_made_below_the_one_that_was_meant(web):
    path = "devices/interface[mac/@address='52:54:00:00:00:02']/bandwidth/inbound"
    assert web.edit(plan.domain_set(path, {"average": "100"})) == {path + "@average": [None, "100"]}
    assert '<mac address="52:54:00:00:00:02"/><bandwidth><inbound average="100"/></bandwidth>' in web.text()
    assert web.edit(plan.domain_set(path, {"average": "100"})) == {}


def test_text_is_replaced(web):
    path = "devices/disk[target/@dev='vdb']/iotune/total_iops_sec"
    assert web.edit(plan.domain_set(path, text="9")) == {path: ["5", "9"]}
    assert web.edit(plan.domain_set(path, text="9")) == {}


def test_remove_takes_only_what_the_condition_holds_for(web):
    changed = web.edit(plan.domain_remove("seclabel[@type='none']"))
    assert changed == {"seclabel[@type='none']": ['<seclabel type="none" model="dac">', None]}
    assert web.text().count("<seclabel") == 1
    assert web.edit(plan.domain_remove("seclabel[@type='none']")) == {}


def test_secrets_are_not_shown(web):
    path = "devices/graphics[@type='vnc']"
    assert web.edit(plan.domain_set(path, {"passwd": None})) == {path + "@passwd": ["(not shown)", "(not shown)"]}
    web = Definition(XML)
    assert "tops3cret" not in str(web.edit(plan.domain_remove(path)))
    assert Definition(XML).without_secrets("error near passwd='tops3cret'") == "error near passwd='(not shown)'"


@pytest.mark.parametrize(
    "path",
    ["devices/disk[target/@dev='vdz']/iotune", "devices/disk/iotune", "devices/disk[1]", "/vcpu", "", "a[b]", "a/../b"],
)
def test_a_path_to_nowhere_changes_nothing(web, path):
    before = web.text()
    with pytest.raises(BadPath):
        web.edit(plan.domain_set(path, {"x": "1"}))
    assert web.text() == before


def test_two_conditions():
    assert steps("a[@x='1'][b/@y='/2']/c") == [("a", [("", "x", "1"), ("b", "y", "/2")]), ("c", [])]


@pytest.mark.parametrize("xml", ["<!DOCTYPE x [<!ENTITY a 'b'>]><domain/>", "<network/>", "<domain>"])
def test_what_is_no_definition_is_refused(xml):
    with pytest.raises(ValueError, match="description"):
        Definition(xml)
