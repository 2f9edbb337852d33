# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What iptables-save prints, in the model of nft.py: nft's JSON cannot say what an xtables match tests.

Used for the tables that iptables-nft keeps inside nftables, and for the legacy tables of x_tables, which sit on the
same hooks. Options: iptables(8) and iptables-extensions(8).
"""

from __future__ import annotations

import shlex

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import nft
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable

HOOKS = {"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output"}
PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "udplite")
STATES = {"ctstate": "state", "state": "state", "ctdir": "direction", "ctstatus": "status"}
VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return", "NOTRACK": "notrack"}
# Matches on what the sender writes into the packet, or on his pace: some of his packets get either way.
SENDER = frozenset(
    "ah connlimit dscp ecn esp frag hashlimit hbh dst hl icmp6 ipv6header length limit owner quota recent rpfilter rt "
    "sctp-chunk statistic tcpmss time tos ttl cgroup string u32".split()
)
# `recent` with nothing but these records the sender and always matches.
_RECORDING = {"set", "name", "rsource", "mask"}
CORE = ("-s", "-d", "-i", "-o", "-p", "-j", "-g", "-m", "-f")


def parse(text, family, source):
    """Return the tables of one iptables-save output. family: ip or ip6; source: iptables-nft or iptables-legacy.

    :raises Unreadable: a line that iptables-save does not write, or a table without its end.
    """
    tables, table = [], None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("*") and table is None:
            table = nft.new_table(family, line[1:], source)
        elif line == "COMMIT" and table is not None:
            tables.append(table)
            table = None
        elif line.startswith(":") and len(line.split()) > 1 and table is not None:
            _chain(table, line)
        elif line.startswith("-A ") and table is not None:
            _rule(table, line)
        elif line and not line.startswith("#"):
            raise Unreadable("iptables-save (%s): unexpected line %r" % (family, line[:60]))
    if table is not None:
        raise Unreadable("iptables-save (%s): table %s has no end" % (family, table["name"][:40]))
    return [entry for entry in map(nft.reduce_table, tables) if entry["chains"] or entry["dnat"]]


def _chain(table, line):
    name, policy = line[1:].split()[:2]
    chain = table["chains"].setdefault(name, {"rules": []})
    if policy != "-" and name in HOOKS:
        kind = "nat" if table["name"] == "nat" else "filter"
        chain.update({"hook": HOOKS[name], "type": kind, "policy": "drop" if policy == "DROP" else "accept"})


def _rule(table, line):
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if len(words) < 2:
        # A line nobody can read might accept anything; it stands in every chain that could hold it.
        for chain in table["chains"].values():
            chain["rules"].append([{"opaque": line[:60]}])
        return
    rule = _Rule(table["family"], words[2:]).statements()
    table["chains"].setdefault(words[1], {"rules": []})["rules"].append(rule)


class _Rule(object):
    """One rule: reads its words from left to right."""

    def __init__(self, family, words):
        self._family = family
        self._words = words
        self._protocol = "th"
        self._made = []

    def statements(self):
        negated = False
        while self._words:
            word = self._words.pop(0)
            if word == "!":
                negated = True
                continue
            self._option(word, "!=" if negated else "==")
            negated = False
        return self._made

    def _next(self):
        return self._words.pop(0) if self._words else ""

    def _match(self, operator, left, right):
        self._made.append({"match": {"op": operator, "left": left, "right": right}})

    def _option(self, word, operator):
        address = {"-s": "saddr", "-d": "daddr"}
        if word in address:
            self._match(operator, {"payload": {"protocol": self._family, "field": address[word]}}, prefix(self._next()))
        elif word in ("-i", "-o"):
            name = self._next()
            name = name[:-1] + "*" if name.endswith("+") else name
            self._match(operator, {"meta": {"key": "iifname" if word == "-i" else "oifname"}}, name)
        elif word == "-p":
            protocol = self._next().lower()
            if operator == "==" and protocol in PORT_PROTOCOLS:
                self._protocol = protocol
            if protocol != "all":
                self._match(operator, {"meta": {"key": "l4proto"}}, int(protocol) if protocol.isdigit() else protocol)
        elif word == "-f":
            self._made.append({"free": "fragment"})
        elif word == "-m":
            self._module(self._next())
        elif word in ("-j", "-g"):
            self._target(word, self._next())
        elif word.startswith("--") and self._protocol in PORT_PROTOCOLS:
            self._words[:0] = (["!"] if operator == "!=" else []) + [word]
            self._module(self._protocol)
        else:
            self._made.append({"opaque": word[:60]})

    def _target(self, word, name):
        arguments, self._words = self._words, []
        if word == "-g":
            self._made.append({"goto": name})
        elif name in VERDICTS:
            self._made.append(VERDICTS[name])
        elif name == "CT" and "--notrack" in arguments:
            self._made.append("notrack")
        elif name in ("MARK", "CONNMARK"):
            self._made.append("mark")
        elif name == "DNAT":
            self._made.append({"dnat": _destination(arguments)})
        elif name == "REDIRECT":
            self._made.append({"dnat": "redirect"})
        elif name in ("QUEUE", "NFQUEUE", "TPROXY", "SYNPROXY"):
            self._made.append({"opaque": "target " + name})
        elif name != "CT" and name not in nft.XT_HARMLESS:
            self._made.append({"jump": name})

    def _module(self, name):
        """A match module and the options that follow it, up to the next core option."""
        options = self._options()
        if name == "comment" or (name == "recent" and {option for _operator, option, _values in options} <= _RECORDING):
            return
        if name in SENDER:
            self._made.append({"free": name})
            return
        readers = {
            "conntrack": self._conntrack,
            "state": self._conntrack,
            "multiport": self._ports,
            "addrtype": self._addrtype,
            "iprange": self._iprange,
            "pkttype": self._pkttype,
            "mark": self._mark,
            "icmp": self._icmp,
        }
        reader = self._ports if name in PORT_PROTOCOLS else readers.get(name, self._unknown)
        for operator, option, values in options:
            reader(operator, option, values)
        if not options and name not in PORT_PROTOCOLS:
            self._unknown("==", name, [])

    def _options(self):
        found, operator = [], "=="
        while self._words and self._words[0] not in CORE:
            word = self._words[0]
            if word == "!" and len(self._words) > 1 and self._words[1] in CORE:
                break
            self._words.pop(0)
            if word == "!":
                operator = "!="
            elif word.startswith("--"):
                found.append((operator, word[2:], []))
                operator = "=="
            elif found:
                found[-1][2].append(word)
        return found

    def _unknown(self, _operator, option, _values):
        self._match("==", {"xt": option}, True)

    def _conntrack(self, operator, option, values):
        if option not in STATES or not values:
            self._unknown(operator, option, values)
            return
        words = [word.lower() for word in values[0].split(",")]
        if words in (["dnat"], ["snat"]):
            # Not a state of nft's: the connection's destination or source was rewritten.
            self._match("!=" if operator == "!=" else "in", {"ct": {"key": "status"}}, words)
        elif {"dnat", "snat"} & set(words):
            self._unknown(operator, option, values)
        else:
            self._match(operator, {"ct": {"key": STATES[option]}}, {"set": words})

    def _ports(self, operator, option, values):
        field = {"dport": "dport", "dports": "dport", "destination-port": "dport"}.get(option)
        if field and values:
            ports = [port_range(word) for word in values[0].split(",")]
            self._match(operator, {"payload": {"protocol": self._protocol, "field": field}}, {"set": ports})
        elif option == "syn":
            left = {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}
            self._match(operator, left, "syn")
        elif option == "tcp-flags" and len(values) == 2:
            left = {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, flags(values[0])]}
            self._match(operator, left, flags(values[1]))
        else:
            # Source ports, either port, TCP options: the sender chooses them.
            self._made.append({"free": option})

    def _addrtype(self, operator, option, values):
        sides = {"dst-type": "daddr", "src-type": "saddr"}
        if option in sides and values:
            left = {"fib": {"result": "type", "flags": [sides[option]]}}
            self._match(operator, left, {"set": values[0].lower().split(",")})
        elif not option.startswith("limit-iface"):
            self._unknown(operator, option, values)

    def _iprange(self, operator, option, values):
        sides = {"src-range": "saddr", "dst-range": "daddr"}
        if option in sides and values:
            low, _dash, high = values[0].partition("-")
            left = {"payload": {"protocol": self._family, "field": sides[option]}}
            self._match(operator, left, {"range": [low, high or low]})
        else:
            self._unknown(operator, option, values)

    def _pkttype(self, operator, _option, values):
        kind = values[0] if values else ""
        self._match(operator, {"meta": {"key": "pkttype"}}, "host" if kind == "unicast" else kind)

    def _mark(self, operator, _option, values):
        value, _slash, mask = (values[0] if values else "").partition("/")
        try:
            left = {"meta": {"key": "mark"}} if not mask else {"&": [{"meta": {"key": "mark"}}, int(mask, 0)]}
            self._match(operator, left, int(value, 0))
        except ValueError:
            self._unknown(operator, "mark", values)

    def _icmp(self, _operator, option, _values):
        self._made.append({"free": option})


def _destination(arguments):
    if "--to-destination" in arguments[:-1]:
        return arguments[arguments.index("--to-destination") + 1]
    return "?"


def prefix(text):
    """ "10.0.0.0/8" or "10.0.0.0/255.0.0.0" as an element of nft."""
    address, _slash, length = text.partition("/")
    if not length:
        return address
    if "." in length:
        bits = "".join(format(int(part), "08b") for part in length.split(".") if part.isdigit())
        if len(bits) != 32 or "01" in bits:
            return {"mask": text}
        length = str(bits.count("1"))
    return {"prefix": {"addr": address, "len": int(length)}} if length.isdigit() else {"mask": text}


def port_range(text):
    """ "22" or "5900:5999" as an element of nft."""
    low, colon, high = text.partition(":")
    if not colon:
        return int(low) if low.isdigit() else low
    return {"range": [int(low or 0), int(high or 65535)]} if (low + high).isdigit() else text


def flags(text):
    """ "FIN,SYN" as nft writes it; NONE is 0."""
    return 0 if text == "NONE" else [word.lower() for word in text.split(",")]
