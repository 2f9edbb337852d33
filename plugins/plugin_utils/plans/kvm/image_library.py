# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches the images of virtual machines: on disk, through libvirt, and on record (11.2.8).

QEMU has to reach the disk of every machine, whoever owns the directory: nothing here takes others' search permission
from a directory, and one that loses an owner or a group by which QEMU passed gets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import audit_rules, image_transport, qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import polkit_policy as policy
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.image_library import (
    LOOKING,
    READ,
    SEARCH,
    STORAGE_ACTIONS,
    STORAGE_DAEMONS,
    WRITE,
    acl_entry_listed,
    watches,
)

RULES = "/etc/polkit-1/rules.d/50-dwp-hypervisor-images.rules"
AUDIT_RULES = "/etc/audit/rules.d/50-dwp-hypervisor-images.rules"
AUDIT_KEY = "dwp-image-library"
ACCOUNT = re.compile(r"^[A-Za-z_][A-Za-z0-9._@-]*$")


def path_acl(situation: Situation) -> list[Row]:
    """kvm-11.2.8-path-acl."""
    places = {place["id"]: place for place in situation.facts["storage"]["places"]}
    rows: list[Row] = []
    passable: list[str] = []
    for directory in situation.facts["storage"]["directories"]:
        if directory["exists"]:
            rows += _directory(situation, directory, places.get(directory["place"], {}))
            if _mode(directory, situation.gold) & SEARCH:
                passable.append(directory["id"].rstrip("/") + "/")
    for image in situation.facts["storage"]["images"]:
        if image["type"] == "file" and image["id"].startswith(tuple(passable)):
            rows += _image(situation, image, places.get(image["place"], {}))
    return rows


def _directory(situation: Situation, directory: Mapping[str, Any], place: Mapping[str, Any]) -> list[Row]:
    path, mode, gold = directory["id"], int(directory["mode"], 8), situation.gold
    wanted = _mode(directory, gold)
    strangers = {
        prefix + entry.rpartition(":")[0]
        for prefix, key in (("", "acl"), ("default:", "default_acl"))
        for entry in directory[key]
        if not acl_entry_listed(entry, gold)
    }
    if (wanted, directory["owner"]) == (mode, "root") and not strangers:
        return []
    if wanted >> 3 & 7 != mode >> 3 & 7 and directory["acl"]:
        # With an access list the group's part of the mode is the mask of every named entry.
        what = "give it the group root or gold_image_admin_group (chgrp), so that its access list stays whole"
        return [plan.by_hand(f"{path} belongs to the group {directory['group']} and has an access list: {what}")]
    if place.get("remote"):
        return [plan.by_hand(f"{path} is on another machine ({place['source']}): set its owner and mode there")]
    rows = []
    if strangers:
        rows.append(plan.access_list(path, remove=sorted(strangers)))
    if (wanted, directory["owner"]) != (mode, "root"):
        rows.append(plan.access(path, mode=f"{wanted:04o}", owner="root"))
    return rows


def _mode(directory: Mapping[str, Any], gold: Mapping[str, Any]) -> int:
    """The mode a pool's directory shall have. Nobody loses the permission to pass through it."""
    wanted = int(directory["mode"], 8) & ~(READ | WRITE)
    if directory["group"] not in ("root", gold["gold_image_admin_group"]):
        wanted &= ~((READ | WRITE) << 3)
    # The former owner may have been QEMU, which still has to reach the disks.
    return wanted if directory["owner"] == "root" else wanted | SEARCH


def _image(situation: Situation, image: Mapping[str, Any], place: Mapping[str, Any]) -> list[Row]:
    mode = int(image["mode"], 8)
    if not mode & (READ | WRITE):
        return []
    path, wanted = image["id"], mode & ~(READ | WRITE)
    used = sorted({use["of"] for use in image["uses"] if use["kind"] != "pool"})
    if place.get("remote"):
        return [plan.by_hand(f"{path} is on another machine ({place['source']}): chmod o-rw it there")]
    if used and qemu_conf.settings(situation).get("dynamic_ownership", 1) != 1:
        what = (
            f"QEMU may reach it as anybody else does ({', '.join(used[:3])} uses it): chown it to QEMU, then chmod o-rw"
        )
        return [plan.by_hand(f"{path}: dynamic_ownership is 0 in {qemu_conf.QEMU_CONF}, so {what}")]
    return [plan.access(path, mode=f"{wanted:04o}")]


def pool_rules(situation: Situation) -> list[Row]:
    """kvm-11.2.8-pool-rules: polkit is asked about storage, and grants it to image administrators only."""
    rows = _grants(situation) + _foreign_grants(situation)
    for daemon in situation.facts["libvirt_daemons"]["daemons"]:
        sockets = [str(socket["unit"]) for socket in daemon.get("sockets", [])]
        serves = daemon["name"] in STORAGE_DAEMONS or any(unit.startswith("virtstoraged") for unit in sockets)
        if not serves or daemon.get("reachable") is False:
            continue
        then = qemu_conf.take_up(situation, f"{daemon['name']}.service")
        if "polkit" not in daemon["access_drivers"]:
            _refuse_cut_operators(situation, daemon)
            rows.append(plan.keys(daemon["conf"], {"access_drivers": '[ "polkit" ]'}, syntax="libvirt", then=then))
        elif daemon["in_force"] is False:
            rows.append(plan.activate(then))
    return rows


