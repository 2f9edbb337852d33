# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of the image library and of what images travel over."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import polkit_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.image_library import PLANS, RULES, grants
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import access_libvirt, image_library
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.vm_side import (
    VM2,
    both,
    conf,
    kinds,
    of_kind,
    situation,
    told,
)

STORAGE = ["org.libvirt.api.storage-pool.*", "org.libvirt.api.storage-vol.*"]


def directory(**found):
    return lambda facts: facts["storage"]["directories"][0].update(found)


def image(name, **found):
    def change(facts):
        entry = next(entry for entry in facts["storage"]["images"] if entry["id"].endswith(name))
        entry.update(found)

    return change


def path_acl(change, **more):
    return PLANS["kvm-11.2.8-path-acl"](situation(change, **more))


def test_a_stock_pool_is_left_alone():
    assert path_acl(None) == []


@pytest.mark.parametrize(
    ("found", "mode", "owner"),
    [
        ({"mode": "0755"}, "0751", "root"),
        ({"mode": "0777"}, "0771", "root"),
        ({"mode": "0770", "group": "libvirt"}, "0710", "root"),
        # QEMU passed as the owner; as root owns it now, it passes as anybody else.
        ({"mode": "0700", "owner": "libvirt-qemu"}, "0701", "root"),
        ({"mode": "0750", "owner": "oscar", "group": "kvm"}, "0711", "root"),
    ],
)
def test_directories_of_pools(found, mode, owner):
    (row,) = path_acl(directory(**found))
    assert (row["kind"], row["mode"], row["owner"], row["group"]) == ("access", mode, owner, "")


@pytest.mark.parametrize("mode", [f"0{number:o}" for number in range(0o700, 0o1000)])
@pytest.mark.parametrize("owner", ["root", "libvirt-qemu"])
def test_nobody_loses_the_way_to_a_machines_disk(mode, owner):
    """Whatever a directory's mode was, whoever could pass through it still can."""
    for row in path_acl(directory(mode=mode, owner=owner, group="kvm")):
        before, after = int(mode, 8), int(row["mode"], 8)
        assert before & 0o111 & ~after == 0, "a search permission was taken"
        assert owner == "root" or after & 0o001, "the former owner passes as anybody"
        assert not after & 0o066


def test_the_image_administrators_group_may_list():
    assert path_acl(directory(mode="0771", group="images"), gold={"gold_image_admin_group": "images"}) == []


def test_foreign_entries_leave_the_access_list():
    acl = {"acl": ["user:alice:rwx", "user:bob:rwx", "user:libvirt-qemu:--x"], "default_acl": ["group:ops:r-x"]}
    (row,) = path_acl(directory(**acl), gold={"gold_image_admins": ["alice"]})
    assert row["kind"] == "access_list" and row["remove"] == ["default:group:ops", "user:bob"]


def test_a_mask_of_an_access_list_is_not_cut():
    rows = path_acl(
        directory(mode="0771", group="libvirt", acl=["user:alice:rwx"]), gold={"gold_image_admins": ["alice"]}
    )
    assert kinds(rows) == ["by_hand"] and "access list" in told(rows)


def test_open_images_are_closed():
    (row,) = path_acl(image("vm2.luks", mode="0644"))
    assert (row["path"], row["mode"]) == ("/var/lib/libvirt/images/vm2.luks", "0640")


def test_images_that_qemu_may_reach_as_anybody_are_for_a_person():
    rows = path_acl(both(image("vm2.luks", mode="0644"), conf(dynamic_ownership=0)))
    assert kinds(rows) == ["by_hand"] and VM2 in told(rows)


def test_what_is_on_another_machine_is_for_a_person():
    def remote(facts):
        for place in facts["storage"]["places"]:
            place.update(remote=True, source="filer:/images")

    rows = path_acl(both(remote, directory(mode="0777"), image("vm2.luks", mode="0666")))
    assert kinds(rows) == ["by_hand", "by_hand"] and "filer:/images" in told(rows)


# Storage through libvirt.


def rules_of(text):
    """What kvm_info says about a rule file."""
    return [{"path": RULES, "sha256": "", "uid": 0, "mode": "0644", "returns": polkit_rules.javascript(text)}]


