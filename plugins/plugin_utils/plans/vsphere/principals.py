# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a principal of a vCenter is, and whether the account of the run may be among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import roles as rules

MAX_NAMES = 5


def may_be_own(situation: Situation, principal: str) -> bool:
    """Whether a principal (a group with a leading %) may be the account of the run, or a group that it is in.

    Rather yes than no: the account and the permission may write one domain in two ways (LAB, lab.example.org), and who
    is in a group nobody told. Groups of the single sign-on domain take members from everywhere; those of a directory
    take none from the single sign-on domain.
    """
    product = rules.BuiltIn(str(entry["principal"]) for entry in situation.facts["rbac"]["permissions"])
    names = [situation.account, *filter(None, [situation.known_as])]
    return any(_may_be(principal, account, ("", *product.domains)) for account in names)


def _may_be(principal: str, account: str, open_to_all: Iterable[str]) -> bool:
    own_domain, own_name = rules.split(account)
    domain, name = rules.split(principal.lstrip("%"))
    if not principal.startswith("%"):
        return name == own_name
    return domain in open_to_all or not own_domain or domain.split(".")[0] == own_domain.split(".")[0]


def item(permission: Mapping[str, Any]) -> str:
    """As the checks name a permission."""
    return f"{rules.label(permission)} on {permission['entity']}"


def several(names: Iterable[str]) -> str:
    """Names in a sentence, five at most."""
    listed = [str(name)[:80] for name in names]
    more = len(listed) - MAX_NAMES
    return ", ".join(listed[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
