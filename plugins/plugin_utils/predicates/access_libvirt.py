# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on libvirt's access control: its driver, polkit's rules, its sockets (11.2.2, 11.2.3, 11.2.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import polkit_policy as policy
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_accounts import (
    by_name,
    members_of,
    named,
    only,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings, texts

# It forwards to the other daemons, which ask their own access driver (libvirt docs/daemons.rst).
FORWARDING = ("virtproxyd",)
NO_DAEMON = "no libvirt daemon can be reached on this host, so none was judged"
WRITABLE_BY_OTHERS = 0o022
BY_EVERYBODY = 0o007


def _reachable(daemons: Any, forwarding: bool = True) -> list[Mapping[str, Any]]:
    """The daemons that a client can reach."""
    found = [
        daemon for daemon in mappings(daemons, "libvirt_daemons.daemons") if need(daemon, "reachable") is not False
    ]
    return [daemon for daemon in found if forwarding or need(daemon, "name") not in FORWARDING]


def access_driver(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every daemon has a configuration of its own (P7), and the default is that whoever connects may do everything."""
    items = []
    for daemon in _reachable(facts["daemons"], forwarding=False):
        items.append(o.item(str(need(daemon, "name")), guarded(partial(_driver, daemon))))
    return o.combine(
        items, empty=o.unknown(NO_DAEMON), expected="access_drivers holds polkit in every daemon, and it is in force"
    )


def _driver(daemon: Mapping[str, Any]) -> Outcome:
    drivers = texts(need(daemon, "access_drivers", what=daemon.get("name", "")), "access_drivers")
    conf = need(daemon, "conf")
    if "polkit" not in drivers:
        return o.failed(
            drivers or "none", None, f"{conf} sets no access driver polkit: whoever connects may call everything"
        )
    if need(daemon, "in_force", what=daemon.get("name", "")) is not True:
        return o.failed(drivers, None, f"not in force: the daemon was started before {conf} was changed")
    return o.passed(drivers)


def deny_capability(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """libvirt asks polkit about each object, and polkit's rules can tell one object from another (0.106 and later)."""
    driver = access_driver({"daemons": facts["daemons"]}, gold)
    polkit = guarded(partial(_javascript, facts))
    items = driver.items or [o.item("libvirt", driver)]
    return o.combine(
        [*items, o.item("polkit", polkit)], empty=driver, expected="polkit 0.106 or later, asked by every daemon"
    )


def _javascript(polkit: Mapping[str, Any]) -> Outcome:
    version = need(polkit, "version", what="polkit")
    if not version:
        return o.failed("absent", None, "polkit is not installed")
    if need(polkit, "javascript", what="polkit") is not True:
        return o.failed(version, None, f"polkit {version} matches users and actions only, no objects")
    return o.passed(version)


def policy_deployed(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The declared matrix is what polkit's rules say: nothing of it is missing, and nobody is granted more."""
    expected = "the rules grant what gold_rbac_matrix declares, and nothing else"
    if not gold["gold_rbac_matrix"]:
        return o.failed([], expected, "gold_rbac_matrix declares nothing: who may do what is not decided")
    try:
        entries = policy.matrix(gold["gold_rbac_matrix"])
    except ValueError as error:
        return o.failed(gold["gold_rbac_matrix"], expected, str(error))
    found = policy.answers(facts["rules"])
    listed = policy.reviewed(facts["rules"], gold["gold_polkit_rule_files"])
    items = [o.item("polkit", guarded(partial(_polkit_in_force, facts["polkit"])))]
    items += [o.item(str(need(rule, "path")), _owned_by_root(rule)) for rule in mappings(facts["rules"], "rbac.rules")]
    items += [
        _not_more(path, found, entries, listed)
        for path in dict.fromkeys(a.path for a in found if a.grants and a.touches(policy.API))
    ]
    items += [_not_less(entry, found, listed) for entry in entries]
    return o.combine(items, empty=o.unknown("no rule was read"), expected=expected)


def _polkit_in_force(polkit: Mapping[str, Any]) -> Outcome:
    found = _javascript(polkit)
    if found.status == o.PASS and need(polkit, "in_force", what="polkit") is not True:
        return o.failed(
            need(polkit, "newest"),
            None,
            "not in force: polkitd was started before its rules changed, and no reload is on record",
        )
    return found


def _owned_by_root(rule: Mapping[str, Any]) -> Outcome:
    mode = int(str(need(rule, "mode")), 8)
    if need(rule, "uid") != 0 or mode & WRITABLE_BY_OTHERS:
        return o.failed(
            f"{rule['mode']}, uid {rule['uid']}", None, "somebody other than root can change this rule file"
        )
    return o.passed(rule["mode"])


def _not_more(path: str, found: list[policy.Answer], entries: list[dict[str, Any]], listed: set[str]) -> Outcome:
    if path in listed:
        return o.item(path, o.passed("reviewed"))
    extra = [
        a
        for a in found
        if a.path == path and a.grants and a.touches(policy.API) and not any(policy.within(a, e) for e in entries)
    ]
    if not extra:
        return o.item(path, o.passed("as declared"))
    actual = {
        "result": extra[0].result,
        "actions": list(extra[0].actions),
        "for": sorted(extra[0].principals) or "everybody",
    }
    message = "can grant access to libvirt beyond gold_rbac_matrix and is not among the reviewed rule files"
    return o.item(path, o.unknown(message, actual))


def _not_less(entry: dict[str, Any], found: list[policy.Answer], listed: set[str]) -> Outcome:
    label = f"{entry['principal']}: {', '.join(entry['actions'])[:80]}"
    if any(policy.realises(answer, entry) for answer in found):
        return o.item(label, o.passed("granted"))
    opaque = sorted({answer.path for answer in found if answer.path in listed and not answer.certain})
    if opaque:
        return o.item(label, o.unknown(f"whether {opaque[0]} grants it cannot be read from the file"))
    return o.item(label, o.failed("no rule", None, "declared in gold_rbac_matrix, and no rule grants it"))


def no_blanket_group(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A read-write connection is as good as root, until the access driver limits what it may do."""
    limited = facts["driver"] == "polkit"
    allowed = named(gold, "gold_hypervisor_admins") | (named(gold, "gold_hypervisor_operators") if limited else set())
    accounts = by_name(facts["accounts"])
    groups = {"libvirt": "libvirt"} if "libvirt" in facts["groups"] else {}
    items = []
    for answer in policy.answers(facts["rules"]):
        if not answer.grants:
            continue
        if not answer.principals and (answer.touches(policy.CONNECT) or answer.touches(policy.API)):
            items.append(o.item(answer.path, _everybody(answer, limited)))
        if not answer.touches(policy.CONNECT):
            # Single calls on single objects: 11.2.2-polkit-rules compares those with the matrix.
            continue
        groups.update(dict.fromkeys(answer.groups, answer.path))
        items += [o.item(f"{answer.path}: {user}", _one(user, accounts, allowed)) for user in answer.users]
    for group, where in sorted(groups.items()):
        if group not in facts["groups"]:
            items.append(o.item(f"{where}: %{group}", o.unknown("the members of this group are not known on the host")))
            continue
        members = members_of(facts["groups"], group)
        items += [o.item(f"%{group}: {name}", guarded(partial(_one, name, accounts, allowed))) for name in members]
        if not members:
            items.append(o.item(f"%{group}", o.passed([], None, "has no member")))
    empty = o.not_applicable("there is no group libvirt, and no rule that grants a connection")
    return o.combine(items, empty=empty, expected=only(allowed))


def _everybody(answer: policy.Answer, limited: bool) -> Outcome:
    actions = ", ".join(answer.actions)[:120]
    if answer.certain and not (limited and not answer.touches(policy.API)):
        return o.failed(actions, None, f"grants {actions} to everybody")
    return o.unknown(f"can grant {actions}, and for whom cannot be read from the file", actions)


def _one(name: str, accounts: Mapping[str, Mapping[str, Any]], allowed: set[str]) -> Outcome:
    if name in allowed or name == "root":
        return o.passed(name)
    account = accounts.get(name)
    if account is not None:
        human = need(account, "human", what=name)
        if human is False:
            return o.passed("service account", None, "a service account")
    return o.failed(name, None, "may connect read-write to libvirt and is not authorised to")


def identity_available(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The access driver knows a client by its process on the UNIX socket; the network has none to know (P8)."""
    items = []
    for daemon in _reachable(facts["daemons"]):
        for kind in ("tcp", "tls"):
            if _listens(daemon, kind):
                test = partial(_network, daemon, kind, gold)
                items.append(o.item(f"{need(daemon, 'name')} {kind}", guarded(test)))
        if not items or not items[-1].id.startswith(str(need(daemon, "name"))):
            items.append(o.item(str(need(daemon, "name")), o.passed("UNIX socket only")))
    expected = "no network socket, or TLS for named peers when gold_migration_transport is tls"
    return o.combine(items, empty=o.unknown(NO_DAEMON), expected=expected)


def _listens(daemon: Mapping[str, Any], kind: str) -> bool:
    sockets = [socket for socket in mappings(need(daemon, "sockets"), "sockets") if need(socket, "kind") == kind]
    if any(need(socket, "active") is True for socket in sockets):
        return True
    # listen_tls and listen_tcp mean something only with --listen, never under socket activation (P7).
    return need(daemon, "listen_argument") is True and str(need(daemon, f"listen_{kind}")) == "1"


def _network(daemon: Mapping[str, Any], kind: str, gold: Mapping[str, Any]) -> Outcome:
    if kind == "tcp":
        return o.failed("listens", None, "libvirt listens on plain TCP")
    if gold["gold_migration_transport"] != "tls":
        transport = gold["gold_migration_transport"]
        return o.failed("listens", None, f"libvirt listens on TLS, and gold_migration_transport is {transport}")
    peers = set(map(str, gold["gold_migration_peers"]))
    if not peers:
        return o.failed("listens", None, "libvirt listens on TLS, and gold_migration_peers names nobody")
    if need(daemon, "tls_no_verify_certificate") not in (0, "0"):
        return o.failed("listens", None, "client certificates are not verified")
    names = texts(need(daemon, "tls_allowed_dn_list"), "tls_allowed_dn_list")
    if not names:
        return o.failed([], None, "every certificate of the authority is let in: tls_allowed_dn_list is empty")
    strangers = [name for name in names if not _common_names(name) or not _common_names(name) <= peers]
    if strangers:
        return o.failed(
            strangers, None, f"tls_allowed_dn_list lets in {strangers[0]}, which is no peer of gold_migration_peers"
        )
    if need(daemon, "in_force") is not True:
        return o.failed(names, None, "not in force: the daemon was started before its configuration was changed")
    return o.passed(names)


def _common_names(name: str) -> set[str]:
    return set(re.findall(r"(?:^|,)\s*CN=([^,]+)", name))


def _open_to_all(socket: Mapping[str, Any]) -> bool:
    mode = str(need(socket, "mode", what=str(socket.get("unit"))))
    if not re.fullmatch(r"[0-7]{3,4}", mode):
        raise MissingFact(f"mode of {socket.get('unit')} was not read")
    return bool(int(mode, 8) & BY_EVERYBODY) or need(socket, "group") not in ("root", "libvirt")


def mgmt_socket_restricted(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    expected = "auth_unix_rw polkit, or a socket of root and libvirt alone"
    return _sockets(facts["daemons"], "rw", _authenticated, expected)


def readonly_socket_restricted(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """polkit alone restricts nothing here: libvirt's policy of org.libvirt.unix.monitor lets every local user read."""
    managed = any(
        answer.result in ("no", "admin")
        and answer.certain
        and not answer.principals
        and answer.touches("org.libvirt.unix.monitor")
        for answer in policy.answers(facts["rules"])
    )
    expected = "a socket of root and libvirt alone, or a rule that refuses org.libvirt.unix.monitor"

    def test(daemon: Mapping[str, Any], socket: Mapping[str, Any]) -> Outcome:
        auth = need(daemon, "auth_unix_ro")
        if not _open_to_all(socket) or auth == "sasl" or (auth == "polkit" and managed):
            return o.passed(socket["mode"])
        return o.failed(
            f"{socket['mode']}, {auth}", None, "every local user can read the configuration of all virtual machines"
        )

    return _sockets(facts["daemons"], "ro", test, expected)


def _sockets(
    daemons: Any, kind: str, test: Callable[[Mapping[str, Any], Mapping[str, Any]], Outcome], expected: str
) -> Outcome:
    items = []
    for daemon in _reachable(daemons):
        for socket in mappings(need(daemon, "sockets"), "sockets"):
            # A socket file is there as long as the daemon or its unit is, whoever made it.
            if need(socket, "kind") == kind and need(socket, "mode", what=str(socket.get("unit"))) != "":
                items.append(o.item(str(need(socket, "unit")), guarded(partial(test, daemon, socket))))
    return o.combine(items, empty=o.unknown("no socket of a libvirt daemon was found"), expected=expected)


def _authenticated(daemon: Mapping[str, Any], socket: Mapping[str, Any]) -> Outcome:
    auth = need(daemon, "auth_unix_rw")
    if auth not in ("polkit", "sasl"):
        if _open_to_all(socket):
            return o.failed(
                f"{auth}, {socket['mode']} {socket['group']}", None, f"auth_unix_rw is {auth}, and others can connect"
            )
        return o.passed(f"{auth}, {socket['mode']} {socket['group']}")
    if need(daemon, "in_force") is not True:
        return o.failed(auth, None, f"not in force: the daemon was started before {need(daemon, 'conf')} was changed")
    return o.passed(auth)


def explicit_deny(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Each declared denial is a NO keyed on the UUID: whoever may define a virtual machine can choose its name."""
    wanted = [entry for entry in gold["gold_deny_map"] if isinstance(entry, Mapping)]
    if len(wanted) != len(gold["gold_deny_map"]) or any(
        not entry.get("principal") or not entry.get("domain_uuid") for entry in wanted
    ):
        return o.failed(gold["gold_deny_map"], None, "an entry of gold_deny_map lacks principal or domain_uuid")
    sensitive = {str(uuid).lower() for uuid in gold["gold_sensitive_vms"]}
    found = policy.answers(facts["rules"])
    if not wanted and not sensitive:
        return o.manual(
            "no virtual machine is declared sensitive: declare gold_deny_map, or sign that nobody has to be denied any"
        )
    items = []
    for entry in wanted:
        principal, uuid = str(entry["principal"]), str(entry["domain_uuid"])
        if any(policy.denies(answer, principal, uuid) for answer in found):
            outcome = o.passed("denied")
        else:
            outcome = o.failed(
                "no rule", None, "no rule answers NO to every action of this principal, keyed on domain_uuid"
            )
        items.append(o.item(f"{principal} on {uuid}", outcome))
    for uuid in sorted(sensitive - {str(entry["domain_uuid"]).lower() for entry in wanted}):
        items.append(
            o.item(uuid, o.failed("nobody", None, "declared sensitive, and gold_deny_map denies it to nobody"))
        )
    return o.combine(
        items, empty=o.manual("nothing is declared"), expected="polkit.Result.NO keyed on domain_uuid for each entry"
    )


def deny_precedes_allow(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The first answer is final (polkit(8)), so a denial behind a grant may never be asked."""
    found = [answer for answer in policy.answers(facts["rules"]) if answer.touches(policy.API)]
    denials = [number for number, answer in enumerate(found) if answer.result == "no"]
    if not denials:
        if gold["gold_deny_map"] or gold["gold_sensitive_vms"]:
            return o.failed([], "denials before grants", "denials are declared, and no rule denies anything")
        return o.not_applicable("no polkit rule denies anything of libvirt, so there is no order to keep")
    early = [answer for answer in found[: denials[-1]] if answer.grants]
    expected = "every file that denies sorts before every file that can grant"
    actual = [f"{answer.path}: {answer.result}" for answer in found][:20]
    certain = [answer for answer in early if answer.result != "unknown"]
    if certain:
        return o.failed(actual, expected, f"{certain[0].path} can grant before {found[denials[-1]].path} denies")
    if early:
        return o.unknown(
            f"{early[0].path} cannot be read in full and comes before {found[denials[-1]].path}", actual, expected
        )
    return o.passed(actual, expected)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "access_driver": access_driver,
    "deny_capability": deny_capability,
    "policy_deployed": policy_deployed,
    "no_blanket_group": no_blanket_group,
    "identity_available": identity_available,
    "mgmt_socket_restricted": mgmt_socket_restricted,
    "readonly_socket_restricted": readonly_socket_restricted,
    "explicit_deny": explicit_deny,
    "deny_precedes_allow": deny_precedes_allow,
}
