# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commands amount to root, and which reach the logs."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.sudo_rights import log_reason, root_reason


@pytest.mark.parametrize(
    "command",
    [
        "ALL",
        "/bin/bash",
        "/bin/bash -c x",
        "/usr/bin/vi /etc/motd",
        "/usr/bin/vim.basic",
        "/usr/bin/python3.11 /opt/x.py",
        "/bin/su",
        "/bin/su -",
        "/bin/su - root",
        "/usr/bin/sudo",
        "/usr/bin/*",
        "/opt/tools/",
        "/home/bob/x",
        "/tmp/x",
        "/usr/bin/less /var/log/x",
        "/usr/bin/systemctl",
        "/usr/bin/systemctl edit x",
        "/usr/bin/systemctl status x",
        "/usr/bin/systemctl restart *",
        "/usr/bin/tee",
        "/usr/bin/tee /etc/*",
        "/usr/bin/find",
        "/usr/bin/virsh",
        "/usr/bin/docker ps",
        "sudoedit",
        "sudoedit /etc/shadow",
        "sudoedit /srv/*",
        "bash",
        "/usr/bin/journalctl",
    ],
)
def test_amounts_to_root(command):
    assert root_reason(command)


@pytest.mark.parametrize(
    "command",
    [
        "!/bin/bash",
        "/bin/su - postgres",
        "/usr/bin/systemctl restart libvirtd",
        "/usr/bin/systemctl --no-pager status libvirtd",
        '/usr/bin/tee ""',
        "/usr/bin/tee /srv/motd",
        "/usr/bin/virsh list --all",
        "sudoedit /srv/app.conf",
        "/usr/sbin/reboot",
        "/usr/bin/journalctl --no-pager -u libvirtd",
    ],
)
def test_is_bounded(command):
    assert root_reason(command) == ""


def test_noexec_stops_a_pager_but_not_an_editor():
    assert root_reason("/usr/bin/less /var/log/x", noexec=True) == ""
    assert root_reason("/usr/bin/vi /var/log/x", noexec=True)


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/systemctl stop auditd",
        "/usr/bin/systemctl restart libvirtd rsyslog.service",
        "/usr/sbin/auditctl -e 0",
        "/usr/sbin/augenrules --load",
        "/usr/bin/journalctl --no-pager --vacuum-time=1s",
        "/usr/bin/rm /var/log/auth.log",
        "/usr/bin/tee /etc/rsyslog.d/x.conf",
        "/usr/sbin/logrotate -f /etc/logrotate.conf",
        "/usr/bin/pkill auditd",
        "ALL",
    ],
)
def test_reaches_the_logs(command):
    assert log_reason(command)


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/systemctl restart libvirtd",
        "/usr/sbin/auditctl -s",
        "/usr/sbin/ausearch -k x",
        "/usr/bin/journalctl --no-pager -u libvirtd",
        "/usr/bin/systemctl --no-pager status auditd",
    ],
)
def test_leaves_the_logs_alone(command):
    assert log_reason(command) == ""
