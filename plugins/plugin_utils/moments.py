# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages of dated evidence. A date nobody can read is a missing fact, a date in the future is no evidence."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact


def moment(text: Any, what: str) -> dt.datetime:
    """A date or date-time in ISO 8601; without a zone it is UTC.

    :raises MissingFact: it is none.
    """
    try:
        found = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        raise MissingFact(f"{what} is no date: {str(text)[:40]!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)


def hours_between(then: Any, now: Any, what: str) -> float:
    """Hours from `then` to `now`; negative when `then` lies in the future."""
    return (moment(now, "the time of the audit") - moment(then, what)).total_seconds() / 3600


def days_between(then: Any, now: Any, what: str) -> float:
    """Days from `then` to `now`."""
    return hours_between(then, now, what) / 24
