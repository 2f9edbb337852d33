# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up host with many domains for libvirt's in-process test driver."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from clock import CHECKOUT

SAMPLE = CHECKOUT / "examples" / "demo" / "libvirt-sample.xml"


def write(path: Path, domains: int) -> str:
    """Write a node with that many domains, the demo's four over and over, and return its libvirt URI."""
    tree = ElementTree.parse(SAMPLE)
    node = tree.getroot()
    models = node.findall("domain")
    for model in models:
        node.remove(model)
    for number in range(domains):
        domain = ElementTree.fromstring(ElementTree.tostring(models[number % len(models)]))
        domain.find("name").text += f"-{number}"
        domain.find("uuid").text = f"3b1d2f6c-7a52-4e55-9d6f-{number:012x}"
        for kind, nic in enumerate(domain.iter("mac")):
            nic.set("address", f"52:54:{kind:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}")
        for port in domain.findall("devices/graphics"):
            port.set("port", "-1")
            port.set("autoport", "yes")
        node.append(domain)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree.write(path)
    return f"test://{path}"
