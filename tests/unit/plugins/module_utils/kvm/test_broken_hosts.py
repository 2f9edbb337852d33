# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host answers, what was not understood is unknown: never pass, never fail.

A recording of a booted host is played back with its answers broken in every way the field has shown: permission denied,
no output, another language, cut in half, no answer in time. Each program is broken alone and all of them together.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Answer, Unreadable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.evaluate import evaluate
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import Errors, lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.recorded_host import ReplayHost

RECORDING = json.loads((Path(__file__).parent / "recordings" / "debian12.json").read_text())
VSPHERE = Path(__file__).parents[2] / "plugin_utils" / "vsphere_facts" / "esxi-8.0.json"
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)
# Settings of the site under which the recorded host passes what it can pass.
SITE = {
    "gold_authorised_accounts": ["root", "ansible", "alice", "bob", "oscar", "breakglass"],
    "gold_hypervisor_admins": ["alice", "bob", "ansible", "breakglass"],
    "gold_remote_admins": ["root", "ansible", "alice", "bob", "oscar", "breakglass"],
    "gold_admin_cidrs": ["10.213.0.0/16"],
    "gold_log_servers": ["log1"],
    "gold_kvm_type_position": "type1_minimised_host",
    "gold_notify": {"target": "soc", "tested_on": "2026-11-20"},
}
QUESTIONS = {"read_bytes", "head", "list", "stat", "link", "exists", "run", "libvirt"}
COMMANDS = sorted({key for key in RECORDING if key.startswith("run ")})


def denied(_value):
    raise Unreadable("Permission denied")


def timed_out(_value):
    raise Unreadable("did not answer within 10 s")


def refused(_value):
    return Answer(1, "", "Access denied\n")


def empty(_value):
    return Answer(0, "", "")


def foreign(_value):
    return Answer(0, "Zugriff verweigert: Vorgang nicht zulässig\n", "")


