# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release that writes results and evidence. A test holds it against galaxy.yml, which is absent once installed."""

from __future__ import annotations

VERSION = "1.0.0"
