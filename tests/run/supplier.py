# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supplier's template (examples/supplier), run as a supplier would: outside the checkout, from the built artefact.

Nothing of the checkout is on the collections' path, and no Galaxy server is known.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from artefact import BUILD, install
from awx import lab_command
from stage import BIN, CHECKOUT, environment

FOLDER = BUILD / "supplier"
HOST = "supplier"
LIMIT = 600  # seconds for the whole scenario


def main() -> None:
    """Install the artefact, boot a host, run the scenario in a copy of the template."""
    collections = install(FOLDER / "install")
    project = FOLDER / "project"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(CHECKOUT / "examples" / "supplier", project)
    settings = FOLDER / "ansible.cfg"
    settings.write_text("[defaults]\n[galaxy]\nserver_list =\n", encoding="utf-8")
    inventory = lab_command("up", HOST).splitlines()[-1]
    try:
        done = subprocess.run(
            [str(BIN / "molecule"), "test"],
            cwd=project,
            check=False,
            timeout=LIMIT,
            env={
                **environment(),
                "ANSIBLE_CONFIG": str(settings),
                "ANSIBLE_COLLECTIONS_PATH": str(collections),
                "ANSIBLE_HOME": str(FOLDER / "home"),
                "SUPPLIER_INVENTORY": inventory,
            },
        )
    finally:
        lab_command("down", HOST)
    sys.exit(done.returncode)


if __name__ == "__main__":
    os.environ.update(environment())
    main()
