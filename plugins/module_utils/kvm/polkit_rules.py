# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A static reading of polkit rules: what a file can return for libvirt's actions, and for those that lead to root.

Rules are JavaScript (polkit(8)), so no reading is complete. This one errs to one side: a condition it does not
understand restricts nothing, an expression it does not understand can be anything, and a file it cannot parse can grant
everything.
"""

from __future__ import annotations

import configparser
import json
import re

# libvirt's own actions; pkexec, which runs a program as root; systemd's, which stops and edits any service.
WATCHED = ("org.libvirt.", "org.freedesktop.policykit.exec", "org.freedesktop.systemd1.")
MAX_RETURNS = 60
TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_$][\w$]*|\d[\w.]*)
    |(?P<sign>===|!==|==|!=|&&|\|\||=>|>=|<=|[-+*%&|^!~<>=?:;,.(){}\[\]/`@\#\\])""",
    re.S | re.X,
)
REGEX = re.compile(r"/((?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([a-z]*)")
STRING = r'("(?:[^"\\]|\\.)*")'
LIST = r'\[((?:"(?:[^"\\]|\\.)*",?)+)\]'
SUBJECT = r"(action\.id|subject\.user|action\.lookup\(" + STRING + r"\))"
# A slash behind one of these begins a regular expression, elsewhere it divides.
BEFORE_A_VALUE = ("(", ",", "=", ":", "[", "!", "&&", "||", "?", "{", "}", ";", "==", "===", "!=", "!==", "return")
# What `indexOf` has to be compared with to mean "is in the list".
FOUND = r"(?:>=0|!==?-1|>-1)"
IN_LIST = LIST + r"\.(?:indexOf\(" + SUBJECT + r"\)" + FOUND + r"|includes\(" + SUBJECT + r"\))"
# polkit.Result's values in lower case, without the _KEEP that only says for how long.
RESULTS = {"yes": "yes", "no": "no", "auth_self": "self", "auth_admin": "admin", "not_handled": None}


class Unparsable(Exception):
    """The file is not JavaScript as far as this reader knows it."""


def javascript(text):
    """Return what a .rules file can answer for the actions of WATCHED.

    [{result: yes|no|self|admin|unknown, actions: [id or prefix*], users, groups, lookups: {key: [values]}, exact}], in
    order. exact: every condition was understood, so that the answer is given exactly then and not less often.
    """
    try:
        returns = []
        for names, body in _rules(_tokens(text)):
            returns.extend(_Body(names, body).returns)
    except (Unparsable, RecursionError):
        returns = [_answer("unknown", None, False)]
    return [entry for entry in returns if any(_touches(action) for action in entry["actions"])][:MAX_RETURNS]


def authority_file(text):
    """Return the same for a .pkla file of polkit 0.105 (pklocalauthority(8)): user and action only, no objects."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return [_answer("unknown", None, False)]
    returns = []
    for name in parser.sections():
        section = parser[name]
        identities = [word.strip() for word in section.get("Identity", "").split(";") if word.strip()]
        actions = [word.strip() for word in section.get("Action", "").split(";") if word.strip()]
        words = {
            re.sub("_keep$", "", section.get("Result" + kind, "").strip()) for kind in ("Any", "Inactive", "Active")
        }
        result = next((RESULTS[word] for word in ("yes", "auth_self", "no") if word in words), "admin")
        users = [word[10:] for word in identities if word.startswith("unix-user:")]
        groups = [word[11:] for word in identities if word.startswith("unix-group:")]
        plain = len(users) + len(groups) == len(identities) and not any("*" in word for word in users + groups)
        returns.append(
            {
                "result": result,
                "actions": actions or ["*"],
                "users": users,
                "groups": groups,
                "lookups": {},
                "exact": plain,
            }
        )
    return [entry for entry in returns if any(_touches(action) for action in entry["actions"])][:MAX_RETURNS]


def _answer(result, limits, exact):
    limits = limits or {}
    return {
        "result": result,
        "actions": limits.get("actions", ["*"]),
        "users": limits.get("users", []),
        "groups": limits.get("groups", []),
        "lookups": limits.get("lookups", {}),
        "exact": exact,
    }


def _touches(pattern):
    bare = pattern.split("*")[0]
    return bare.startswith(WATCHED) or (pattern.endswith("*") and any(name.startswith(bare) for name in WATCHED))


def _tokens(text):
    out, position = [], 0
    while position < len(text):
        if (
            text[position] == "/"
            and text[position : position + 2] not in ("//", "/*")
            and (not out or out[-1] in BEFORE_A_VALUE)
        ):
            match = REGEX.match(text, position)
            if not match:
                raise Unparsable("regular expression")
            out.append("/%s/%s" % match.groups())
        else:
            match = TOKEN.match(text, position)
            if not match:
                raise Unparsable("character %r" % text[position])
            if match.lastgroup == "string":
                out.append(json.dumps(_unquoted(match.group())))
            elif match.lastgroup != "blank":
                out.append(match.group())
        position = match.end()
    if "`" in out:
        raise Unparsable("template string")
    return out


def _unquoted(literal):
    """The value of a string literal; an escape beyond quotes and backslashes is not worth guessing."""
    inner = literal[1:-1]
    if re.search(r"\\[^\\'\"/]", inner):
        raise Unparsable("escape in a string")
    return re.sub(r"\\(.)", r"\1", inner)


def _close(tokens, start):
    """The index of the bracket that closes the one at `start`."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    stack = []
    for index in range(start, len(tokens)):
        if tokens[index] in pairs:
            stack.append(pairs[tokens[index]])
        elif tokens[index] in (")", "}", "]"):
            if not stack or stack.pop() != tokens[index]:
                raise Unparsable("brackets")
            if not stack:
                return index
    raise Unparsable("brackets")


