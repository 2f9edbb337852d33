# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which record of a register covered a result until it ran out: what every format tells of a failure that returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o

Record = Mapping[str, Any]
# status of a result: the register whose record would have covered it
_REGISTERS = {o.FAIL: "exceptions", o.MANUAL: "attestations"}


class Expired:
    """The expired records of a run's registers, by the subject and the check or measure they met."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self._records: dict[tuple[str, str, str], Record] = {}
        for kind in _REGISTERS.values():
            register = run["registers"][kind]
            for record in register["records"] if register else ():
                if record["state"] == "expired":
                    names = record["checks"] or [record["measure"]]
                    for subject in record["subjects"]:
                        self._records.update(dict.fromkeys(((kind, subject, name) for name in names), record))

    def of(self, result: Mapping[str, Any]) -> Record | None:
        """The expired exception of a failing result, or the expired attestation of a manual one."""
        kind = _REGISTERS.get(result["status"]) if self._records else None
        if kind is None:
            return None
        subject = result["subject"]
        found = self._records.get((kind, subject, result["check"]))
        return found or self._records.get((kind, subject, result["measure"]))
