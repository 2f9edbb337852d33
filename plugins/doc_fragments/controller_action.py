# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of this collection have in common: they run on the controller and change no host."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of every action of the collection that changes no host."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: Runs on the controller, as an action plugin.
    support: full
  async:
    description: Cannot be run with C(async).
    support: none
  check_mode:
    description: The same in check mode, because verdicts come from facts that were only read.
    support: full
  diff_mode:
    description: Nothing on a host changes, so there is no difference to show.
    support: none
  platform:
    description: The controller's platforms.
    platforms: all
    support: full
"""
