# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a firewall of the appliance would keep from their vCenter."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import appliance_settings
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found

RULES = "ACCEPT 192.0.2.0/24; REJECT 0.0.0.0/0; REJECT ::/0"
INSIDE, OUTSIDE = "192.0.2.11", "198.51.100.11"


def adapter(device: str, address: str, kind: str = "") -> dict[str, Any]:
    return {"device": device, "key": f"{kind}key-vim.host.VirtualNic-{device}", "spec": {"ip": {"ipAddress": address}}}


class Controller:
    """A vCenter with one host whose adapters have these addresses. management: devices that carry it; None: untold."""

    def __init__(self, addresses: list[str], management: list[str] | None) -> None:
        devices = {f"vmk{number}": address for number, address in enumerate(addresses)}
        values: dict[str, Any] = {
            "name": "esx1",
            "config.network.vnic": [adapter(device, address) for device, address in devices.items()],
        }
        if management is not None:
            candidates = [adapter(device, address, "management.") for device, address in devices.items()]
            values["config.virtualNicManagerInfo.netConfig"] = [
                {"nicType": "vmotion"},
                {
                    "nicType": "management",
                    "candidateVnic": candidates,
                    "selectedVnic": [one["key"] for one in candidates if one["device"] in management],
                },
            ]
        self._found = Found("HostSystem", "host-1", values, {})

    def all(self, _wanted: Any) -> dict[str, Found]:
        return {"host-1": self._found}


@pytest.mark.parametrize(
    ("addresses", "management", "out"),
    [
        ([INSIDE, OUTSIDE], ["vmk0"], []),
        ([OUTSIDE, INSIDE], ["vmk0"], ["esx1"]),
        ([INSIDE, OUTSIDE], ["vmk0", "vmk1"], ["esx1"]),
        ([INSIDE], None, []),
        ([INSIDE, OUTSIDE], None, ["esx1"]),
        ([INSIDE], [], []),
        ([], ["vmk0"], ["esx1"]),
    ],
)
def test_hosts_speak_to_their_vcenter_from_their_management_adapters(
    addresses: list[str], management: list[str] | None, out: list[str]
) -> None:
    assert appliance_settings.cut_off(Controller(addresses, management), RULES) == out
