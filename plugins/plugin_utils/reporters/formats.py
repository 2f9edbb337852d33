# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats of a report. Each has a module of its own here, imported only when the format is asked for.

A format's module offers `files(run, standard)`: it yields (file name, content), the content as bytes or in pieces, so
that no format of a large run is ever held in memory whole. The same run document gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

# format: its module
FORMATS = {
    "json": "results_json",
    "html": "report_html",
    "csv": "results_csv",
    "junit": "results_junit",
    "ohdf": "results_ohdf",
    "oscal": "results_oscal",
    "sarif": "results_sarif",
    "markdown": "summary_markdown",
    "oscal_component": "oscal_component",
}
DEFAULT = ("json", "html", "csv", "junit", "ohdf", "oscal")
# Written first where two are written at a time, for they take longest.
LONG = ("html", "oscal")
# Folders that belong to a format alone: a file of an earlier report in them would tell of a subject that is gone.
FOLDERS = {"html": "report", "ohdf": "ohdf"}


def files(name: str, run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, bytes | Iterable[bytes]]]:
    """The files of one format: (name relative to the run directory, content). A piece is made when it is asked for."""
    module = import_module(f"{__package__}.{FORMATS[name]}")
    yield from module.files(run, standard)
