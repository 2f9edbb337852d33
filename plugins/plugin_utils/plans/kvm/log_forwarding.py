# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where rsyslog sends the logs: a file of ours with one action for each log server, judged before it is planned.

What the site's own files send stays, except a single line that sends to one of the log servers in a way that the audit
fails: our action takes its place.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import rsyslog_conf
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import logging as judge

# Before the site's own files: what one of them discards has been sent by then.
FORWARD = "/etc/rsyslog.d/10-dwp-hypervisor-forward.conf"
HEAD = "# Written by dwp.hypervisor; a later run replaces it.\n"
# Distribution's spool directory: the security modules of both families let rsyslog write to it.
SPOOL = {"debian": "/var/spool/rsyslog", "rhel": "/var/lib/rsyslog"}
DRIVER_PACKAGE = {"debian": "apt-get install rsyslog-gnutls", "rhel": "dnf install rsyslog-gnutls"}
# What each driver takes to refuse TLS 1.0 and 1.1; the same parameter, in the language of its library.
FLOORS = {"gtls": "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", "ossl": "MinProtocol=TLSv1.2"}
SETTINGS = {"ca": "gold_log_ca_file", "certificate": "gold_log_client_certificate", "key": "gold_log_client_key"}


class _Files:
    """A rsyslog configuration that is not on any host yet, for the reader that the audit uses."""

    def __init__(self, text: str):
        self._files = {rsyslog_conf.MAIN: f'include(file="{FORWARD}")', FORWARD: text}

    def read(self, path: str) -> str:
        if path not in self._files:
            raise Absent(f"{path} does not exist")
        return self._files[path]

    def exists(self, path: str) -> bool:
        return path in self._files


def activation() -> list[Row]:
    """Test the whole configuration, then have rsyslog read it. The sockets it reads keep what arrives meanwhile."""
    # What was there before is put back untested: it need not pass the test.
    return [plan.run("rsyslogd", "-N1", undo=["/bin/true"]), plan.restart("rsyslog.service")]


def settings_missing(situation: Situation) -> list[Row]:
    """What a person has to install, name or deploy before anything can be sent; an empty list where nothing.

    :raises Refusal: rsyslog was not read.
    """
    logging, gold = situation.facts["logging"], situation.gold
    if logging["rsyslog"] is None or logging["forwarders"] is None:
        raise Refusal("what rsyslog does now could not be read (collector.errors says why): nothing of it is changed")
    if not logging["rsyslog"]["configured"]:
        return [plan.by_hand("rsyslog is not installed: install it with its TLS driver, rsyslog-gnutls")]
    if not gold["gold_log_servers"]:
        return [plan.by_hand("gold_log_servers names no log server: name the external ones")]
    if not gold["gold_log_ca_file"]:
        return [
            plan.by_hand(
                "gold_log_ca_file is empty: put the certificate of the log servers' authority on the host and name it"
            )
        ]
    if _driver(situation) is None:
        return [plan.by_hand(f"rsyslog has no driver for TLS: {DRIVER_PACKAGE[situation.family]}")]
    return []


def forwarding(situation: Situation) -> list[Row]:
    """The rows that have every log server served as the audit wants it: verified TLS, RFC 5424, a queue on disk.

    :raises Refusal: gold settings that contradict each other, or with which the audit would fail all the same.
    """
    wanting = settings_missing(situation)
    if wanting:
        return wanting
    facts, gold = situation.facts["logging"], situation.gold
    foreign = [target for target in facts["rsyslog"]["targets"] if target["source"] != FORWARD]
    servers = [
        server
        for server in gold["gold_log_servers"]
        if not any(target["host"] == server and _good(situation, target) for target in foreign)
    ]
    replaced = [target for target in foreign if target["host"] in servers and target["line"]]
    left = [target for target in foreign if target not in replaced and not _good(situation, target, anywhere=True)]
    rows = [plan.by_hand(_left(situation, target)) for target in left]
    if not any(entry["name"] == "rsyslog" and entry["active"] for entry in facts["forwarders"]):
        rows.append(plan.unit("rsyslog.service", enabled=True, active=True))
    if not servers:
        return rows + _not_in_force(situation)
    text = _text(situation, servers)
    _refuse_unfit(situation, text)
    rows += [_certificates(situation, servers), plan.file(FORWARD, text, then=activation())]
    rows += [
        plan.lines(target["source"], absent=[rf"^\s*{re.escape(target['line'])}\s*(#.*)?$"], then=activation())
        for target in replaced
    ]
    return rows + (_not_in_force(situation) if _already(situation, text) else [])


def _driver(situation: Situation) -> str | None:
    installed = situation.facts["logging"]["rsyslog"]["drivers"]
    return next((driver for driver in FLOORS if driver in installed), None)


