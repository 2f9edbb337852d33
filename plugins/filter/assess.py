# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assess a facts document, or a stored evidence file, inside one's own playbook."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess as assessor
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.redaction import redact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import registers
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS, Standard, load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

# The product line of a vCenter (vim.AboutInfo.productLineId): it is judged as the controller of its hosts.
VCENTER = "vpx"


def assess(
    facts: Any,
    gold: Any = None,
    measures: Any = None,
    exceptions: Any = None,
    attestations: Any = None,
    name: Any = None,
) -> dict[str, Any]:
    """The subject-results document of a facts document, judged now. See assess.yml."""
    try:
        standard = load_standard()
        document = _mapping(plain(facts), "the input", "a facts document, as dwp.hypervisor.kvm_info returns it")
        subject = _subject(document, name)
        given = _mapping(plain(gold or {}), "gold", "a mapping of gold_* settings")
        values = gold_config.effective({**gold_config.defaults(), **given}, subject)
        accepted, signed = _registers(exceptions, attestations, standard)
        if (accepted or signed) and not name:
            # A host decides what it calls itself; an approval is for the name in the inventory.
            raise ValueError("name is needed with exceptions or attestations, for example name=inventory_hostname")
        return assessor.assess(
            redact(document),
            standard=standard,
            gold=values,
            now=dt.datetime.now(dt.timezone.utc),
            subject=subject,
            exceptions=accepted,
            attestations=signed,
            measures=_measures(measures),
        )
    except (TypeError, ValueError, OSError) as error:
        raise AnsibleFilterError(f"dwp.hypervisor.assess: {error}") from error


def reassess(path: Any, measures: Any = None, exceptions: Any = None, attestations: Any = None) -> dict[str, Any]:
    """The subject-results document of a stored evidence file, judged as of its date. See reassess.yml."""
    try:
        standard = load_standard()
        accepted, signed = _registers(exceptions, attestations, standard)
        return evidence.reassess(str(path), standard, accepted, signed, _measures(measures))
    except (TypeError, ValueError, OSError) as error:
        raise AnsibleFilterError(f"dwp.hypervisor.reassess: {error}") from error


def _mapping(value: Any, what: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{what} is a {type(value).__name__}, expected {expected}")
    return value


def _subject(document: Mapping[str, Any], name: Any) -> dict[str, Any]:
    host = document.get("host")
    host = host if isinstance(host, dict) else {}
    platform = host.get("platform")
    if platform not in PLATFORMS[1:]:
        hint = nearest(platform, PLATFORMS[1:])
        raise ValueError(
            f"host.platform of the facts is {platform!r}, expected one of {', '.join(PLATFORMS[1:])}"
            + (f"; did you mean {hint}?" if hint else "")
        )
    endpoint = str(name or host.get("name") or "unnamed")[:200]
    found = evidence.subject_id(endpoint, host.get("uuid"))
    return {
        "id": found,
        "name": endpoint,
        "slug": evidence.slug(found),
        "endpoint": endpoint,
        "platform": platform,
        "kind": "controller" if host.get("product_line") == VCENTER else "host",
        "product": str(host.get("product") or "")[:200],
    }


def _registers(exceptions: Any, attestations: Any, standard: Standard) -> tuple[list[Any], list[Any]]:
    """Registers given as the path of a file or as a list of records."""
    loaded = []
    for given, what, from_file, from_memory in (
        (exceptions, "exceptions", registers.load_exceptions, registers.check_exceptions),
        (attestations, "attestations", registers.load_attestations, registers.check_attestations),
    ):
        if isinstance(given, str):
            loaded.append(from_file(str(given), standard))
        else:
            loaded.append(from_memory(plain(given), what, standard))
    return loaded[0], loaded[1]


def _measures(measures: Any) -> list[str] | None:
    if measures is None:
        return None
    if isinstance(measures, str) or not isinstance(measures, (list, tuple)):
        raise TypeError(f'measures is {measures!r}, expected a list of ids such as ["11.4.6"]')
    return [str(measure) for measure in measures]


class FilterModule:
    """Filters of the assessor."""

    def filters(self) -> dict[str, Any]:
        return {"assess": assess, "reassess": reassess}
