# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of sshd's keywords a gold configuration may speak of, and their judgement (11.4.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

# Words from the strictest to the weakest that the standard allows; a host may be stricter than gold, gold not weaker
# than the last word.
WORDS: dict[str, tuple[str, ...]] = {
    "passwordauthentication": ("no",),
    "kbdinteractiveauthentication": ("no", "yes"),
    "permitemptypasswords": ("no",),
    "hostbasedauthentication": ("no",),
    "gssapiauthentication": ("unsupported", "no", "yes"),
    "kerberosauthentication": ("unsupported", "no"),
    "ignorerhosts": ("yes", "shosts-only"),
    "strictmodes": ("yes",),
    "permituserenvironment": ("no",),
    "x11forwarding": ("no",),
    "allowtcpforwarding": ("no", "local", "remote", "yes"),
    "allowagentforwarding": ("no", "yes"),
    "allowstreamlocalforwarding": ("no", "local", "remote", "yes"),
    "gatewayports": ("no",),
    "permittunnel": ("no",),
    "disableforwarding": ("yes", "no"),
    "usepam": ("yes",),
}
# (lowest, highest) that gold may ask for. The lowest is 1 where zero switches the limit off (pitfall P5; sshd_config(5)
# for ClientAliveCountMax 0 and LoginGraceTime 0).
LIMITS: dict[str, tuple[int, int]] = {
    "maxauthtries": (1, 10),
    "clientaliveinterval": (1, 900),
    "clientalivecountmax": (1, 10),
    "logingracetime": (1, 120),
    "maxsessions": (1, 10),
}
# As LIMITS, for keywords whose larger value is the stricter one.
MINIMA: dict[str, tuple[int, int]] = {"requiredrsasize": (2048, 16384)}
# CIS 4.3: an unattended session ends within 15 minutes. sshd gives up after interval x count seconds of silence.
SILENCE_LIMIT = 900
ALGORITHMS = {
    "ciphers": "gold_ssh_ciphers",
    "macs": "gold_ssh_macs",
    "kexalgorithms": "gold_ssh_kex",
    "hostkeyalgorithms": "gold_ssh_key_algorithms",
}
KEY_ALGORITHMS = ("pubkeyacceptedalgorithms", "casignaturealgorithms")


def ssh_hardening(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`contexts` and `servers`: every keyword of gold_ssh_settings on every connection, and the offered algorithms."""
    wanted = {str(key).lower(): _word(value) for key, value in gold["gold_ssh_settings"].items()}
    faults = [
        fault for key, value in gold["gold_ssh_settings"].items() if (fault := gold_fault(str(key), _word(value)))
    ]
    expected = {**gold["gold_ssh_settings"], **{name: gold[name] for name in dict.fromkeys(ALGORITHMS.values())}}
    if faults:
        return o.failed(None, expected, "gold_ssh_settings: " + "; ".join(faults))
    items = []
    for context in mappings(facts["contexts"]):
        items.extend(_of_connection(context, wanted, gold["gold_ssh_key_algorithms"]))
    for server in mappings(facts["servers"]):
        for keyword, name in ALGORITHMS.items():
            label = f"{keyword} on {need(server, 'id')}"
            items.append(o.item(label, guarded(_offers, server, keyword, gold[name])))
    return o.combine(items, empty=o.unknown("no connection was examined"), expected=expected)


def gold_fault(keyword: str, value: str) -> str:
    """Say why a value of gold_ssh_settings may not be asked for, or an empty string."""
    name = keyword.lower()
    if name in WORDS:
        return (
            "" if value in WORDS[name] else f"{keyword} {value} is weaker than {WORDS[name][-1]} or not a value of it"
        )
    if name in LIMITS or name in MINIMA:
        low, high = LIMITS.get(name) or MINIMA[name]
        return (
            ""
            if value.isdigit() and low <= int(value) <= high
            else f"{keyword} {value} is not between {low} and {high}"
        )
    hint = nearest(name, [*WORDS, *LIMITS, *MINIMA])
    return f"{keyword} is not a keyword this check can compare" + (f"; did you mean {hint}?" if hint else "")


def _of_connection(context: Mapping[str, Any], wanted: Mapping[str, str], keys: list[str]) -> list[Outcome]:
    where = need(context, "id")
    settings = need(context, "settings")
    found = [o.item(f"{keyword}: {where}", guarded(_compare, settings, keyword, wanted[keyword])) for keyword in wanted]
    if {"clientaliveinterval", "clientalivecountmax"} <= set(wanted):
        found.append(o.item(f"clientalive: {where}", guarded(_silence, settings)))
    for keyword in KEY_ALGORITHMS:
        found.append(o.item(f"{keyword}: {where}", guarded(_offered, settings, keyword, keys)))
    return found


def _compare(settings: Mapping[str, Any], keyword: str, wanted: str) -> Outcome:
    found = str(need(settings, keyword))
    if keyword in WORDS:
        order = WORDS[keyword]
        good = found in order[: order.index(wanted) + 1]
        return o.passed(found, wanted) if good else o.failed(found, wanted, f"{keyword} is {found}, expected {wanted}")
    if not found.isdigit():
        raise MissingFact(f"{keyword} is {found[:40]!r}, not a number")
    if keyword in LIMITS:
        good, words = 1 <= int(found) <= int(wanted), f"between 1 and {wanted}"
    else:
        good, words = int(found) >= int(wanted), f"at least {wanted}"
    return o.passed(found, words) if good else o.failed(found, words, f"{keyword} is {found}, expected {words}")


def _silence(settings: Mapping[str, Any]) -> Outcome:
    interval, count = (str(need(settings, key)) for key in ("clientaliveinterval", "clientalivecountmax"))
    if not interval.isdigit() or not count.isdigit():
        raise MissingFact("clientaliveinterval or clientalivecountmax is not a number")
    seconds = int(interval) * int(count)
    words = f"between 1 and {SILENCE_LIMIT} seconds"
    if 0 < seconds <= SILENCE_LIMIT:
        return o.passed(seconds, words)
    return o.failed(
        seconds, words, f"a silent connection ends after {seconds or 'no number of'} seconds, expected {words}"
    )


def _offers(server: Mapping[str, Any], keyword: str, allowed: list[str]) -> Outcome:
    return _offered(need(server, "algorithms"), keyword, allowed)


def _offered(settings: Mapping[str, Any], keyword: str, allowed: list[str]) -> Outcome:
    offered = need(settings, keyword)
    if not isinstance(offered, list) or not offered or any(not isinstance(name, str) for name in offered):
        raise MissingFact(f"{keyword} was not read")
    extra = [name for name in offered if name not in allowed]
    if extra:
        return o.failed(extra, allowed, f"{keyword} offers {', '.join(extra[:10])}")
    return o.passed(offered, allowed)


def _word(value: Any) -> str:
    """A gold value as sshd writes it; YAML turns an unquoted yes and no into a truth value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).lower()


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {"ssh_hardening": ssh_hardening}
