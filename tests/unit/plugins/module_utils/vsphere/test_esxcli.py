# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What esxcli says over the API, and what a refusal is worth."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import host_methods
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.esxcli import EsxCli
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Facts, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.host_facts import Read
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import value

XSI = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
ACCOUNTS = (
    f'<obj {XSI} xsi:type="ArrayOfDataObject"><DataObject xsi:type="VimEsxCLIsystemaccountlistAccount">'
    "<Description>Administrator</Description><UserID>root</UserID><Shellaccess>true</Shellaccess></DataObject>"
    '<DataObject xsi:type="VimEsxCLIsystemaccountlistAccount"><UserID>ops</UserID><Shellaccess>false</Shellaccess>'
    "</DataObject></obj>"
)


def response(inner: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(f"<returnval {XSI}><response>{escape(inner)}</response></returnval>")]


class Host:
    """Answers every esxcli command with one answer, and every method with a fault."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.commands: list[str] = []

    def told(self, ref_type: str, moid: str, method: str, arguments: str, shape: Any) -> Any:
        return shape([value(found) for found in self.call(ref_type, moid, method, arguments)])

    def call(self, ref_type: str, _moid: str, method: str, arguments: str = "") -> list[ElementTree.Element]:
        if method == "RetrieveManagedMethodExecuter":
            found = "<returnval type='ReflectManagedMethodExecuter'>ManagedMethodExecuter-1</returnval>"
            return [ElementTree.fromstring(found)]
        if method != "ExecuteSoap":
            raise SoapFault("NoPermission", "", {"privilegeId": "Host.Config.Image"})
        assert ref_type == "ReflectManagedMethodExecuter"
        self.commands.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_command_becomes_moid_and_method() -> None:
    host = Host(response(ACCOUNTS))
    found = EsxCli(host, "host-1").run("system account list")
    assert [entry["UserID"] for entry in found] == ["root", "ops"]
    assert "<moid>ha-cli-handler-system-account</moid>" in host.commands[0]
    assert "<method>vim.EsxCLI.system.account.list</method>" in host.commands[0]


INFO = (
    f'<obj {XSI} xsi:type="VimCLIInfo"><name>system.account</name><method><name>list</name></method>'
    "<method><name>set</name><param><name>id</name><aliases>--id</aliases><flag>false</flag></param>"
    "<param><name>shellaccess</name><aliases>--shell-access</aliases><aliases>-s</aliases></param></method></obj>"
)


class Answering(Host):
    """Tells of its commands, and says of each that it was done."""

    def call(self, ref_type: str, moid: str, method: str, arguments: str = "") -> list[ElementTree.Element]:
        self.answer = response(INFO if "FetchCLIInfo" in arguments else f"<obj {XSI}>true</obj>")
        return super().call(ref_type, moid, method, arguments)


def test_arguments_are_values_as_text_in_xml_in_xml() -> None:
    host = Host(response(f"<obj {XSI}>true</obj>"))
    EsxCli(host, "host-1").run("system account set", {"id": "a<b", "shellaccess": False, "size": 100})
    assert "<argument><name>id</name><val>&lt;id&gt;a&amp;lt;b&lt;/id&gt;</val></argument>" in host.commands[0]
    assert "&lt;shellaccess&gt;false&lt;/shellaccess&gt;" in host.commands[0]
    assert "&lt;size&gt;100&lt;/size&gt;" in host.commands[0]


def test_what_writes_asks_once_what_the_release_knows() -> None:
    host = Answering("")
    cli = EsxCli(host, "host-1")
    for account in ("dcui", "vpxuser"):
        cli.change("system account set", {"id": account, "shellaccess": False})
    asked = [command for command in host.commands if "FetchCLIInfo" in command]
    assert len(asked) == 1 and "&lt;typeName&gt;vim.EsxCLI.system.account&lt;/typeName&gt;" in asked[0]
    assert "<moid>ha-dynamic-type-manager-local-cli-cliinfo</moid>" in asked[0]
    assert len(host.commands) == 3


@pytest.mark.parametrize(
    ("command", "arguments", "reason"),
    [
        ("system account set", {"id": "dcui", "shell": False},
         "esxcli system account set of this host knows no shell, only id, shellaccess"),
        ("system account freeze", {}, "this host has no esxcli system account freeze"),
    ],
)  # fmt: skip
def test_nothing_is_written_by_an_argument_that_the_release_does_not_know(
    command: str, arguments: dict[str, object], reason: str
) -> None:
    host = Answering("")
    with pytest.raises(Unreadable, match=reason):
        EsxCli(host, "host-1").change(command, arguments)
    assert all("FetchCLIInfo" in sent for sent in host.commands)


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ("<fault><faultMsg>EsxCLI.CLIFault</faultMsg><faultDetail>&lt;x&gt;&lt;errMsg&gt;Unknown command&lt;/errMsg&gt;"
         "&lt;/x&gt;</faultDetail></fault>", "esxcli a b failed: Unknown command"),
        ("<fault><faultMsg>it broke</faultMsg></fault>", "esxcli a b failed: it broke"),
        ("", "esxcli a b said nothing"),
        ("<response>not XML</response>", "esxcli a b said what is not XML"),
    ],
)  # fmt: skip
def test_a_failed_command_says_why(inner: str, reason: str) -> None:
    answer = [ElementTree.fromstring(f"<returnval {XSI}>{inner}</returnval>")]
    with pytest.raises(Unreadable, match=reason):
        EsxCli(Host(answer), "host-1").run("a b")


def filled(host: Host, version: str = "8.0.3") -> Facts:
    facts = Facts()
    values = {"config.product": {"version": version}, "configManager": {"hostAccessManager": "am"}}
    host_methods.fill(facts, Read(Found("HostSystem", "host-1", values, {}), {}), host, "host-1")
    return facts


def reasons(facts: Facts) -> dict[str, str]:
    return {error["path"]: error["reason"] for error in facts.errors}


def test_one_refused_command_is_the_last_that_is_asked() -> None:
    host = Host(SoapFault("NoPermission", "", {"privilegeId": "Host.Config.Settings"}))
    said = reasons(filled(host))
    assert len(host.commands) == 1
    for paths in ("accounts", "tls.profile", "firewall.enabled", "logging.filters_enabled"):
        assert said[paths] == "no permission: the account lacks the privilege Host.Config.Settings"


def test_a_host_that_does_not_answer_is_asked_nothing_more() -> None:
    host = Host(Lost("unreachable: no answer within 60 seconds"))
    said = reasons(filled(host))
    assert len(host.commands) == 1
    assert said["secpolicy.domains"] == "unreachable: no answer within 60 seconds"


def test_an_answer_of_another_shape_is_unknown() -> None:
    said = reasons(filled(Host(response(f"<obj {XSI}><Other>1</Other></obj>"))))
    assert "unexpected shape" in said["firewall.enabled"]
    assert (
        "permitrootlogin" in said["remote_access.ssh.effective_root.permitrootlogin"]
        or "shape" in said["remote_access.ssh.effective_root.permitrootlogin"]
    )


@pytest.mark.parametrize(
    ("version", "asked", "left"),
    [
        ("7.0.3", "auditrecords", "ssh.server"),
        ("8.0.2", "ssh.server", "tls.server"),
        ("8.0.3", "tls.server", "auditrecords"),
        ("9.0.0", "tls.server", "auditrecords"),
    ],
)
def test_a_release_is_asked_what_it_knows(version: str, asked: str, left: str) -> None:
    host = Host(response(ACCOUNTS))
    filled(host, version)
    assert any(asked in command for command in host.commands)
    assert not any(left in command for command in host.commands)


def test_accounts_say_who_is_privileged_and_who_has_a_shell() -> None:
    facts = filled(Host(response(ACCOUNTS)))
    assert facts.document["accounts"] == [
        {"name": "root", "privileged": True, "shell": True},
        {"name": "ops", "privileged": False, "shell": False},
    ]
    assert facts.document["remote_access"]["shell_accounts"] == ["root"]


def test_before_8_nobody_says_who_has_a_shell() -> None:
    facts = filled(Host(response(ACCOUNTS.replace("Shellaccess", "Unheard"))), "7.0.3")
    assert facts.document["accounts"][1] == {"name": "ops", "privileged": False}
    assert not facts.has("remote_access.shell_accounts")


KERNEL = (
    f'<obj {XSI} xsi:type="ArrayOfDataObject"><DataObject><Name>noIOMMU</Name><Configured>FALSE</Configured>'
    "<Runtime>TRUE</Runtime></DataObject><DataObject><Name>execInstalledOnly</Name><Runtime>odd</Runtime></DataObject>"
    "</obj>"
)


def test_what_the_host_has_started_with_and_what_it_does_not_tell() -> None:
    facts = filled(Host(response(KERNEL)))
    assert facts.document["boot"]["options"] == {"noIOMMU": True}
    assert "does not tell what execInstalledOnly was" in reasons(facts)["boot.options.execInstalledOnly"]


def test_the_tls_profile_of_the_last_start_and_whether_another_waits() -> None:
    host = Host(response(f"<obj {XSI}><Profile>COMPATIBLE</Profile><RebootRequired>true</RebootRequired></obj>"))
    facts = filled(host)
    assert facts.document["tls"] == {"profile": "COMPATIBLE", "reboot_required": True}
    (asked,) = [command for command in host.commands if "vim.EsxCLI.system.tls.server.get" in command]
    assert "&lt;showcurrentbootprofile&gt;true" in asked and "&lt;showprofiledefaults&gt;true" in asked
    assert "tls.reboot_required" in reasons(filled(Host(response(f"<obj {XSI}><Profile>X</Profile></obj>"))))
