# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two factors on every way an administrator takes into a KVM host (11.4.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import people, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import mfa_pam
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.ssh_server import activation, refuse_unread
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.mfa_exempt import (
    CONSOLE,
    Exemptions,
    record_fault,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.pam_verdict import NOT_ENFORCED

# Sorts before 00-dwp-hypervisor.conf in every locale: of two Match blocks that say the same keyword the first counts.
DROP_IN = "/etc/ssh/sshd_config.d/00-dwp-factors.conf"
SECURITY_KEYS = ("sk-", "webauthn-sk-")
# Key types as authorised keys name them, and the algorithms a server may accept them with.
RSA = ("rsa-sha2-256", "rsa-sha2-512")
PASSWORD_MODULES = ("pam_unix.so", "pam_sss.so", "pam_ldap.so", "pam_winbind.so", "pam_krb5.so")
HEAD = "# Second factor of measure 11.4.3, written by dwp.hypervisor (role mfa). Changes here are replaced.\n"


def ssh_methods(situation: Situation) -> list[Row]:
    """kvm-11.4.3-ssh-methods."""
    provider = situation.gold["gold_mfa_provider"]
    if provider != "host":
        return [plan.by_hand(_ELSEWHERE[provider])]
    refuse_unread(situation)
    _exemptions(situation)
    _connecting_account(situation)
    if situation.gold["gold_mfa_variant"] == "fido2":
        _enrolled_security_keys(situation)
        text = _security_keys(situation)
    else:
        _enrolled_factor(situation)
        _passwords_for_ssh(situation)
        text = _key_and_pam(situation)
    return [plan.file(DROP_IN, text, mode="0600", then=activation(situation))]


_ELSEWHERE = {
    "ssh_ca": (
        "gold_mfa_provider is ssh_ca: the authority's public key is the site's. Write to "
        f"{DROP_IN}: TrustedUserCAKeys with its path, AuthorizedKeysFile none, AuthenticationMethods publickey and "
        "PubkeyAcceptedAlgorithms with the -cert-v01@openssh.com names; test with sshd -t, log in with a certificate "
        "in a "
        "second session, then end the first"
    ),
    "bastion": (
        "gold_mfa_provider is bastion: every AllowUsers entry has to be account@address with an address of "
        "gold_mfa_bastions; set it in sshd_config.d, test with sshd -t, and log in through the bastion in a second "
        "session "
        "before the first ends"
    ),
}


def _key_and_pam(situation: Situation) -> str:
    exempt = ["AuthenticationMethods publickey", "KbdInteractiveAuthentication no", "PasswordAuthentication no"]
    everybody = ["AuthenticationMethods publickey,keyboard-interactive", "KbdInteractiveAuthentication yes"]
    return HEAD + "UsePAM yes\n" + _blocks(situation, exempt, everybody)


def _security_keys(situation: Situation) -> str:
    ours, others = _algorithms(situation)
    exempt = [
        "AuthenticationMethods publickey",
        f"PubkeyAcceptedAlgorithms {','.join(others)}",
        "PubkeyAuthOptions none",
    ]
    everybody = [
        "AuthenticationMethods publickey",
        f"PubkeyAcceptedAlgorithms {','.join(ours)}",
        "PubkeyAuthOptions verify-required",
    ]
    return HEAD + _blocks(situation, exempt, everybody)


def _algorithms(situation: Situation) -> tuple[list[str], list[str]]:
    """(security key algorithms, all others) that gold allows and some connection of the server accepts now."""
    accepted: set[str] = set()
    for context in situation.facts["remote_access"]["ssh"]["contexts"]:
        accepted.update(context["settings"]["pubkeyacceptedalgorithms"])
    allowed = [str(name) for name in situation.gold["gold_ssh_key_algorithms"] if name in accepted]
    ours = [name for name in allowed if name.startswith(SECURITY_KEYS) and "-cert-" not in name]
    if not ours:
        raise Refusal(
            "sshd accepts none of the security key algorithms of gold_ssh_key_algorithms: nobody could log in; "
            "OpenSSH 8.2 or later with sk-ssh-ed25519@openssh.com or sk-ecdsa-sha2-nistp256@openssh.com is needed"
        )
    return ours, [name for name in allowed if not name.startswith(SECURITY_KEYS)]


def _blocks(situation: Situation, exempt: list[str], everybody: list[str]) -> str:
    """A block for each exempt account and its sources, then one for everybody: the first that matches counts."""
    text = ""
    for record in situation.gold["gold_mfa_exempt"]:
        sources = [str(ipaddress.ip_network(entry, strict=False)) for entry in record["sources"] if entry != CONSOLE]
        if sources:
            text += f"# Exception {record['exception']}\nMatch User {record['account']} Address {','.join(sources)}\n"
            text += "".join(f"    {line}\n" for line in exempt)
    return text + "Match all\n" + "".join(f"    {line}\n" for line in everybody)


def _exemptions(situation: Situation) -> None:
    faults = [fault for record in situation.gold["gold_mfa_exempt"] if (fault := record_fault(record))]
    if faults:
        raise Refusal(f"gold_mfa_exempt: {faults[0]}; each record is {{account, sources, exception}}")
    for record in situation.gold["gold_mfa_exempt"]:
        if any(letter in f"{record['account']}{record['exception']}" for letter in ' \t\n,!*?#"'):
            raise Refusal(
                f"gold_mfa_exempt: {record['account']!r} or its exception id has a letter sshd reads as something else"
            )


def _connecting_account(situation: Situation) -> None:
    """Automation cannot type a code: it has to be exempt, from the address it comes from, and by a key."""
    if situation.source is None:
        return
    if not Exemptions(situation.gold["gold_mfa_exempt"]).covers(situation.account, situation.source):
        raise Refusal(
            f"{situation.account}, the account this run logs in as from {situation.source}, would be asked for a "
            "second "
            f"factor and locked out; found {_listed(situation.gold['gold_mfa_exempt'])} in gold_mfa_exempt; register "
            "an "
            f"exception and add {{account: {situation.account}, sources: [{situation.source}], exception: <its id>}}"
        )
    if situation.gold["gold_mfa_variant"] != "fido2":
        return
    found = people.accounts(situation).get(situation.account, {}).get("key_types")
    _ours, others = _algorithms(situation)
    if found and not any(kind in others or (kind == "ssh-rsa" and set(RSA) & set(others)) for kind in found):
        raise Refusal(
            f"{situation.account} has keys of type {', '.join(found)}, and gold_ssh_key_algorithms would leave it "
            f"{', '.join(others) or 'none'}: this run could not come back"
        )


def _listed(records: list[dict[str, Any]]) -> str:
    return (
        ", ".join(f"{record['account']} from {'/'.join(map(str, record['sources']))}" for record in records) or "nobody"
    )


def _humans(situation: Situation) -> list[str]:
    """Everybody who has to have a factor: named people and break-glass accounts, without those that are exempt.

    Names this host has no account for cannot log in, so they need none, unless the directory brings them.
    """
    gold, known = situation.gold, people.accounts(situation)
    exempt = Exemptions(gold["gold_mfa_exempt"])
    automation = set(map(str, gold["gold_automation_accounts"]))
    names = [*people.administrators(situation), *gold["gold_hypervisor_operators"], *gold["gold_remote_admins"]]
    names += gold["gold_breakglass_accounts"]
    directory = set(people.directory_people(situation))
    found = []
    for name in dict.fromkeys(map(str, names)):
        able = known[name]["usable"] is not False if name in known else name in directory
        if able and name not in automation and not exempt.names(name):
            found.append(name)
    return found


def _refuse_missing(situation: Situation, enrolled: Collection[str], what: str, where: str) -> None:
    people.two_people(situation)
    missing = [name for name in _humans(situation) if name not in enrolled]
    if missing:
        raise Refusal(
            f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} not enrolled {what}, and could not log "
            "in any "
            f"more; looked for in {where}; enrol them (docs/mfa.md), take them off the list, or exempt a break-glass "
            "account at the console"
        )
    able = [name for name in people.administrators(situation) if name in enrolled]
    if len(able) < people.PEOPLE:
        raise Refusal(
            f"only {', '.join(able) or 'nobody'} of gold_hypervisor_admins has enrolled {what} (looked for in "
            f"{where}), "
            f"and {people.PEOPLE} have to"
        )


