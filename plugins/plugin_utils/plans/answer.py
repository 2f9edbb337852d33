# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an enforcement returns, gathered over the areas, and said aloud while it happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import account
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import each_setting, no_restarts

MAX_MESSAGE = 4000
Say = Callable[[str], None]
Area = dict[str, Any]


def nothing() -> Area:
    """An area of which nothing became anything; plugins/modules/enforce.py documents the keys."""
    return {
        "refused": "", "deferred": "", "updated": {}, "by_hand": [], "pending": [], "planned": [], "change": "",
        "seconds": 0.0,
    }  # fmt: skip


class Answer:
    """The answer for one inventory host.

    former: what this run did to the host before, see account. say, warn: show a line to the operator.
    """

    def __init__(self, name: str, standard: Standard, former: Mapping[str, Any], say: Say, warn: Say) -> None:
        self._name = name
        self._standard = standard
        self.former = former
        self._say = say
        self._warn = warn
        self._areas: dict[str, Area] = {}
        self._diff: list[Any] = []
        self._restarts = no_restarts()
        self._selected: dict[str, list[str]] = {}

    def refuse(self, area: str, reason: str) -> None:
        """Nothing of the area was changed, and the task fails."""
        self._areas[area] = {**nothing(), "refused": reason}

    def defer(self, area: str, reason: str) -> None:
        """Nothing of the area was changed in this run; that is no failure."""
        self._areas[area] = {**nothing(), "deferred": reason}
        self._say(f"  {self._name} {area}: {reason}")

    def plan(self, area: str, found: Proposal) -> None:
        """What was planned and not asked of the host."""
        by_hand = [{"checks": row["checks"], "what": row["what"]} for row in found.rows if row["kind"] == "by_hand"]
        planned = list(found.checks) if len(by_hand) < len(found.rows) else []
        self._areas[area] = {**nothing(), "by_hand": by_hand, "planned": planned}

    def add(self, area: str, found: Proposal, done: Mapping[str, Any]) -> None:
        """What the module on a host changed, or in check mode would change."""
        waits = {check: row["pending"] for row in found.rows if row.get("pending") for check in row["checks"]}
        updated = {
            setting: {**entry, "measures": sorted({self._standard.checks[check].measure for check in entry["checks"]})}
            for setting, entry in done["updated"].items()
        }
        self._diff += done.get("diff", [])
        entry = {
            **nothing(),
            "updated": updated,
            "by_hand": done["by_hand"],
            "pending": [{"check": check, "waits_for": what} for check, what in sorted(waits.items())],
            "change": done["change"],
            "seconds": done["seconds"],
        }
        self._show(area, entry)

    def take(self, area: str, entry: Area) -> None:
        """What became of an area on all the hosts of an endpoint."""
        for name, settings in entry["updated"].items():
            before, after = (
                "".join(f"{setting}: {json.dumps(one[key])}\n" for setting, one in settings.items())
                for key in ("old", "new")
            )
            header = visible(name)
            self._diff.append({"before_header": header, "after_header": header, "before": before, "after": after})
        self._show(area, entry)

    def take_restarts(self, entry: dict[str, dict[str, Any]]) -> None:
        """What became of the hosts of an endpoint that waited for a restart."""
        self._restarts = entry
        for host, why in entry["left"].items():
            self._say(visible(f"  {self._name} {host} is not restarted: {why}"))

    def take_selection(self, hosts: Iterable[str]) -> None:
        """The ESXi hosts of an endpoint that the run is for, by name, where it is not for all of them."""
        self._selected = {"selected": sorted(hosts)}

    def _show(self, area: str, done: Area) -> None:
        self._areas[area] = done
        settings = list(each_setting(done["updated"]))
        for setting, entry in settings:
            old, new = (str(entry[key])[:60] if entry[key] is not None else "-" for key in ("old", "new"))
            self._say(visible(f"  {self._name} {area} {', '.join(entry['measures'])}  {setting}: {old} -> {new}"))
        if settings:
            self._say(f"  {self._name} {area}: {len(settings)} settings in {done['seconds']} s")

    def result(self, fail: bool, run_directory: str | None = None) -> dict[str, Any]:
        """The task's result. fail: whether a refusal fails it, as it does but in check mode; run_directory: where what
        became of the areas is written instead of being in the result, see account.

        :raises OSError: it cannot be written.
        """
        refused = {area: entry["refused"] for area, entry in self._areas.items() if entry["refused"]}
        faults = [
            f"{area} on {name}: {fault}"
            for area, entry in self._areas.items()
            for name, fault in entry.get("faults", {}).items()
        ] + [f"restart of {name}: {fault}" for name, fault in self._restarts["faults"].items()]
        so_far = {
            **self.former,
            **self._selected,
            "areas": {**self.former["areas"], **self._areas},
            "restarts": {key: {**self.former["restarts"][key], **found} for key, found in self._restarts.items()},
        }
        answer: dict[str, Any] = {
            "changed": account.anything(self._areas, self._restarts),
            "areas": {} if run_directory else self._areas,
            "restarts": self._restarts,
            **self._selected,
            "planned": [area for area, entry in self._areas.items() if entry["planned"]],
            "diff": self._diff,
            "ansible_facts": {account.FACT: account.fact(so_far, run_directory, self._name)},
        }
        if refused:
            told = "; ".join(f"{area}: {reason}" for area, reason in refused.items())
            answer["msg"] = f"nothing was changed in {told}"
            answer["failed"] = fail
            if not fail:
                self._warn(f"{self._name}: would refuse {told}")
        if faults:
            answer["msg"] = visible("; ".join([*([answer["msg"]] if refused else []), *faults]))[:MAX_MESSAGE]
            answer["failed"] = True
        return answer
