# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import key_providers

STANDARD = {"clusterId": {"id": "kms"}, "managementType": "vCenter", "useAsDefault": "true"}
NATIVE = {"clusterId": {"id": "native"}, "managementType": "nativeProvider", "hasBackup": "true"}


@pytest.mark.parametrize(
    ("entry", "health", "healthy"),
    [
        (STANDARD, {"overallStatus": "green"}, True),
        (STANDARD, {"overallStatus": "yellow"}, False),
        (STANDARD, {"servers": [{"name": "kms1", "status": "green"}]}, True),
        (STANDARD, {"servers": [{"name": "kms1", "status": "red"}]}, False),
        # Nobody told of its servers: that is not health.
        (STANDARD, {}, None),
        # Its keys are in the vCenter itself.
        (NATIVE, {}, True),
    ],
)
def test_a_provider_is_healthy_when_somebody_says_so(entry, health, healthy):
    assert key_providers._provider(entry, health).get("healthy") is healthy
