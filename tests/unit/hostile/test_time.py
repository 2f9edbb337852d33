# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of the largest size that is read, made to be slow, is read in seconds or refused.

Python holds its lock while a regular expression matches: the collector's time limit cannot end a slow one.
"""

from __future__ import annotations

import time

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import (
    libvirt_conf,
    pam_stack,
    passwd,
    rsyslog_conf,
    sshd_config,
    sssd_conf,
    sudoers,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

SIZE = 1024 * 1024 - 100
SECONDS = 20
PUMPS = {
    "dots": "a.",
    "letters": "a",
    "blanks": " ",
    "tabs": "\t",
    "commas": " ,",
    "quotes": '"',
    "backslashes": "\\",
    "open": "action(",
    "brackets": "a=[",
    "lines": "\n",
    "assignments": "a=",
}
READERS = {
    "rsyslog": (rsyslog_conf.read, "/etc/rsyslog.conf", "*.* "),
    "sudoers": (sudoers.read_tree, "/etc/sudoers", "alice "),
    "pam": (lambda host: pam_stack.stack(host, "sshd"), "/etc/pam.d/sshd", "auth "),
    "sshd": (sshd_config.read, sshd_config.MAIN, "Match "),
    "sssd": (sssd_conf.read, sssd_conf.MAIN, "[sssd]\n"),
    "passwd": (lambda host: passwd.users(host.read("/etc/passwd")), "/etc/passwd", "x:"),
    "libvirt": (lambda host: libvirt_conf.parse(host.read("/x")), "/x", "a = "),
}


@pytest.mark.parametrize("pump", PUMPS)
@pytest.mark.parametrize("reader", READERS)
def test_a_megabyte_of_anything_takes_seconds(reader, pump):
    read, path, head = READERS[reader]
    text = (head + PUMPS[pump] * (SIZE // len(PUMPS[pump])))[:SIZE]
    started = time.process_time()
    try:
        read(FakeHost({path: text}))
    except (Unreadable, ValueError, libvirt_conf.BadConfiguration):
        pass
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("text", ["a = [[[[", "a = " + "9" * 6000, "a = [" + "[" * 100_000])
def test_what_libvirt_refuses_is_refused_here(text):
    with pytest.raises(libvirt_conf.BadConfiguration, match="line 1"):
        libvirt_conf.parse(text)
