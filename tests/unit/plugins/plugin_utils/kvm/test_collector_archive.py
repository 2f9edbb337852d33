# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive that kvm_info is sent with: all of the collector, and nothing else is needed."""

from __future__ import annotations

import ast
import base64
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm import collector_archive

MODULE = Path(collector_archive.__file__).parents[2] / "modules" / "kvm_info.py"
# A target: the module, as ansible-core packs it, without anything it does not import.
TARGET = """
import base64, sys
sys.path.insert(0, ".")
from ansible_collections.dwp.hypervisor.plugins.modules import kvm_info
sys.meta_path.insert(0, kvm_info.Archive(base64.b64decode(sys.stdin.read())))
collector, host = kvm_info.imported("collector"), kvm_info.imported("host")
print(collector.__file__)
print(",".join(collector.names()))
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import virsh_source
assert isinstance(host.Host("test:///default"), host.Host)
"""


def test_the_module_runs_from_the_archive_alone(tmp_path):
    place = tmp_path / "ansible_collections" / "dwp" / "hypervisor" / "plugins" / "modules"
    place.mkdir(parents=True)
    for folder in (place, *list(place.parents)[:4]):
        (folder / "__init__.py").touch()
    shutil.copy(MODULE, place)
    done = subprocess.run(
        [sys.executable, "-c", TARGET], input=collector_archive.archive(), cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    where, names = done.stdout.splitlines()
    assert where.endswith("/plugins/module_utils/kvm/collector.py")
    assert names.split(",") == collector.names()
    assert not [path for path in tmp_path.rglob("*") if "module_utils" in str(path)]


def test_another_interpreter_runs_the_archive(tmp_path):
    packed = tmp_path / "collector.zip"
    packed.write_bytes(base64.b64decode(collector_archive.archive()))
    request = {"libvirt_uri": "test:///default", "parts": ["clock"], "time_limit": 30}
    done = subprocess.run(
        [sys.executable, "-I", str(packed)], input=json.dumps(request), capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["collector"]["parts"] == ["clock"]


def test_ansible_core_finds_nothing_more_to_pack():
    imported = [
        node for node in ast.walk(ast.parse(MODULE.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert not [node for node in imported if "ansible_collections" in ast.dump(node)]


def test_the_same_files_make_the_same_archive_without_what_changes_a_host():
    once = collector_archive.archive()
    collector_archive.archive.cache_clear()
    assert collector_archive.archive() == once
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(once))).namelist()
    assert "ansible_collections/dwp/hypervisor/plugins/module_utils/kvm/parts/ssh.py" in names
    assert not [name for name in names if "changes" in name or "__pycache__" in name]