def _rules(tokens):
    """Yield (parameter names, body tokens) of every addRule; addAdminRule grants nothing, more is not understood."""
    index = 0
    while index < len(tokens):
        if tokens[index : index + 3] == ["polkit", ".", "addAdminRule"]:
            index = _close(tokens, index + 3) + 1
        elif tokens[index : index + 4] == ["polkit", ".", "addRule", "("]:
            end = _close(tokens, index + 3)
            yield _function(tokens[index + 4 : end])
            index = end + 1
        elif tokens[index] in (";", '"use strict"'):
            index += 1
        else:
            raise Unparsable("statement at the top: %s" % tokens[index])


def _function(tokens):
    if tokens and tokens[0] == "function":
        tokens = tokens[1:] if tokens[1:2] == ["("] else tokens[2:]
    if not tokens or tokens[0] != "(":
        raise Unparsable("no function")
    end = _close(tokens, 0)
    rest = tokens[end + 1 :]
    rest = rest[1:] if rest[:1] == ["=>"] else rest
    if not rest or rest[0] != "{" or _close(rest, 0) != len(rest) - 1:
        raise Unparsable("no function body")
    names = [word for word in tokens[1:end] if word != ","]
    return names, rest[1:-1]


class _Body(object):
    """The returns of one rule, each with the conditions on the way to it."""

    def __init__(self, names, tokens):
        self.returns = []
        renamed = dict(zip(names, ("action", "subject")))
        # Only a bare word is a parameter: after a dot it is a property.
        words = [
            renamed.get(word, word) if index == 0 or tokens[index - 1] != "." else word
            for index, word in enumerate(tokens)
        ]
        self._block(words, _Limits())

    def _block(self, tokens, limits):
        index = 0
        while index < len(tokens):
            index, limits = self._statement(tokens, index, limits)

    def _statement(self, tokens, index, limits):
        word = tokens[index]
        if word == ";":
            return index + 1, limits
        if word == "{":
            end = _close(tokens, index)
            self._block(tokens[index + 1 : end], limits)
            return end + 1, limits
        if word == "if":
            return self._if(tokens, index, limits)
        end = _end_of_statement(tokens, index)
        if word == "return":
            self._return("".join(tokens[index + 1 : end]), limits)
        elif (
            "return" in tokens[index:end]
            or "=" in tokens[index:end]
            and {"action", "subject", "polkit"} & set(tokens[index : index + 2])
        ):
            # A loop, a switch, a try, or a rule that changes its own input.
            self.returns.append(_answer("unknown", limits.found, False))
        return end + 1, limits

    def _if(self, tokens, index, limits):
        end = _close(tokens, index + 1)
        condition = tokens[index + 2 : end]
        start = end + 1
        after, _same = self._statement(tokens, start, limits.both(_condition(condition)))
        if tokens[after : after + 1] == ["else"]:
            after, _same = self._statement(tokens, after + 1, limits.vague())
            return after, limits.vague()
        opposite = _negated("".join(condition))
        if opposite is not None and "return" in tokens[start:after]:
            # `if (action.id != "x") return;`: what follows is about x alone.
            return after, limits.both(opposite)
        # What follows is reached less often than its own conditions say, where this branch returns.
        return after, limits.vague() if "return" in tokens[start:after] else limits

    def _return(self, expression, limits):
        if expression in ("", "null", "undefined"):
            return
        word = re.sub(r"^polkit\.Result\.", "", expression)
        word = (
            json.loads(word)
            if word.startswith('"') and re.fullmatch(STRING, word)
            else word
            if word != expression
            else ""
        )
        result = RESULTS.get(re.sub("_keep$", "", word.lower()), "unknown")
        if result is not None:
            self.returns.append(_answer(result, limits.found, limits.exact and result != "unknown"))