def pool_rules(change=None, **more):
    return PLANS["kvm-11.2.8-pool-rules"](situation(change, **more))


def no_rules(facts):
    facts["rbac"]["rules"] = []


def test_the_driver_is_switched_on_and_image_administrators_keep_storage():
    rows = pool_rules(no_rules, gold={"gold_image_admins": ["alice"], "gold_image_admin_group": "images"})
    (keys,) = of_kind(rows, "keys")
    assert (keys["path"], keys["values"]) == ("/etc/libvirt/libvirtd.conf", {"access_drivers": '[ "polkit" ]'})
    assert keys["then"][0]["run"] == ["systemctl", "try-restart", "libvirtd.service"]
    (file,) = of_kind(rows, "file")
    assert file["path"] == "/etc/polkit-1/rules.d/50-dwp-hypervisor-images.rules"
    assert 'subject.user == "alice"' in file["content"] and 'subject.isInGroup("images")' in file["content"]


def test_the_rules_are_read_as_what_they_are_meant_to_be():
    """The audit's own reading of the file: granted to these, to nobody else, and nothing but storage."""
    rules = rules_of(grants(["alice", "%images"]))
    assert [(entry["users"], entry["groups"], entry["actions"], entry["exact"]) for entry in rules[0]["returns"]] == [
        (["alice"], [], [STORAGE[0]], True),
        (["alice"], [], [STORAGE[1]], True),
        ([], ["images"], [STORAGE[0]], True),
        ([], ["images"], [STORAGE[1]], True),
    ]
    daemons = [
        {
            "name": "libvirtd",
            "reachable": True,
            "conf": "x",
            "in_force": True,
            "access_drivers": ["polkit"],
            "sockets": [],
        }
    ]
    gold = {"gold_image_admins": ["alice"], "gold_image_admin_group": "images", "gold_polkit_rule_files": []}
    assert image_library.pool_rules({"daemons": daemons, "rules": rules}, gold).status == o.PASS
    gold["gold_image_admins"] = ["bob"]
    assert image_library.pool_rules({"daemons": daemons, "rules": rules}, gold).status == o.FAIL


def test_the_rules_stay_within_the_signed_matrix():
    matrix = [{"principal": "alice", "actions": STORAGE, "objects": {}}]
    gold = {"gold_image_admins": ["alice", "bob"], "gold_rbac_matrix": matrix}
    rows = pool_rules(no_rules, gold=gold)
    assert "gold_rbac_matrix grants no storage to bob" in told(rows)
    (file,) = of_kind(rows, "file")
    assert "bob" not in file["content"]
    facts = {
        "rules": rules_of(file["content"]),
        "polkit": {"version": "122", "javascript": True, "in_force": True, "newest": 0},
    }
    verdict = access_libvirt.policy_deployed(facts, {"gold_rbac_matrix": matrix, "gold_polkit_rule_files": []})
    assert not [item for item in verdict.items if item.id == RULES and item.status != o.PASS]


@pytest.mark.parametrize("name", ['x"); evil("', "a b", "", "%"])
def test_a_name_that_is_none_never_reaches_a_rule(name):
    with pytest.raises(Refusal, match="no name of an account"):
        grants([name])


def test_nobody_named_means_that_our_rules_go():
    (file,) = of_kind(pool_rules(no_rules), "file")
    assert file["content"] is None


def test_operators_without_a_rule_would_lose_their_machines():
    with pytest.raises(Refusal, match=r"from the operators \(oscar\).*access_control first"):
        pool_rules(no_rules, gold={"gold_hypervisor_operators": ["oscar"]})

    def granted(facts):
        text = (
            'polkit.addRule(function(action, subject) { if (action.id == "org.libvirt.api.domain.start" && '
            'subject.user == "oscar") { return polkit.Result.YES; } });'
        )
        facts["rbac"]["rules"] = [{**rules_of(text)[0], "path": "/etc/polkit-1/rules.d/40-operators.rules"}]

    assert of_kind(pool_rules(granted, gold={"gold_hypervisor_operators": ["oscar"]}), "keys")


