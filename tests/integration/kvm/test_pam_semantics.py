# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our reading of PAM's control field held against libpam itself: random stacks of pam_debug, the same end in both."""

from __future__ import annotations

import json
import random
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import pam_verdict
from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost

STACKS = 2000
RETURNS = ["success", "auth_err", "user_unknown", "authinfo_unavail", "maxtries", "new_authtok_reqd", "perm_denied"]
ACTIONS = ["ok", "done", "bad", "die", "ignore", "reset", "1", "2"]
# Asks libpam inside the host; the stacks are in a directory of their own, so the host's PAM stays as it is.
ASK = """
import ctypes, json, os, tempfile
pam = ctypes.CDLL("libpam.so.0")
class Conversation(ctypes.Structure):
    _fields_ = [("function", ctypes.c_void_p), ("data", ctypes.c_void_p)]
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
silent = kind(lambda *args: 19)
conversation = Conversation(ctypes.cast(silent, ctypes.c_void_p), None)
ends = []
# libpam looks for an included file in the system's directory, unless its path is absolute.
with tempfile.TemporaryDirectory(prefix="pam", dir="/run") as place:
    for files in json.load(open("/run/pam-stacks.json")):
        for name, text in files.items():
            with open(os.path.join(place, name), "w") as stream:
                stream.write(text.replace("substack inner", "substack %s/inner" % place))
        handle = ctypes.c_void_p()
        pam.pam_start_confdir(b"main", b"alice", ctypes.byref(conversation), place.encode(), ctypes.byref(handle))
        pam.pam_fail_delay(handle, 0)
        end = pam.pam_authenticate(handle, 0)
        pam.pam_end(handle, end)
        ends.append(end == 0)
print(json.dumps(ends))
"""


def control(rng: random.Random) -> str:
    """One of the keywords, or brackets with two to four random actions."""
    if rng.random() < 0.5:
        return rng.choice(["required", "requisite", "sufficient", "optional"])
    chosen = ["success", "default", *rng.sample(RETURNS[1:], rng.randint(0, 2))]
    return "[" + " ".join(f"{name}={rng.choice(ACTIONS)}" for name in chosen) + "]"


def module_lines(rng: random.Random) -> list[tuple[str, str]]:
    """Up to four (control, what the module returns)."""
    return [(control(rng), rng.choice(RETURNS)) for _number in range(rng.randint(1, 4))]


def stack(rng: random.Random) -> tuple[dict[str, str], list[dict[str, Any]], list[str]]:
    """(files for libpam, the lines as the collector gives them, what each line's module returns)."""
    main = module_lines(rng)
    inner = module_lines(rng) if rng.random() < 0.5 else []
    at = rng.randint(0, len(main))
    text, lines, returns = [], [], []
    for number in range(len(main) + 1):
        if inner and number == at:
            text.append("auth substack inner")
            lines.append({"control": "substack", "module": "inner", "args": "", "level": 0})
            lines += [{"control": how, "module": "pam_debug.so", "args": "", "level": 1} for how, _said in inner]
            returns += ["ignore", *[said for _how, said in inner]]
        if number < len(main):
            text.append(written(main[number]))
            lines.append({"control": main[number][0], "module": "pam_debug.so", "args": "", "level": 0})
            returns.append(main[number][1])
    files = {"main": "\n".join(text) + "\n", "inner": "\n".join(map(written, inner)) + "\n"}
    return files, lines, returns


def written(line: tuple[str, str]) -> str:
    """A line of a file in pam.d."""
    return f"auth {line[0]} pam_debug.so auth={line[1]}"


def lets_in(lines: list[dict[str, Any]], returns: list[str]) -> bool:
    """Follow a stack whose modules' answers are known."""
    steps = [pam_verdict._step(line) for line in lines]
    state = pam_verdict._State(0)
    while state.line < len(steps):
        said = returns[state.line]
        action = steps[state.line].actions.get(said, steps[state.line].actions.get("default", "bad"))
        state = pam_verdict._after(state, steps, said == "success", action)
    return state.impression == "positive" and state.success


def test_random_stacks_end_as_libpam_ends_them(kvm_host: BootedHost) -> None:
    rng = random.Random(20261123)
    stacks = [stack(rng) for _number in range(STACKS)]
    with kvm_host.kept("/run/pam-stacks.json"):
        kvm_host.put("/run/pam-stacks.json", json.dumps([files for files, _lines, _returns in stacks]))
        real = json.loads(kvm_host.run(f"python3 - <<'PYTHON'\n{ASK}\nPYTHON"))
    ours = [lets_in(lines, returns) for _files, lines, returns in stacks]
    assert len(real) == STACKS
    assert 50 < sum(real) < STACKS - 50, "the stacks do not tell anything apart"
    differing = [files for (files, _lines, _returns), here, there in zip(stacks, ours, real) if here != there]
    assert not differing, differing[:3]
