# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector's one door to the host keeps its limits."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Host, Unreadable


def test_the_time_limit_holds_for_children_that_keep_the_pipes_open():
    started = time.monotonic()
    with pytest.raises(Unreadable, match=r"did not answer within 0\.5 s"):
        Host().run(["sh", "-c", "sleep 30 & sleep 30"], timeout=0.5)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("held", [True, False])
def test_a_fifo_is_never_waited_for(tmp_path, held):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR) if held else None
    started = time.monotonic()
    assert Host().head(path, 512) == b""
    with pytest.raises(Unreadable, match="is a FIFO"):
        Host().read(path)
    assert time.monotonic() - started < 2
    if writer is not None:
        os.close(writer)


def test_devices_links_and_large_files_have_a_limit(tmp_path):
    (tmp_path / "zero.conf").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (("zero.conf", "is larger than"), ("loop", "symbolic links")):
        with pytest.raises(Unreadable, match=reason):
            Host().read(str(tmp_path / name))
    assert Host().head(str(tmp_path / "zero.conf"), 16) == b"\0" * 16
