# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on multi-factor authentication (11.4.3).

An ssh login counts as multi-factor in one of four ways: two kinds of factor that sshd itself asks for, a security key
that verifies its user (FIDO), a certificate of the site's authority, or an address that only a bastion has. The last
two need the declared provider, and their other half (who issues, who passes the bastion) is an attestation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import mfa_pam
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.mfa_exempt import Exemptions, exemptions_bounded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings, texts

# What each method of sshd_config(5) AuthenticationMethods proves. hostbased and GSSAPI prove a machine or an earlier
# login, not a second factor of the person.
KINDS = {"publickey": "key", "password": "password", "keyboard-interactive": "pam"}
OTHER_WAYS = (
    "passwordauthentication",
    "kbdinteractiveauthentication",
    "hostbasedauthentication",
    "gssapiauthentication",
)
CERTIFICATE = "-cert-v01@openssh.com"
EXPECTED = "two kinds of factor on every connection"
# A bastion is a handful of machines: wider networks hold more than bastions.
NARROWEST = {4: 28, 6: 120}


def ssh_second_factor(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`contexts`: what sshd answers per connection; `user_ca`: [{path, keys}]. No connection gets in by one factor."""
    bastions = gold["gold_mfa_bastions"]
    wide = [entry for entry in bastions if not _narrow(entry)]
    if wide:
        return o.failed(wide, EXPECTED, f"gold_mfa_bastions: {wide[0]} is not an address or a network of a few")
    items = []
    for context in mappings(facts["contexts"], "contexts"):
        verdict = guarded(_connection, context, facts["user_ca"], gold)
        items.append(o.item(need(context, "id"), verdict))
    if items and all(item.status == o.NOT_APPLICABLE for item in items):
        return o.unknown("only connections that are refused were examined")
    return o.combine(items, empty=o.unknown("no connection was examined"), expected=EXPECTED)


def _connection(context: Mapping[str, Any], user_ca: Any, gold: Mapping[str, Any]) -> Outcome:
    settings = need(context, "settings")
    user, address = need(context, "user"), need(context, "address")
    if _refused_root(context, settings):
        return o.not_applicable("root is refused")
    if _exempt(context, settings, gold):
        return o.passed("exempt, by key only", EXPECTED)
    way = way_in(settings, user_ca, gold)
    if way:
        return o.passed(way, EXPECTED)
    if Exemptions(gold["gold_mfa_exempt"]).names(user) and not _admitted(
        user, address, texts(need(settings, "allowusers"), "allowusers")
    ):
        return o.not_applicable(f"AllowUsers refuses {user} from {address}")
    return _two_factors(settings, gold["gold_mfa_allow_password_second"])


def _refused_root(context: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return context.get("user") == "root" and need(settings, "permitrootlogin") == "no"


def _exempt(context: Mapping[str, Any], settings: Mapping[str, Any], gold: Mapping[str, Any]) -> bool:
    covered = Exemptions(gold["gold_mfa_exempt"]).covers(need(context, "user"), need(context, "address"))
    return covered and key_only(settings)


def way_in(settings: Mapping[str, Any], user_ca: Any, gold: Mapping[str, Any]) -> str:
    """How a connection is multi-factor without PAM: by security key, certificate or bastion; "" when it is not."""
    if security_keys_only(settings):
        return "only security keys that verify their user"
    if gold["gold_mfa_provider"] == "ssh_ca" and certificates_only(settings, user_ca):
        return "only certificates of the site's authority"
    if gold["gold_mfa_provider"] == "bastion" and from_bastions_only(settings, gold["gold_mfa_bastions"]):
        return "only connections from a bastion"
    return ""


def key_only(settings: Mapping[str, Any]) -> bool:
    """Whether nothing but a key (or certificate) is accepted."""
    methods = texts(need(settings, "authenticationmethods"), "authenticationmethods")
    if methods and all(_methods(alternative) == ["publickey"] for alternative in methods):
        return True
    return methods == ["any"] and all(need(settings, keyword) in ("no", "unsupported") for keyword in OTHER_WAYS)


def security_keys_only(settings: Mapping[str, Any]) -> bool:
    """The FIDO variant. Default key algorithms include sk-*, so verify-required alone lets ordinary keys in."""
    accepted = texts(need(settings, "pubkeyacceptedalgorithms"), "pubkeyacceptedalgorithms")
    hardware = bool(accepted) and all(name.startswith(("sk-", "webauthn-sk-")) for name in accepted)
    return (
        hardware
        and "verify-required" in texts(need(settings, "pubkeyauthoptions"), "pubkeyauthoptions")
        and key_only(settings)
    )


def certificates_only(settings: Mapping[str, Any], user_ca: Any) -> bool:
    """Certificates of TrustedUserCAKeys and no others: a cert-authority line in a user's own file would be another."""
    accepted = texts(need(settings, "pubkeyacceptedalgorithms"), "pubkeyacceptedalgorithms")
    path = need(settings, "trustedusercakeys")
    if (
        path == "none"
        or not accepted
        or not all(name.endswith(CERTIFICATE) for name in accepted)
        or not key_only(settings)
    ):
        return False
    if (
        texts(need(settings, "authorizedkeysfile"), "authorizedkeysfile") != ["none"]
        or need(settings, "authorizedkeyscommand") != "none"
    ):
        return False
    keys = next((need(entry, "keys") for entry in mappings(user_ca, "user_ca") if entry.get("path") == path), None)
    if not isinstance(keys, int):
        raise MissingFact(f"{path} was not read")
    return keys > 0


def from_bastions_only(settings: Mapping[str, Any], bastions: list[str]) -> bool:
    """Every entry of AllowUsers is user@address inside a declared bastion."""
    allowed = texts(need(settings, "allowusers"), "allowusers")
    return bool(allowed) and all(_inside(pattern.partition("@")[2], bastions) for pattern in allowed)


def _two_factors(settings: Mapping[str, Any], password_counts: bool) -> Outcome:
    alternatives = texts(need(settings, "authenticationmethods"), "authenticationmethods")
    for alternative in alternatives or ["any"]:
        methods = _methods(alternative)
        kinds = {KINDS[method] for method in methods if method in KINDS}
        if not password_counts:
            kinds.discard("password")
        if len(kinds) < 2:
            return o.failed(alternatives, EXPECTED, f"{alternative} is one factor")
        if "pam" in kinds and need(settings, "usepam") != "yes":
            return o.failed(alternatives, EXPECTED, "keyboard-interactive asks nothing of PAM: UsePAM is off")
        if "pam" in kinds and need(settings, "kbdinteractiveauthentication") != "yes":
            return o.failed(
                alternatives, EXPECTED, f"{alternative} cannot be used: KbdInteractiveAuthentication is off"
            )
    return o.passed(alternatives, EXPECTED)


def _methods(alternative: str) -> list[str]:
    """publickey,keyboard-interactive:pam -> [publickey, keyboard-interactive]; each method counts once."""
    return list(dict.fromkeys(method.partition(":")[0] for method in alternative.split(",")))


def _admitted(user: str, address: str, patterns: list[str]) -> bool:
    """Whether AllowUsers lets the account in from the address; a pattern that cannot be judged counts as if it did."""
    for pattern in patterns:
        name, at, source = pattern.partition("@")
        if name == user or "*" in name or "?" in name:
            if not at or "*" in source or "?" in source or _inside(address, [source]):
                return True
    return not patterns


def _inside(source: str, networks: list[str]) -> bool:
    try:
        inner = ipaddress.ip_network(str(source), strict=False)
    except ValueError:
        return False
    for entry in networks:
        try:
            outer = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            continue
        if inner.version == outer.version and inner.subnet_of(outer):  # type: ignore[arg-type]
            return True
    return False


def _narrow(entry: Any) -> bool:
    try:
        network = ipaddress.ip_network(str(entry), strict=False)
    except ValueError:
        return False
    return network.prefixlen >= NARROWEST[network.version]


def pam_entry(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`pam`, `contexts`, `user_ca`: what PAM asks of somebody who comes in over ssh and becomes root with sudo."""
    wanted = ("sudo", "sudo-i") if gold["gold_mfa_allow_password_second"] else ("sshd", "sudo", "sudo-i")
    return _asked_by_pam(facts, gold, wanted)


def pam_escalation(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The same of su and of polkit, which pkexec, run0 and systemctl ask."""
    return _asked_by_pam(facts, gold, ("su", "su-l", "polkit-1"))


def _asked_by_pam(facts: Mapping[str, Any], gold: Mapping[str, Any], wanted: tuple[str, ...]) -> Outcome:
    """Not applicable where the facts show that every ssh login is multi-factor before PAM is asked (amendments.md)."""
    way = _common_way(facts, gold)
    if way:
        return o.not_applicable(f"ssh admits {way}; PAM has no second factor to ask for", {"ssh": way})
    return mfa_pam.services(facts["pam"], wanted, gold)


def _common_way(facts: Mapping[str, Any], gold: Mapping[str, Any]) -> str:
    """The one way by which every connection is multi-factor without PAM, or ""."""
    found = set()
    for context in mappings(facts["contexts"], "contexts"):
        settings = need(context, "settings")
        if _refused_root(context, settings) or _exempt(context, settings, gold):
            continue
        found.add(way_in(settings, facts["user_ca"], gold))
    return found.pop() if len(found) == 1 else ""


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "ssh_second_factor": ssh_second_factor,
    "pam_entry": pam_entry,
    "pam_escalation": pam_escalation,
    "exemptions_bounded": exemptions_bounded,
    **mfa_pam.PREDICATES,
}
