# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target read over its API and judged in this process, for tests that do so hundreds of times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector, session
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold, loader
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

STANDARD = loader.load_standard()
# Those whose verdict comes from facts.
CHECKS = {
    check.id: check for check in STANDARD.checks.values() if check.platform == "vsphere" and "manual" not in check.data
}
SITE = {name: value for name, value in hardening.SITE.items() if name.startswith("gold_")}


def facts_of(target: Target) -> dict[str, dict[str, Any]]:
    """{name of the vCenter or host: its facts}."""
    denied = [{"principal": pair["principal"], "vm": pair["domain_uuid"]} for pair in SITE["gold_deny_map"]]
    with session.logged_in(target.endpoint()) as opened:
        return {found.name: found.facts for found in collector.collect(opened, denied)}


def results_of(target: Target, facts: Mapping[str, Any], name: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """{check: result} of the checks of vSphere that are judged on the subject. settings: gold beside the site's."""
    kind = "controller" if name == target.name else "host"
    # A stand-alone host is judged as its own vCenter too.
    scopes = {kind, "both"} if facts["host"].get("controller") or kind == "controller" else {kind, "both", "controller"}
    subject = {"id": name, "name": name, "slug": name, "platform": "vsphere", "kind": kind, "endpoint": target.name,
               "tags": {}}  # fmt: skip
    document = assess.assess(
        facts,
        standard=STANDARD,
        gold=gold.effective({**gold.defaults(), **SITE, **settings}, subject),
        subject=subject,
        now=dt.datetime.now(dt.timezone.utc),
    )
    return {
        result["check"]: result
        for result in document["results"]
        if result["check"] in CHECKS and CHECKS[result["check"]].judged_on in scopes
    }