def _text(situation: Situation, servers: list[str]) -> str:
    gold, driver = situation.gold, str(_driver(situation))
    mode = gold["gold_log_auth_modes"][0] if gold["gold_log_auth_modes"] else "x509/name"
    parts = [HEAD]
    for number, server in enumerate(servers, start=1):
        parameters = {
            "type": "omfwd",
            "target": server,
            "port": gold["gold_log_port"],
            "protocol": "tcp",
            "TCP_Framing": "octet-counted",
            "template": judge.STANDARD_TEMPLATES[0],
            "StreamDriver": driver,
            "StreamDriverMode": "1",
            "StreamDriverAuthMode": mode,
            "StreamDriverPermittedPeers": _peer(situation, server, mode),
            "StreamDriver.CAFile": gold["gold_log_ca_file"],
            "StreamDriver.CertFile": gold["gold_log_client_certificate"],
            "StreamDriver.KeyFile": gold["gold_log_client_key"],
            "gnutlsPriorityString": FLOORS[driver],
            "queue.type": "LinkedList",
            "queue.filename": f"dwp-hypervisor-{number}",
            "queue.spoolDirectory": SPOOL[situation.family],
            "queue.maxDiskSpace": "1g",
            "queue.saveOnShutdown": "on",
            "action.resumeRetryCount": "-1",
        }
        lines = [f"  {name}={_quoted(value)}" for name, value in parameters.items() if value != ""]
        parts.append("action(\n" + "\n".join(lines) + "\n)\n")
    return "".join(parts)


def _quoted(value: Any) -> str:
    text = str(value)
    if re.search(r'["\\\n]', text):
        raise Refusal(f"{text!r} holds a quote, a backslash or a line break, which rsyslog's configuration cannot take")
    return f'"{text}"'


def _peer(situation: Situation, server: str, mode: str) -> str:
    name = str(situation.gold["gold_log_peer_names"].get(server, ""))
    if mode == "x509/fingerprint" and not name:
        raise Refusal(
            f"gold_log_auth_modes begins with x509/fingerprint and gold_log_peer_names has no fingerprint of {server}"
        )
    if not name and _is_address(server):
        raise Refusal(
            f"gold_log_servers names the address {server}, and rsyslog compares names: put the name in the server's "
            "certificate into gold_log_peer_names"
        )
    return name or server


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _certificates(situation: Situation, servers: list[str]) -> Row:
    gold = situation.gold
    if bool(gold["gold_log_client_certificate"]) != bool(gold["gold_log_client_key"]):
        raise Refusal("gold_log_client_certificate and gold_log_client_key belong together: set both or none")
    fingerprints = gold["gold_log_auth_modes"][:1] == ["x509/fingerprint"]
    names = {server: server if fingerprints else _peer(situation, server, "x509/name") for server in servers}
    return {
        "kind": "log_server",
        "servers": [{"host": server, "port": gold["gold_log_port"], "name": names[server]} for server in servers],
        "user": situation.facts["logging"]["rsyslog"]["user"],
        "fingerprints": fingerprints,
        "settings": SETTINGS,
        **{key: gold[setting] for key, setting in SETTINGS.items()},
        "then": [],
    }


def _verdicts(situation: Situation, targets: list[Mapping[str, Any]], *, anywhere: bool = False) -> list[o.Outcome]:
    """What the audit will say of these targets alone, once rsyslog runs with them and the servers answer."""
    logging = situation.facts["logging"]
    facts = {
        "forwarders": [{"name": "rsyslog", "active": True}],
        "rsyslog": {
            "configured": True,
            "in_force": True,
            "targets": targets,
            "connected": [str(target["port"]) for target in targets],
        },
        "crypto_policy": logging["crypto_policy"],
    }
    found = [judge.log_transport_tls(facts, dict(situation.gold))]
    if not anywhere:
        found.append(judge.log_target_external(facts, dict(situation.gold)))
    return found


def _good(situation: Situation, target: Mapping[str, Any], *, anywhere: bool = False) -> bool:
    """Whether the audit finds nothing wrong with a target, as a log server's or (anywhere) as any other's."""
    standard = target["selector"] == "conditional" or target["template"] in judge.STANDARD_TEMPLATES
    return standard and all(found.status == o.PASS for found in _verdicts(situation, [target], anywhere=anywhere))


def _refuse_unfit(situation: Situation, text: str) -> None:
    """The audit's own reader and judgement have the last word on what would be written."""
    proposed = rsyslog_conf.read(_Files(text)).targets
    for target in proposed:
        for found in _verdicts(situation, [target]):
            if found.status != o.PASS:
                raise Refusal(f"with these gold settings the audit would still fail {target['host']}: {found.message}")


def _left(situation: Situation, target: Mapping[str, Any]) -> str:
    reasons = [found.message for found in _verdicts(situation, [target], anywhere=True) if found.message]
    if target["selector"] != "conditional" and target["template"] not in judge.STANDARD_TEMPLATES:
        reasons.append(f"its template is not {judge.STANDARD_TEMPLATES[0]}")
    return (
        f"{target['source']} sends to {target['host']}:{target['port']} in a way of its own "
        f"({'; '.join(reasons) or 'no TLS'}): change it or take it out"
    )


def _already(situation: Situation, text: str) -> bool:
    """Whether what would be written is there already."""
    ours = [target for target in situation.facts["logging"]["rsyslog"]["targets"] if target["source"] == FORWARD]
    return ours == rsyslog_conf.read(_Files(text)).targets


def _not_in_force(situation: Situation) -> list[Row]:
    """The configuration is right: what keeps it from working."""
    rsyslog = situation.facts["logging"]["rsyslog"]
    if rsyslog["in_force"] is False:
        return [plan.activate(activation())]
    servers = situation.gold["gold_log_servers"]
    cut = [
        f"{target['host']}:{target['port']}"
        for target in rsyslog["targets"]
        if target["host"] in servers and str(target["port"]) not in rsyslog["connected"]
    ]
    if cut:
        return [
            plan.by_hand(
                f"no connection to {', '.join(cut)} stands: see that the server answers there and takes this host "
                "(journalctl -u rsyslog tells what rsyslog found wrong)"
            )
        ]
    return []
