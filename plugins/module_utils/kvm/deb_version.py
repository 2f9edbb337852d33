# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare Debian package versions as dpkg does (deb-version(7)), without starting dpkg for each pair."""

from __future__ import annotations

import re

_PIECES = re.compile(r"(\D*)(\d*)")


def newer(left, right):
    """Whether version `left` is later than version `right`."""
    return key(left) > key(right)


def key(version):
    """A sort key: epoch, upstream version, revision."""
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", version.strip()
    upstream, _dash, revision = rest.rpartition("-")
    if not upstream:
        upstream, revision = rest, "0"
    return (int(epoch) if epoch.isdigit() else 0, _part(upstream), _part(revision))


def _part(text):
    """Alternating non-digit and digit pieces; in a non-digit piece ~ sorts before the end, letters before the rest."""
    pieces = []
    for letters, digits in _PIECES.findall(text):
        if not letters and not digits:
            break
        pieces.append([_weight(char) for char in letters] + [0])
        pieces.append([int(digits or 0)])
    # What ends earlier is older, except against a following ~: the end weighs 0, ~ weighs -1.
    pieces.append([0])
    return pieces


def _weight(char):
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256