def _enrolled_security_keys(situation: Situation) -> None:
    enrolled, hidden = set(), []
    for name, account in people.accounts(situation).items():
        types = account.get("key_types")
        if types is None:
            hidden.append(name)
        elif any(kind.startswith(SECURITY_KEYS) for kind in types):
            enrolled.add(name)
    declared = set(map(str, situation.gold["gold_mfa_enrolled"]))
    unseen = set(hidden) | (declared - set(people.accounts(situation)))
    _refuse_missing(
        situation,
        enrolled | (declared & unseen),
        "a security key (sk-ssh-ed25519 or sk-ecdsa)",
        "the files of AuthorizedKeysFile, and in gold_mfa_enrolled for accounts whose keys the host cannot see",
    )


def factor(situation: Situation) -> tuple[str, str]:
    """(module, module with arguments) that PAM is to ask.

    :raises Refusal: it is not one that counts as a second factor, is not installed, or lets in who has not enrolled.
    """
    text = " ".join(str(situation.gold["gold_mfa_pam_factor"]).split())
    module = text.partition(" ")[0].rsplit("/", 1)[-1]
    allowed = [str(name) for name in situation.gold["gold_mfa_pam_modules"]]
    if module not in allowed:
        raise Refusal(
            f"gold_mfa_pam_factor: {module or 'nothing'} is none of gold_mfa_pam_modules ({', '.join(allowed)})"
        )
    lax = [word for word in text.split() if word in NOT_ENFORCED]
    if lax:
        raise Refusal(f"gold_mfa_pam_factor: {lax[0]} lets everybody in who has not enrolled; take it away")
    if any(letter in text for letter in "#\n\\"):
        raise Refusal("gold_mfa_pam_factor holds a letter that ends or continues a line of PAM")
    mfa_pam.installed(situation, module)
    return module, text