class _Limits(object):
    """A conjunction of conditions. exact: all of them were understood."""

    def __init__(self, found=None, exact=True):
        self.found = found or {}
        self.exact = exact

    def both(self, other):
        merged = {**self.found, **{key: value for key, value in other.found.items() if key != "lookups"}}
        if self.found.get("lookups") or other.found.get("lookups"):
            merged["lookups"] = {**self.found.get("lookups", {}), **other.found.get("lookups", {})}
        # Two tests of the same thing, or a user and a group at once: an intersection this reader does not work out.
        clash = set(self.found) & set(other.found) - {"lookups"} or {"users", "groups"} <= set(merged)
        if set(self.found.get("lookups", {})) & set(other.found.get("lookups", {})):
            clash = True
        if "actions" in self.found and "actions" in other.found:
            merged["actions"] = self.found["actions"] + other.found["actions"]
        return _Limits(merged, self.exact and other.exact and not clash)

    def vague(self):
        return _Limits(self.found, False)


def _end_of_statement(tokens, start):
    """The index of the semicolon or last token that ends a statement; a block ends it too."""
    index = start
    while index < len(tokens):
        if tokens[index] == ";":
            return index
        if tokens[index] in ("(", "[", "{"):
            end = _close(tokens, index)
            if tokens[index] == "{" and tokens[start] != "return" and "=" not in tokens[start:index]:
                return end
            index = end
        index += 1
    return index


def _split(tokens, sign):
    parts, current, depth = [], [], 0
    for token in tokens:
        depth += (token in "([{") - (token in ")]}") if len(token) == 1 else 0
        if token == sign and depth == 0:
            parts.append(current)
            current = []
        else:
            current.append(token)
    return parts + [current]


def _condition(tokens):
    while tokens and tokens[0] == "(" and _close(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    alternatives = _split(tokens, "||")
    if len(alternatives) > 1:
        return _either([_condition(part) for part in alternatives])
    limits = _Limits()
    parts = _split(tokens, "&&")
    for part in parts:
        limits = limits.both(_condition(part) if len(parts) > 1 else _single("".join(part)))
    return limits


def _either(options):
    """A disjunction: understood where every side tests the same one thing."""
    keys = {tuple(sorted(option.found)) for option in options}
    if len(keys) != 1 or len(next(iter(keys))) != 1:
        return _Limits(exact=False)
    key = next(iter(keys))[0]
    exact = all(option.exact for option in options)
    if key != "lookups":
        return _Limits({key: [value for option in options for value in option.found[key]]}, exact)
    names = {tuple(option.found["lookups"]) for option in options}
    if len(names) != 1 or len(next(iter(names))) != 1:
        return _Limits(exact=False)
    name = next(iter(names))[0]
    return _Limits({"lookups": {name: [value for option in options for value in option.found["lookups"][name]]}}, exact)


def _single(text):
    """One test, as text without blanks."""
    match = re.fullmatch(SUBJECT + "={2,3}" + STRING, text)
    if match:
        return _tested(match.group(1), match.group(2), [json.loads(match.group(3))])
    match = re.fullmatch(STRING + "={2,3}" + SUBJECT, text)
    if match:
        return _tested(match.group(2), match.group(3), [json.loads(match.group(1))])
    match = re.fullmatch(IN_LIST, text)
    if match:
        groups = match.groups()
        return _tested(groups[1] or groups[3], groups[2] or groups[4], json.loads("[%s]" % groups[0].rstrip(",")))
    match = re.fullmatch(r"action\.id\.(?:indexOf\(" + STRING + r"\)={2,3}0|startsWith\(" + STRING + r"\))", text)
    if match:
        return _Limits({"actions": [json.loads(match.group(1) or match.group(2)) + "*"]})
    match = re.fullmatch(r"action\.id\.match\(/\^(.*)/\)|/\^(.*)/\.test\(action\.id\)", text)
    if match:
        return _pattern(match.group(1) or match.group(2) or "")
    match = re.fullmatch(r"subject\.isInGroup\(" + STRING + r"\)", text)
    if match:
        return _Limits({"groups": [json.loads(match.group(1))]})
    return _Limits(exact=False)


def _tested(subject, key, values):
    if subject == "action.id":
        return _Limits({"actions": values})
    if subject == "subject.user":
        return _Limits({"users": values})
    return _Limits({"lookups": {json.loads(key): values}})


def _pattern(expression):
    """A regular expression anchored at the start: the literal text it begins with."""
    literal = re.match(r"(?:[A-Za-z0-9-]|\\[.-])*", expression)
    prefix = literal.group().replace("\\", "")
    rest = expression[literal.end() :]
    if "|" in rest or rest[:1] in ("*", "?", "{", "+"):
        return _Limits(exact=False)
    if rest == "$":
        return _Limits({"actions": [prefix]})
    return _Limits({"actions": [prefix + "*"]}, exact=rest in ("", ".*", ".+"))


def _negated(text):
    """The test that holds where `text` does not, for the forms of an early return; else None."""
    match = re.fullmatch(r"!\((.*)\)", text)
    candidate = match.group(1) if match else None
    if candidate is None and "&&" not in text and "||" not in text:
        swapped = re.sub(r"!==?(?=\"|0$)", "==", text, count=1)
        candidate = swapped if swapped != text else text[1:] if text.startswith("!") else None
    if candidate is None:
        return None
    found = _single(candidate)
    return found if found.found else None
