# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the generated pages and role files, or check that they are up to date.

    python tools/gen_docs.py            write
    python tools/gen_docs.py --check    exit 1 and name what is out of date

Generated: docs/measures/*, docs/checks.md, docs/register-keys.md,
plugins/plugin_utils/schemas/{exceptions,attestations}.json, plugins/plugin_utils/standard/parsed_data.json,
plugins/doc_fragments/run_options.py, roles/gold/{defaults,meta}, roles/*/README.md and meta/main.yml.
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / ".collections"))

import option_docs  # noqa: E402
import page_checks  # noqa: E402
import page_measures  # noqa: E402
import register_pages  # noqa: E402
import role_files  # noqa: E402
from seen import load_snapshot  # noqa: E402

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import parsed_data  # noqa: E402
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import settings_files  # noqa: E402
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import (  # noqa: E402
    MEASURES_DIR,
    files_of,
    load_standard,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import load  # noqa: E402


def generate() -> dict[Path, str]:
    """Every generated file: path below the checkout -> text."""
    standard, seen = load_standard(), load_snapshot()
    data = {path: load(str(path)) for path in (*files_of(MEASURES_DIR), *settings_files())}
    return {
        parsed_data.FILE.relative_to(parsed_data.HERE.parents[1]): parsed_data.text(data),
        **page_measures.pages(standard, seen),
        **page_checks.pages(standard, seen),
        **register_pages.files(),
        **option_docs.files(),
        **role_files.files(standard, CHECKOUT / "roles"),
    }


def main(arguments: list[str]) -> int:
    """Write, or compare and name the differences."""
    if arguments not in ([], ["--check"]):
        print(__doc__)
        return 2
    wanted = generate()
    kept = set((CHECKOUT / "docs" / "measures").glob("*.md"))
    surplus = sorted(kept - {CHECKOUT / path for path in wanted})
    stale = [path for path, text in wanted.items() if not _same(CHECKOUT / path, text)]
    if arguments:
        for path in [*stale, *(path.relative_to(CHECKOUT) for path in surplus)]:
            print(f"{path} is out of date: run `make docs`")
        return 1 if stale or surplus else 0
    for path in stale:
        (CHECKOUT / path).parent.mkdir(parents=True, exist_ok=True)
        (CHECKOUT / path).write_text(wanted[path], encoding="utf-8")
    for path in surplus:
        path.unlink()
    print(f"{len(wanted)} generated files, {len(stale)} written, {len(surplus)} removed")
    return 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