def _enrolled_factor(situation: Situation) -> None:
    module, text = factor(situation)
    known = people.accounts(situation)
    enrolled: set[str] = set()
    places = []
    named_place = {word.partition("=")[2] for word in text.split() if word.startswith(("usersfile=", "authfile="))}
    for entry in situation.facts["mfa"].get("enrolment") or []:
        if entry["module"] != module:
            continue
        if named_place and entry["place"] not in named_place:
            continue
        if "secret=" in text:
            continue
        enrolled.update(entry["accounts"])
        places.append(entry["place"])
    declared = set(map(str, situation.gold["gold_mfa_enrolled"]))
    # Where the host can see who is enrolled, a list cannot say otherwise; homes of the directory may not be there yet.
    unseen = declared if not places else {name for name in declared if known.get(name, {}).get("source") != "local"}
    where = " and ".join(places) if places else "gold_mfa_enrolled, as the host cannot see it"
    _refuse_missing(situation, enrolled | unseen, f"with {module}", where)


def _passwords_for_ssh(situation: Situation) -> None:
    """sshd's stack keeps asking for the password beside the code; who has none would be shut out."""
    stack = (situation.facts["mfa"]["pam"].get("sshd") or {}).get("lines") or []
    if not any(line["module"] in PASSWORD_MODULES for line in stack):
        return
    known = people.accounts(situation)
    without = [name for name in _humans(situation) if known.get(name, {}).get("password") == "locked"]
    if without:
        raise Refusal(
            f"{', '.join(without)} {'has' if len(without) == 1 else 'have'} no password on this host, and sshd's PAM "
            "stack "
            "asks for it beside the code: set one (passwd), or choose gold_mfa_variant fido2"
        )