def test_a_storage_daemon_of_its_own_cuts_nobody_from_machines():
    def modular(facts):
        no_rules(facts)
        facts["libvirt_daemons"]["mode"] = "modular"
        facts["libvirt_daemons"]["daemons"] = [
            {
                "name": "virtstoraged", "reachable": True, "conf": "/etc/libvirt/virtstoraged.conf", "in_force": True,
                "access_drivers": [], "sockets": [],
            }
        ]  # fmt: skip

    (keys,) = of_kind(pool_rules(modular, gold={"gold_hypervisor_operators": ["oscar"]}), "keys")
    assert keys["path"] == "/etc/libvirt/virtstoraged.conf"
    assert [entry["run"][-1] for entry in keys["then"]] == ["virtstoraged.service", "pool-list"]


def test_rules_of_somebody_else_are_for_a_person():
    def foreign(facts):
        facts["rbac"]["rules"] = [{**rules_of(grants(["oscar"]))[0], "path": "/etc/polkit-1/rules.d/10-images.rules"}]

    assert "10-images.rules grants changes of storage to oscar" in told(pool_rules(foreign))
    assert told(pool_rules(foreign, gold={"gold_image_admins": ["oscar"]})) == ""


# The record of who reached the library.


def audit(**found):
    def change(facts):
        facts["logging"]["audit"] = {
            "service": {"installed": True, "active": True, "enabled": True, "refuses_stop": True},
            "enabled": "1", "rules": [], "rules_configured": [], "plugins": [], **found,
        }  # fmt: skip

    return change


def test_pools_are_watched():
    (row,) = PLANS["kvm-11.2.8-audit"](situation(audit()))
    assert row["content"].endswith("-w /var/lib/libvirt/images -p rwa -k dwp-image-library\n")
    # Not augenrules: it would lock the rules where -e 2 is written and waits for the next start.
    (load,) = row["then"]
    assert load["run"][-2:] == ["dwp-image-library", "/etc/audit/rules.d/50-dwp-hypervisor-images.rules"]
    assert "auditctl -D -k" in load["run"][2] and "augenrules" not in load["run"][2]


def test_locked_rules_wait_for_the_next_start():
    (row,) = PLANS["kvm-11.2.8-audit"](situation(audit(enabled="2")))
    assert row["pending"] == "reboot" and row["then"] == []


def test_a_directory_is_not_watched_twice():
    other = ["-w /var/lib/libvirt -p rwa -k ours"]
    assert PLANS["kvm-11.2.8-audit"](situation(audit(rules=other, rules_configured=other))) == []


def test_rules_that_are_written_are_loaded():
    mine = ["-w /var/lib/libvirt/images -p rwa -k dwp-image-library"]
    rows = PLANS["kvm-11.2.8-audit"](situation(audit(rules_configured=mine)))
    assert kinds(rows) == ["file", "activate"]


def test_without_auditd_a_person_installs_it():
    rows = PLANS["kvm-11.2.8-audit"](situation(audit(service={"installed": False})))
    assert kinds(rows) == ["by_hand"] and "not installed" in told(rows)


# Transport.

ALL = ("ca-cert.pem", "client-cert.pem", "server-cert.pem")
KEYS = ("client-key.pem", "server-key.pem")


def certificates(*names, keys=KEYS, folder="/etc/pki/qemu", mode="0640", not_after=4000000000, problem=""):
    def change(facts):
        facts["storage"]["tls"] = [
            {
                "id": folder,
                "certificates": [
                    {"id": f"{folder}/{name}", "not_after": not_after, "problem": problem} for name in names
                ],
                "keys": [{"id": f"{folder}/{name}", "mode": mode, "uid": 0} for name in keys],
            }
        ]

    return change


TLS = {"gold_migration_transport": "tls", "gold_migration_peers": ["kvm2", "kvm3"]}
READY = {"migration_peers_ready": ["kvm3", "kvm2"]}


def migration(change=None, gold=None, options=None, **more):
    gold = TLS if gold is None else gold
    return PLANS["kvm-11.2.10-migration-tls"](situation(change, gold=gold, options=options, **more))


def test_tls_is_forced_once_everybody_has_certificates():
    (row,) = migration(certificates(*ALL), options=READY)
    assert row["values"] == {"migrate_tls_force": "1"} and row["pending"] == ""
    (row,) = migration(both(certificates(*ALL), conf(default_tls_x509_verify=0)), options=READY)
    assert row["values"] == {"migrate_tls_force": "1", "migrate_tls_x509_verify": "1"}


