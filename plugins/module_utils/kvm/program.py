# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector as a program for another interpreter: {libvirt_uri, parts, time_limit} as JSON in, the facts out."""

from __future__ import annotations

import json
import sys

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Host


def main():
    """Read the request from stdin and print the facts document."""
    request = json.load(sys.stdin)
    facts = collector.collect(Host(request["libvirt_uri"]), request["parts"], request["time_limit"])
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