def pam_second(situation: Situation) -> list[Row]:
    """kvm-11.4.3-pam-second."""
    wanted = ("sudo", "sudo-i") if situation.gold["gold_mfa_allow_password_second"] else ("sshd", "sudo", "sudo-i")
    return _by_ssh(situation) or _stacks(situation, wanted)


def escalation(situation: Situation) -> list[Row]:
    """kvm-11.4.3-escalation."""
    return _by_ssh(situation) or _stacks(situation, ("su", "su-l", "polkit-1"))


def _by_ssh(situation: Situation) -> list[Row]:
    """Where ssh admits only security keys, certificates or a bastion's addresses, PAM has no factor to ask for."""
    if situation.gold["gold_mfa_provider"] == "host" and situation.gold["gold_mfa_variant"] != "fido2":
        return []
    return ssh_methods(situation)


def console(situation: Situation) -> list[Row]:
    """kvm-11.4.3-console: sshd's security keys mean nothing there; pam_u2f.so asks for the same keys."""
    if _pam_variant(situation) or str(situation.gold["gold_mfa_pam_factor"]).startswith("pam_u2f.so"):
        return _stacks(situation, ("login",))
    exempt = Exemptions(situation.gold["gold_mfa_exempt"])
    able = [
        name
        for name, account in people.accounts(situation).items()
        if account.get("password") not in ("locked", None) and account.get("usable") and not exempt.at_console(name)
    ]
    if not able:
        return []
    return [
        plan.by_hand(
            f"{', '.join(able)} can log in at the console by password alone, and gold_mfa_variant "
            f"{situation.gold['gold_mfa_variant']} knows no factor there: lock the password of whoever logs in by key "
            "(passwd -l; sudo then needs another rule), declare break-glass accounts in gold_mfa_exempt with source "
            "console, or let gold_mfa_pam_factor be pam_u2f.so"
        )
    ]


def cockpit(situation: Situation) -> list[Row]:
    """kvm-11.4.3-cockpit: off where gold does not enable it, else behind the factor."""
    found = next(entry for entry in situation.facts["remote_access"]["protocols"] if entry["name"] == "cockpit")
    if not any(found[key] for key in ("enabled", "active", "listening")):
        return []
    if situation.gold["gold_remote_protocols"].get("cockpit", "disabled") != "enabled":
        return [plan.unit("cockpit.socket", enabled=False, active=False, masked=True)]
    if _pam_variant(situation):
        return _stacks(situation, ("cockpit",))
    return [
        plan.by_hand(
            "cockpit takes passwords, no security keys of ssh: disable it or choose a variant with a PAM module"
        )
    ]


def _pam_variant(situation: Situation) -> bool:
    return situation.gold["gold_mfa_variant"] != "fido2"


def _stacks(situation: Situation, services: tuple[str, ...]) -> list[Row]:
    _exemptions(situation)
    _enrolled_factor(situation)
    if not people.becomes_root_without_password(situation):
        raise Refusal(
            f"sudo asks {situation.account}, the account this run logs in as, for a password: once PAM asks for a "
            "code as "
            "well, the run could not become root half-way; give automation a rule of its own with NOPASSWD "
            f"({situation.account} ALL=(ALL:ALL) NOPASSWD: ALL, its password locked) before PAM is changed"
        )
    _module, text = factor(situation)
    exempt = Exemptions(situation.gold["gold_mfa_exempt"])
    return mfa_pam.rows(situation, services, text, [name for name in exempt.accounts() if exempt.at_console(name)])


PLANS: dict[str, Planner] = {
    "kvm-11.4.3-ssh-methods": ssh_methods,
    "kvm-11.4.3-pam-second": pam_second,
    "kvm-11.4.3-escalation": escalation,
    "kvm-11.4.3-console": console,
    "kvm-11.4.3-cockpit": cockpit,
}
