# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hypervisor_options and the other run variables: documented, and refused before a host is contacted where misspelt."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.dwp.hypervisor.plugins.action import enforce
from ansible_collections.dwp.hypervisor.plugins.doc_fragments.run_options import ModuleDocFragment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import account, proposal, registry, run_options
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.connection import CONNECTION
from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook

AREAS = sorted({area for platform in proposal.PLATFORMS for area in proposal.areas(load_standard(), platform)})
# Nothing answers there; whoever contacts it says so.
NOWHERE = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=1", "hypervisor_platform": "kvm"}
WRONG = [
    ({"live_vm_change": True}, r"'live_vm_change', which no area reads; did you mean live_vm_changes\?"),
    ({"reboot": True}, r"'reboot', which no area reads\. Options: .*install_updates \(patching, bool\)"),
    ({"install_updates": "perhaps"}, "install_updates.*'perhaps' is not a valid boolean"),
    ({"migration_peers_ready": {"kvm2": True}}, "migration_peers_ready.*cannot be converted to a list"),
]


def spec(role: str) -> dict:
    """The options of a role's argument spec."""
    text = (CHECKOUT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["argument_specs"]["main"]["options"]


def play(folder: Path, playbook: str, options: dict) -> str:
    """What a run says that stops at its options."""
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"kvm1": NOWHERE}}}))
    given = {"hypervisor_report_dir": str(folder / "reports"), "hypervisor_options": options}
    done = run_playbook(folder, playbook, "-e", json.dumps(given))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "unreachable=0" in done.stdout
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(("options", "told"), WRONG)
def test_harden_stops_before_a_host_is_contacted(tmp_path, options, told):
    assert re.search(told, play(tmp_path, str(CHECKOUT / "playbooks" / "harden.yml"), options))
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(("options", "told"), WRONG)
def test_a_role_used_alone_stops_before_the_host_is_contacted(tmp_path, options, told):
    roles = [{"role": "dwp.hypervisor.resource_governance"}]
    alone = [{"name": "Alone", "hosts": "all", "gather_facts": False, "roles": roles}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(alone))
    assert re.search(told, play(tmp_path, "play.yml", options))


@pytest.mark.parametrize("area", AREAS)
def test_every_run_variable_of_the_action_is_in_the_roles_spec(area):
    own = run_options.of_area(area)
    documented = spec(area)
    # What a role reads for hosts of vSphere alone is no variable of a role that has none.
    of_vsphere = {*CONNECTION, "state_dir", "esxi_hosts"}
    others = set() if "vsphere" in documented["hypervisor_platform"]["choices"] else of_vsphere
    names = set(enforce.RUN_VARIABLES) - others - (set() if own else {"options"})
    variables = {f"hypervisor_{name}" for name in names}
    assert {name for name in documented if name.startswith("hypervisor_")} == variables | {"hypervisor_platform"}
    for name, option in own.items():
        words = " ".join(documented["hypervisor_options"]["description"])
        assert f"C({name}) ({option.type}" in words and f"V({json.dumps(option.default)}) when not given" in words


def test_every_variable_that_harden_reads_is_in_its_spec():
    texts = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "roles" / "harden" / "tasks").glob("*.yml")]
    read = {name for text in texts for name in re.findall(r"\bhypervisor_[a-z0-9_]+", text)}
    read.discard(account.FACT)
    passed_on = {f"hypervisor_{name}" for name in enforce.RUN_VARIABLES}
    assert read | passed_on <= set(spec("harden"))
    assert all(f"C({name})" in str(spec("harden")["hypervisor_options"]) for name in run_options.OPTIONS)


@pytest.mark.parametrize("module", ["enforce", "prepare"])
def test_the_actions_document_each_option(module):
    path = CHECKOUT / "plugins" / "modules" / f"{module}.py"
    (text,) = re.findall(r'DOCUMENTATION = r"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL)
    assert "dwp.hypervisor.run_options" in yaml.safe_load(text)["extends_documentation_fragment"]
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["options"]["suboptions"]
    facts = {name: {key: about[key] for key in ("type", "default", "elements") if key in about}
             for name, about in documented.items()}  # fmt: skip
    assert facts == {name: option.documented for name, option in run_options.OPTIONS.items()}
    areas = {name: about.area for name, about in run_options.OPTIONS.items()}
    assert all(f"role {areas[name]}" in str(about) for name, about in documented.items() if areas[name])


def test_planners_read_the_options_of_their_area_and_no_other():
    """Every `situation.options.get("x")` of a planner's module, against the area whose checks the module plans."""
    folder = Path(registry.__file__).parent
    read = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("situation.options.get"):
                read[ast.literal_eval(node.args[0])] = path.stem
    # image_library's planners of transport have a file of their own, and so has lockdown mode, which several areas ask
    # for and access_control alone as strict as it can be.
    files = {"image_transport": "image_library", "lockdown_mode": "access_control"}
    areas = {name: files.get(stem, stem) for name, stem in read.items()}
    assert areas == {name: option.area for name, option in run_options.OPTIONS.items() if option.area}