def cut(value):
    # In the middle of a line: a cut between two lines of a list shows itself to nobody.
    return Answer(value.rc, value.out[: len(value.out) // 2].rstrip("\n"), value.err)


BROKEN_COMMANDS = {
    "time-out": timed_out,
    "refused": refused,
    "empty": empty,
    "another language": foreign,
    "truncated": cut,
}


def facts_of(broken=None):
    return collector.collect(ReplayHost(RECORDING, broken))


def gold():
    known = gold_config.defaults()
    return {**known, **{name: value for name, value in SITE.items() if name in known}}


def paths_of(check):
    """Every path of the facts document that a check names; optional ones too."""
    data = check.data
    paths = [str(path).rstrip("?") for path in data.get("facts", {}).values()]
    rules = (data, data.get("persistent", {}), *data.get("all", []), *data.get("not_applicable", []))
    paths += [rule["fact"] for rule in rules if "fact" in rule and "each" not in data]
    return paths + ([data["each"]] if "each" in data else [])


def read_by(check, facts):
    """The facts a check looks at, as they are now."""
    return json.dumps([lookup(facts, path) for path in paths_of(check)], sort_keys=True, default=str)


def verdicts(facts):
    standard, values = load_standard(), gold()
    return {
        check.id: (evaluate(check, facts, values, standard.gold).status, read_by(check, facts))
        for check in standard.checks.values()
        if check.platform in ("all", "kvm")
    }


@pytest.fixture(scope="module")
def whole():
    return verdicts(facts_of())


def test_the_recording_is_complete():
    """A part that asks something new needs a new recording (tests/integration/kvm/record.py)."""
    host = ReplayHost(RECORDING)
    collector.collect(host)
    assert not [key for key in host.asked if key not in RECORDING]


def test_every_fact_that_a_check_names_is_collected():
    """A path that no part fills would make its check unknown for ever, and no case with made-up facts would show it.

    A check of all platforms may name a path for each.
    """
    facts, others = facts_of(), json.loads(VSPHERE.read_bytes())
    facts["assessment"] = {"gold_sha256": ""}
    known = Errors(facts["collector"]["errors"])
    lost = []
    for check in load_standard().checks.values():
        if check.platform in ("all", "kvm"):
            lost += [
                f"{check.id}: {path}"
                for path in paths_of(check)
                if lookup(facts, path) is None
                and not known.reason(path)
                and not (check.platform == "all" and lookup(others, path) is not None)
            ]
    assert not lost, "\n".join(lost)


def test_the_recording_has_passes_and_fails_to_lose(whole):
    statuses = [status for status, _facts in whole.values()]
    assert statuses.count("pass") >= 15
    assert statuses.count("fail") >= 15


def test_a_host_that_denies_everything_shows_nothing(whole):
    def broken(method, _args, value):
        return denied(value) if method in QUESTIONS else value

    facts = facts_of(broken)
    assert facts["collector"]["errors"]
    standard, values = load_standard(), gold()
    for check_id, (status, _facts) in verdicts(facts).items():
        check = standard.checks[check_id]
        floors = [standard.gold[name].floor_fault(values[name]) for name in check.gold]
        alone = not set(check.data.get("facts", {}).values()) - {"host.collected_at", "assessment.gold_sha256"}
        if "manual" in check.data or any(floors) or ("test" in check.data and alone):
            continue
        assert status == "unknown", (
            f"{check_id} is {status} on a host that denied everything (was {whole[check_id][0]})"
        )


def changed_wrongly(before, after):
    """What is not the same verdict on the same facts, nor unknown, nor a fail that other facts still prove."""
    wrong = []
    for check_id, (status, facts) in after.items():
        was, had = before[check_id]
        if status == "unknown" or (status == was and (facts == had or was == "fail")):
            continue
        wrong.append(
            f"{check_id}: {was} became {status}" if status != was else f"{check_id}: still {status} on other facts"
        )
    return wrong


@pytest.mark.parametrize("mode", sorted(BROKEN_COMMANDS))
def test_all_programs_broken(whole, mode):
    def broken(method, _args, value):
        return BROKEN_COMMANDS[mode](value) if method == "run" else value

    wrong = changed_wrongly(whole, verdicts(facts_of(broken)))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("mode", sorted(BROKEN_COMMANDS))
@pytest.mark.parametrize("command", COMMANDS, ids=lambda key: key[6:60])
def test_one_program_broken(whole, command, mode):
    def broken(method, args, value):
        if method != "run" or args[0] != json.loads(command[4:])[0]:
            return value
        return BROKEN_COMMANDS[mode](value)

    wrong = changed_wrongly(whole, verdicts(facts_of(broken)))
    assert not wrong, "\n".join(wrong)


# Checks that look at a wide branch of facts and whose verdict rests on another part of it.
RESTS_ON_OTHERS = (
    "kvm-11.2.1-sig-enforce",
    "kvm-11.2.8-path-acl",
    "kvm-11.3.2-policy",
    "kvm-11.3.4-policy",
    "kvm-11.4.6-ssh-in-force",
    "kvm-11.4.6-ssh-keywords",
)
FILES = [
    key for key in sorted(RECORDING) if key.startswith(("read_bytes", "list", "stat")) and "value" in RECORDING[key]
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("place", ["/etc/", "/run/", "/var/"])
def test_one_file_denied(whole, place):
    """Each file and directory of the host alone: the checks that need it are unknown, nobody is accused."""
    wrong = []
    for key in FILES:
        method, _space, arguments = key.partition(" ")
        path = json.loads(arguments)[0]
        if path.startswith(place):

            def broken(asked, args, value, method=method, path=path):
                return denied(value) if asked == method and args[0] == path else value

            found = changed_wrongly(whole, verdicts(facts_of(broken)))
            wrong += [f"{key}: {entry}" for entry in found if not entry.startswith(RESTS_ON_OTHERS)]
    assert not wrong, "\n".join(wrong)


def test_libvirt_that_does_not_answer(whole):
    def broken(method, _args, value):
        return timed_out(value) if method == "libvirt" else value

    wrong = changed_wrongly(whole, verdicts(facts_of(broken)))
    assert not wrong, "\n".join(wrong)