def _refuse_cut_operators(situation: Situation, daemon: Mapping[str, Any]) -> None:
    """The access driver of a daemon that serves machines as well holds for them too: it grants nothing by itself."""
    operators = situation.gold["gold_hypervisor_operators"]
    serves_machines = daemon["name"] in ("libvirtd", "virtqemud")
    granted = any(
        answer.grants and answer.touches(policy.DOMAIN) for answer in policy.answers(situation.facts["rbac"]["rules"])
    )
    if operators and serves_machines and not granted:
        raise Refusal(
            f"access_drivers = [ polkit ] of {daemon['name']} would take every virtual machine from the operators "
            f"({', '.join(map(str, operators))}): no polkit rule grants them any; declare gold_rbac_matrix and enforce "
            f"access_control first"
        )


def _admins(gold: Mapping[str, Any]) -> list[str]:
    names = [str(name) for name in gold["gold_image_admins"]]
    return names + ([f"%{gold['gold_image_admin_group']}"] if gold["gold_image_admin_group"] else [])


def grants(admins: list[str]) -> str:
    """The rule file: whoever is named may do everything with pools and volumes. One rule each, easily read.

    :raises Refusal: a name that is no account's or group's.
    """
    text = "// dwp.hypervisor: who checks images in and out of the library (SS-009, 11.2.8).\n"
    for principal in admins:
        if not ACCOUNT.match(principal.lstrip("%")):
            raise Refusal(f"{principal!r} in gold_image_admins or gold_image_admin_group is no name of an account")
        name = json.dumps(principal.lstrip("%"))
        who = f"subject.isInGroup({name})" if principal.startswith("%") else f"subject.user == {name}"
        for prefix in STORAGE_ACTIONS:
            text += (
                "polkit.addRule(function(action, subject) {\n"
                f'    if (action.id.indexOf("{prefix}") == 0 && {who}) {{\n'
                "        return polkit.Result.YES;\n    }\n});\n"
            )
    return text


def _grants(situation: Situation) -> list[Row]:
    """A grant for each image administrator, unless the signed matrix says who may do what and does not name them."""
    admins = _admins(situation.gold)
    if not admins:
        return [plan.file(RULES, None)]
    entries = policy.matrix(situation.gold["gold_rbac_matrix"])
    outside = [
        name for name in admins if entries and not all(_in_matrix(name, prefix, entries) for prefix in STORAGE_ACTIONS)
    ]
    rows: list[Row] = []
    if outside:
        actions = ", ".join(prefix + "*" for prefix in STORAGE_ACTIONS)
        what = f"give them {actions} there, or take them from gold_image_admins"
        rows.append(plan.by_hand(f"gold_rbac_matrix grants no storage to {', '.join(outside)}: {what}"))
    inside = [name for name in admins if name not in outside]
    return [*rows, plan.file(RULES, grants(inside) if inside else None)]


def _in_matrix(principal: str, prefix: str, entries: list[dict[str, Any]]) -> bool:
    group = principal.startswith("%")
    names = (principal.lstrip("%"),)
    answer = policy.Answer(RULES, "yes", (prefix + "*",), () if group else names, names if group else (), {}, True)
    return any(policy.within(answer, entry) for entry in entries)


def _foreign_grants(situation: Situation) -> list[Row]:
    rules, gold = situation.facts["rbac"]["rules"], situation.gold
    allowed = set(_admins(gold))
    reviewed = policy.reviewed(rules, gold["gold_polkit_rule_files"])
    rows = []
    for answer in policy.answers(rules):
        changes = not answer.actions or any(not LOOKING.search(action) for action in answer.actions)
        touches = any(answer.touches(prefix) for prefix in STORAGE_ACTIONS)
        strangers = ", ".join(sorted(answer.principals - allowed)[:5]) or "everybody"
        if answer.grants and touches and changes and answer.path not in (*reviewed, RULES):
            if not answer.principals or answer.principals - allowed:
                what = "take that from the file, or name them in gold_image_admins"
                rows.append(plan.by_hand(f"{answer.path} grants changes of storage to {strangers}: {what}"))
    return rows


def audited(situation: Situation) -> list[Row]:
    """kvm-11.2.8-audit."""
    audit = situation.facts["logging"]["audit"]
    if not audit["service"]["installed"]:
        return [plan.by_hand("auditd is not installed: install it (package auditd or audit), then run this again")]
    wanted, rows = [], []
    for directory in situation.facts["storage"]["directories"]:
        path = directory["id"]
        # A second watch on the same directory is an error of auditctl, which then loads none of the rules behind it.
        others = [rule for rule in audit["rules_configured"] if watches(rule, path) and AUDIT_KEY not in rule]
        if directory["exists"] and not others:
            if re.search(r"\s", path):
                rows.append(
                    plan.by_hand(f"the audit system cannot watch {path!r}: move the pool to a path without blanks")
                )
            else:
                wanted.append(path)
    if not wanted:
        return rows
    text = "".join(f"-w {path} -p rwa -k {AUDIT_KEY}\n" for path in wanted)
    # Rules that are locked until the next start of the host are read then.
    locked = audit["enabled"] == "2"
    load = [] if locked else [audit_rules.load(AUDIT_KEY, AUDIT_RULES)]
    text = "## dwp.hypervisor: access to images of virtual machines (SS-009, 11.2.8)\n" + text
    rows.append(plan.file(AUDIT_RULES, text, mode="0640", then=load, pending="reboot" if locked else ""))
    loaded = all(any(watches(rule, path) for rule in audit["rules"]) for path in wanted)
    configured = all(any(watches(rule, path) for rule in audit["rules_configured"]) for path in wanted)
    if configured and not loaded and not locked:
        rows.append(plan.activate(load))
    return rows


PLANS: dict[str, Planner] = {
    "kvm-11.2.8-path-acl": path_acl,
    "kvm-11.2.8-pool-rules": pool_rules,
    "kvm-11.2.8-audit": audited,
    **image_transport.PLANS,
}
