# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector of kvm_info as one archive, packed once for all hosts of a run.

What a module imports, ansible-core finds by parsing each file, in every run. For the 60 files of the collector that
is a tenth of a second; kvm_info imports them from this archive instead, which is one of its arguments.
"""

from __future__ import annotations

import base64
import io
import zipfile
from functools import lru_cache
from pathlib import Path

PLUGINS = Path(__file__).parents[2]
PACKAGE = PLUGINS / "module_utils" / "kvm"
PLACE = "ansible_collections/dwp/hypervisor/plugins"
# What only other modules import: the engine of kvm_changes.
LEFT_OUT = PACKAGE / "changes"


@lru_cache(maxsize=1)
def archive() -> str:
    """A zip archive as base64, with the collection's packages down to module_utils/kvm; it can be run by Python too.

    The same files always give the same text.
    """
    parents = [PLACE.rsplit("/", level)[0] if level else PLACE for level in range(4)]
    files = {f"{parent}/__init__.py": b"" for parent in parents}
    files["__main__.py"] = (PACKAGE / "program.py").read_bytes()
    for path in [PACKAGE.parent / "__init__.py", *sorted(PACKAGE.rglob("*.py"))]:
        if LEFT_OUT not in path.parents:
            files[f"{PLACE}/{path.relative_to(PLUGINS)}"] = path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            # Level 1: half the time, and a tenth larger.
            packed.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
