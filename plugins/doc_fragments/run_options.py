# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Generated from plugins/plugin_utils/plans/run_options.py: edit there, then run `make docs`.
"""What an operator allows to single areas in one run."""

from __future__ import annotations


class ModuleDocFragment:
    """The option `options`."""

    DOCUMENTATION = r"""
options:
  options:
    description:
    - What is allowed to single areas in this run. A name that no area reads is refused.
    type: dict
    default: {}
    suboptions:
      appliance_console_confirmed:
        description:
        - Read by role admin_network.
        - Limit who reaches a vCenter (11.4.2) by the firewall of its appliance. A list that leaves somebody out
          can be put right at the appliance's console only, so confirm that it can be reached.
        type: bool
        default: false
      console_confirmed:
        description:
        - Read by role access_control.
        - 'Put ESXi hosts into strict lockdown mode where C(gold_lockdown_mode) asks for it. It stops their console:
          a host that loses its vCenter then has to be installed anew.'
        type: bool
        default: false
      directory_account:
        description:
        - Read by role identity.
        - Account of the directory that may join hosts to C(gold_directory_domain), as user@domain. With it, ESXi
          hosts are joined where C(gold_vsphere_directory_mode) is V(ad).
        type: str
        default: ''
      directory_password:
        description:
        - Read by role identity.
        - The password of C(directory_account). Keep it in a vault; the collection keeps it nowhere.
        type: str
        default: ''
      install_updates:
        description:
        - Read by role patching.
        - Install the security updates that wait, but for what is on hold and what running machines hang on. Otherwise
          they are listed for a person.
        type: bool
        default: false
      live_vm_changes:
        description:
        - Read by role resource_governance.
        - Set the limits of 11.3.4 and 11.3.10, on vSphere of 11.3.2 too, on running machines as well, of those
          that C(hypervisor_allow_vm_changes) names.
        type: bool
        default: false
      log_authority_present:
        description:
        - Read by role logging.
        - The authority of the log servers' certificates is in the store of every ESXi host. Without it, a host
          that is told to check certificates stops sending logs silently, so targets and checking stay as they are.
        type: bool
        default: false
      migration_peers_ready:
        description:
        - Read by role image_library.
        - Those of C(gold_migration_peers) to and from which a migration over TLS was seen to work. TLS is forced
          once all of them are named.
        type: list
        default: []
        elements: str
      recovery_keys_stored:
        description:
        - Read by role platform_assurance.
        - The recovery key of every ESXi host is stored off the host. Without it, a host that requires secure boot
          and has its board or TPM changed has to be installed anew, so nothing is required.
        type: bool
        default: false
      restart_esxi_hosts:
        description:
        - Read once all areas are set.
        - 'Restart the ESXi hosts that wait for it, once all areas are set: in maintenance mode, one at a time in
          a cluster, where their machines move away by themselves and admission control holds without them. No host
          of another platform is restarted.'
        type: bool
        default: false
      standby_uplinks:
        description:
        - Read by role network_resilience.
        - Give port groups of standard switches the adapters of their switch that they leave unused, as standby.
          The physical switches have to carry the VLANs of the port group on them.
        type: bool
        default: false
      vpxuser_shell_off:
        description:
        - Read by role access_control.
        - Take the shell from vpxuser, as whom vCenter comes to an ESXi host. Neither vCenter nor a revert can give
          an account a shell afterwards.
        type: bool
        default: false
"""