@pytest.mark.parametrize("transport", ["tls", "ssh"])
@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (None, "ca-cert.pem, server-cert.pem, server-key.pem, client-cert.pem, client-key.pem"),
        (certificates("ca-cert.pem", "server-cert.pem"), "client-cert.pem"),
        (certificates(*ALL, keys=("client-key.pem",)), "server-key.pem"),
        (certificates(*ALL, folder="/etc/pki/elsewhere"), "ca-cert.pem"),
        (
            both(certificates(*ALL), conf(migrate_tls_x509_cert_dir="/etc/pki/other")),
            "/etc/pki/other lacks ca-cert.pem",
        ),
    ],
)
def test_missing_certificates_refuse(transport, change, missing):
    with pytest.raises(Refusal, match=missing):
        migration(change, gold={**TLS, "gold_migration_transport": transport}, options=READY)


def test_libvirts_own_directory_of_migration_comes_first():
    assert of_kind(migration(certificates(*ALL, folder="/etc/pki/libvirt-migrate"), options=READY), "keys")


@pytest.mark.parametrize("found", [{"not_after": 1}, {"problem": "no certificate"}])
def test_certificates_of_no_use_refuse(found):
    with pytest.raises(Refusal, match="is of no use"):
        migration(certificates(*ALL, **found), options=READY)


def test_nothing_is_forced_before_every_peer_is_ready():
    rows = migration(certificates(*ALL), options={"migration_peers_ready": ["kvm2"]})
    assert kinds(rows) == ["by_hand"] and "these peers are not ready: kvm3" in told(rows)
    assert "these peers are not ready: kvm2, kvm3" in told(migration(certificates(*ALL)))


@pytest.mark.parametrize(
    ("gold", "options", "message"),
    [
        ({"gold_migration_peers": []}, None, "names nobody"),
        ({}, {"migration_peers_ready": ["kvm9"]}, "kvm9, which is not among"),
    ],
)
def test_peers_nobody_knows_refuse(gold, options, message):
    with pytest.raises(Refusal, match=message):
        migration(certificates(*ALL), gold={**TLS, **gold}, options=options)


def test_without_declared_migration_and_certificates_a_person_decides():
    rows = migration(gold={})
    assert kinds(rows) == ["by_hand"] and "forcing TLS would end every migration" in told(rows)
    assert of_kind(migration(certificates(*ALL), gold={}), "keys")


@pytest.mark.parametrize(("family", "group"), [("debian", "libvirt-qemu"), ("rhel", "qemu")])
def test_open_keys_are_closed_and_qemu_still_reads_them(family, group):
    rows = of_kind(migration(certificates(*ALL, mode="0644"), options=READY, family=family), "access")
    assert {(row["mode"], row["group"]) for row in rows} == {("0640", group)}


def nbd(**found):
    def change(facts):
        image = {**facts["storage"]["images"][0], "type": "network", "protocol": "nbd", "tls": "", "local": False}
        facts["storage"]["images"] = [{**image, "id": "nbd:filer", **found}]

    return change


def transport(change, **more):
    return PLANS["kvm-11.2.10-pool-transport"](situation(change, **more))


def test_nbd_takes_up_tls_where_this_host_has_certificates():
    (row,) = transport(both(nbd(), certificates(*ALL)))
    assert row["values"] == {"nbd_tls": "1"} and row["pending"] == "vm_power"


def test_nbd_without_certificates_would_lose_its_disk():
    rows = transport(nbd())
    assert set(kinds(rows)) == {"by_hand"} and "deploy ca-cert.pem, client-cert.pem, client-key.pem" in told(rows)


def test_a_source_that_switches_tls_off_is_for_a_person():
    rows = transport(both(nbd(tls="no"), certificates(*ALL)))
    assert kinds(rows) == ["by_hand"] and "nbd:filer" in told(rows)


def test_other_sources_are_for_a_person():
    rows = transport(nbd(protocol="iscsi"))
    assert kinds(rows) == ["by_hand"] and "iscsi does not encrypt" in told(rows)
