# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about virtual machines: their definition (never what runs), and the few limits libvirt can set while they run.

Whose definition may be changed is decided before, by the planner: only machines of hypervisor_allow_vm_changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import undo
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.definition import BadPath, Definition

# Redefines the saved definition from stdin, unless somebody has changed the machine since. $1 uri, $2 UUID, $3 file
# with the hash of what the change left there (empty while it was not defined yet), $4 hash of what was there before.
UNDO = """\
now=$(virsh -q -c "$1" dumpxml --inactive --security-info "$2" | sha256sum | cut -d ' ' -f 1)
left=$(cat "$3")
[ "$now" != "$4" ] || exit 0
if [ -n "$left" ] && [ "$now" != "$left" ]; then
  echo "the definition of $2 was changed or removed by somebody else since: left as it is"
  exit 1
fi
exec virsh -q -c "$1" define /dev/stdin
"""
# Commands of virsh that show and set limits of a running machine: {command: whether it needs a device}.
LIVE = {"domiftune": True, "blkdeviotune": True, "schedinfo": False}


class Machine(object):
    """A virtual machine and the definition it shall have, which all rows about it share."""

    def __init__(self, row, world):
        self.uuid = row["uuid"]
        self._virsh = ["virsh", "-q", "-c", row["uri"]]
        self._world = world
        self._uri = row["uri"]
        self._refuse_transient()
        self.before = self._read()
        self.definition = Definition(self.before)
        self.name = self.definition.name
        self.planned = False

    def _refuse_transient(self):
        about = self._world.succeed(self._virsh + ["dominfo", self.uuid])
        if not re.search(r"^Persistent:\s+yes$", about, re.MULTILINE):
            raise ValueError("the virtual machine %s has no stored definition: nothing to change" % self.uuid)

    def _read(self):
        return self._world.succeed(self._virsh + ["dumpxml", "--inactive", "--security-info", self.uuid])

    def validate(self):
        """The definition as it would be is one libvirt understands and can start.

        :raises ValueError: it is not, and what was there before was.
        """
        checks = [self._virsh + ["domxml-to-native", "qemu-argv", "/dev/stdin"]]
        # virt-xml-validate is a script around xmllint, which is not among its dependencies everywhere.
        if shutil.which("virt-xml-validate") and shutil.which("xmllint"):
            checks.append(["virt-xml-validate", "-", "domain"])
        for argv in checks:
            fault = self._fault(argv, self.definition.text())
            # What libvirt did not like before is for its owner to mend; nothing is made worse.
            if fault and fault != self._fault(argv, self.before):
                raise ValueError("%s could not start with the new definition: %s" % (self.name, fault))

    def _fault(self, argv, xml):
        try:
            self._world.succeed(argv, xml)
        except Exception as error:  # pylint: disable=broad-except
            # The engine's own error, which this module cannot import without a circle.
            return self.definition.without_secrets(str(error))
        return ""

    def plan(self):
        """Have the definition replaced when the change is made; once, however many rows are about the machine."""
        if not self.planned:
            self.planned = True
            self._world.steps.append((self._note, self._define, ()))

    def _note(self, change):
        saved, left = change.keep(self.before.encode("utf-8")), change.keep(b"")
        self._left = os.path.join(change.path, "saved", left)
        argv = ["/bin/sh", "-c", UNDO, "sh", self._uri, self.uuid, self._left, _digest(self.before)]
        change.note({"op": "run", "argv": argv, "stdin": saved})

    def _define(self):
        if self._read() != self.before:
            raise ValueError("%s was changed by somebody else in this moment" % self.name)
        argv = self._virsh + ["define", "--validate", "/dev/stdin"]
        fault = self._fault(argv, self.definition.text())
        if fault:
            raise ValueError("%s: %s" % (self.name, fault))
        undo.write_file(self._left, _digest(self._read()).encode("ascii"), 0o600, 0, 0)


def _digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def domain(row, world):
    """Edits of one machine's definition; returns {machine: where: [before, after]}. Takes effect at its next start."""
    if row["uuid"] not in world.machines:
        world.machines[row["uuid"]] = Machine(row, world)
    machine = world.machines[row["uuid"]]
    changed = {}
    for edit in row["edits"]:
        try:
            changed.update(machine.definition.edit(edit))
        except BadPath as error:
            raise ValueError("%s: %s" % (machine.name, error))
    if changed:
        machine.validate()
        machine.plan()
    return {"%s: %s" % (machine.name, where): pair for where, pair in changed.items()}


def domain_live(row, world):
    """A limit of a machine that runs, now; returns {machine: command: [before, after]}. Nothing where it is off."""
    virsh = ["virsh", "-q", "-c", row["uri"]]
    if world.succeed(virsh + ["domstate", row["uuid"]]).strip() in ("shut off", "crashed"):
        return {}
    target = [row["uuid"]] + ([row["device"]] if LIVE[row["command"]] else [])
    argv = virsh + [row["command"]] + target + ["--live"]
    found = _shown(world.succeed(argv))
    before = {key: found.get(key, "") for key in row["values"]}
    if before == row["values"]:
        return {}
    missing = [key for key in before if key not in found]
    if missing:
        raise ValueError("virsh %s shows no %s of %s" % (row["command"], missing[0], row["uuid"]))
    entry = {"op": "run", "argv": argv + _options(row["command"], found, before), "stdin": None}
    world.step([entry], lambda: world.succeed(argv + _options(row["command"], found, row["values"])))
    name = "%s: %s %s now" % (row["uuid"], row["command"], row["device"])
    return {name.replace("  ", " "): [_words(before), _words(row["values"])]}


def _shown(text):
    """`key : value` lines of virsh as {key: value}."""
    pairs = [line.split(":", 1) for line in text.splitlines() if ":" in line]
    return {key.strip(): value.strip() for key, value in pairs}


def _options(command, found, values):
    """The options that set some values; what is not among them stays as it was found."""
    if command == "schedinfo":
        return [word for key, value in sorted(values.items()) for word in ("--set", "%s=%s" % (key, value))]
    if command == "blkdeviotune":
        return [word for key, value in sorted(values.items()) for word in ("--" + key.replace("_", "-"), value)]
    options = []
    for way in ("inbound", "outbound"):
        wanted = dict(found, **values)
        numbers = [wanted.get("%s.%s" % (way, part), "0") for part in ("average", "peak", "burst", "floor")]
        # libvirt refuses a floor of an interface whose network sets no bandwidth, so an unset one is left out.
        options += ["--" + way, ",".join(numbers[:3] if numbers[3] == "0" else numbers)]
    return options


def _words(values):
    return ", ".join("%s=%s" % pair for pair in sorted(values.items()))


KINDS = {"domain": domain, "domain_live": domain_live}
