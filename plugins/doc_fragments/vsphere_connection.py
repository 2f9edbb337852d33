# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an action logs in to a vCenter or an ESXi host."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the actions that ask the vSphere API."""

    DOCUMENTATION = r"""
options:
  port:
    description: The port of the vSphere API on V(ansible_host). For platform V(vsphere).
    type: int
    default: 443
  validate_certs:
    description:
      - Whether the certificate has to be signed by a known authority and name the host. For platform V(vsphere).
    type: bool
    default: true
  ca_file:
    description:
      - PEM file of the authorities to trust, on the controller. The system's own when not given. For platform
        V(vsphere).
    type: path
  certificate_sha256:
    description:
      - SHA-256 fingerprint of the one certificate to accept, whoever signed it and whatever name it carries. For
        platform V(vsphere).
    type: str
requirements:
  - pyvmomi on the controller, for platform C(vsphere)
notes:
  - Host, user and password of a vCenter or ESXi host are V(ansible_host), V(ansible_user) and V(ansible_password) of
    the inventory host, with V(ansible_connection=local).
"""
