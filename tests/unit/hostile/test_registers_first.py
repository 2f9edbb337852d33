# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wrote wrongly stops the run before any host is contacted, and says where."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook

BOMB = "- &a [x, x]\n- &b [*a, *a]\n- &c [*b, *b]\n- [*c]\n"
WRONG = {
    "not YAML": ("hypervisor_exceptions_file", "exceptions: [\n", "register.yml"),
    "unknown key": ("hypervisor_exceptions_file", "\n- id: EX-1\n  chekcs: []\n", "register.yml:3"),
    "another register": ("hypervisor_attestations_file", "exceptions: []\n", "register.yml:1"),
    "a list of text": ("hypervisor_attestations_file", "- <script>\n", "register.yml"),
    "an object of Python": ("hypervisor_exceptions_file", "!!python/object/apply:os.system [id]\n", "register.yml"),
    "anchors": ("hypervisor_exceptions_file", BOMB, "register.yml"),
    "binary": ("hypervisor_exceptions_file", "\x00\x01", "register.yml"),
    "a file that is not there": ("hypervisor_exceptions_file", None, "register.yml"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_malformed_register_stops_the_run_before_anything_is_contacted(what, tmp_path):
    variable, text, where = WRONG[what]
    if text is not None:
        (tmp_path / "register.yml").write_text(text)
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\ntouch {tmp_path}/contacted\nexit 255\n")
    ssh.chmod(0o755)
    host = {"ansible_host": "192.0.2.1", "ansible_ssh_executable": str(ssh), "hypervisor_platform": "kvm"}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"kvm1": host}}}))
    options = json.dumps({variable: str(tmp_path / "register.yml"), "hypervisor_report_dir": str(tmp_path / "reports")})
    done = run_playbook(tmp_path, str(CHECKOUT / "playbooks" / "audit.yml"), "-e", options)
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    (told,) = (line for line in output.splitlines() if line.startswith("fatal: "))
    assert where in told
    assert told.count("register.yml") == 1
    assert "Traceback" not in output
    assert not (tmp_path / "contacted").exists()
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "reports").exists()
