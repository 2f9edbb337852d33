# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python's search for cycles, switched off where there are none and looking for them takes as long as the work."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """For a worker that lives for one task. ansible-core parses every file that it packs for a module. Neither those
    trees nor facts nor results hold cycles: looking through them takes longer than parsing and judging them, and among
    the million of a fleet a third of the time of a report."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
