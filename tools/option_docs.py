# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a run (plans/run_options.py) as the fragment of documentation that the actions share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.run_options import OPTIONS, RunOption

FRAGMENT = Path("plugins/doc_fragments/run_options.py")
HEAD = '''\
# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Generated from plugins/plugin_utils/plans/run_options.py: edit there, then run `make docs`.
"""What an operator allows to single areas in one run."""

from __future__ import annotations


class ModuleDocFragment:
    """The option `options`."""

    DOCUMENTATION = r"""
'''


def files() -> dict[Path, str]:
    """Path below the checkout -> text."""
    option = {
        "description": ["What is allowed to single areas in this run. A name that no area reads is refused."],
        "type": "dict",
        "default": {},
        "suboptions": {name: _documented(about) for name, about in OPTIONS.items()},
    }
    text = yaml.safe_dump({"options": {"options": option}}, sort_keys=False, width=110)
    return {FRAGMENT: f'{HEAD}{text}"""\n'}


def _documented(about: RunOption) -> dict[str, Any]:
    reader = f"Read by role {about.area}." if about.area else "Read once all areas are set."
    return {"description": [reader, about.description], **about.documented}
