# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the kernel at the next start, and the way back: boot entries that do without them.

Debian: a file for each purpose in /etc/default/grub.d, so that no area takes away what another asked for, and a script
in /etc/grub.d that writes every kernel's entry once more as it would be without our files. RHEL: grubby, and a copy of
the running kernel's entry without the arguments. Nothing restarts: pending is always "reboot".
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation

GRUB_CFG = "/boot/grub/grub.cfg"
PREFIX = "/etc/default/grub.d/60-dwp-hypervisor-"
# One script for each purpose, all the same: whichever comes first writes the entries, so that taking back one change
# does not take the way back of another.
WAY_BACK = "/etc/grub.d/42_dwp_hypervisor_way_back_"
WAY_BACK_ID = "dwp-hypervisor-way-back"
TITLE = "Without the kernel arguments of dwp.hypervisor"
UPDATE_GRUB = plan.run("update-grub", touches=[GRUB_CFG])
# grub-mkconfig has read all of /etc/default/grub.d by then: read it again without our files, and let the distribution's
# own script write the entries. Within a submenu they keep their identifiers without standing in anybody's way.
# Functions are left out: grub takes them outside of menus only, and has those of the first 10_linux already.
WAY_BACK_TEXT = f"""\
#!/bin/sh
# Written by dwp.hypervisor: every kernel once more, without the arguments its files in /etc/default/grub.d add.
# One start with them: grub-reboot '{WAY_BACK_ID}>0'
set -e
test "$0" = "$(ls {WAY_BACK}* | head -n 1)" || exit 0
GRUB_CMDLINE_LINUX=
GRUB_CMDLINE_LINUX_DEFAULT=
GRUB_CMDLINE_LINUX_RECOVERY=
if test -f /etc/default/grub; then . /etc/default/grub; fi
for settings in /etc/default/grub.d/*.cfg; do
  case $settings in
    {PREFIX}*) ;;
    *) . "$settings" ;;
  esac
done
GRUB_DISABLE_SUBMENU=y
export GRUB_CMDLINE_LINUX GRUB_CMDLINE_LINUX_DEFAULT GRUB_CMDLINE_LINUX_RECOVERY GRUB_DISABLE_SUBMENU
entries=$(/etc/grub.d/10_linux)
echo "submenu '{TITLE}' --id '{WAY_BACK_ID}' {{"
printf '%s\\n' "$entries" | sed '/^function /,/^}}/d'
echo "}}"
"""
# The entry is a copy of the running kernel's: it is known to start. Made after the arguments were added to all.
COPY_ENTRY = r"""
for entry in /boot/loader/entries/*-"$(uname -r)".conf; do
  test -e "$entry" || { echo "no boot entry of the running kernel in /boot/loader/entries"; exit 1; }
  copy=${entry%.conf}-dwp-hypervisor-$2.conf
  cp -p "$entry" "$copy"
  sed -i -e "s/^title .*/title $1 ($(uname -r))/" "$copy"
  shift 2
  for argument in "$@"; do sed -i -e "/^options /s/ $argument\(\s\|$\)/\1/g" "$copy"; done
  break
done
"""
REMOVE_ENTRY = 'rm -f /boot/loader/entries/*-dwp-hypervisor-"$1".conf'


def arguments(situation: Situation, purpose: str, wanted: Sequence[str]) -> list[Row]:
    """The rows that have the kernel start with these arguments, beside the ones it starts with now.

    purpose: names our file, one for each check. Nothing is added twice: an argument that what the boot loader reads has
    already only waits for a restart, which is then what a person is asked for.

    :raises Refusal: what the boot loader reads is not known.
    """
    configured = (situation.facts.get("boot") or {}).get("arguments_configured")
    if configured is None:
        raise Refusal("the kernel arguments that the boot loader reads were not found: add them by hand")
    missing = [argument for argument in wanted if argument not in configured]
    if not missing:
        return [
            plan.waiting(f"restart the host: {' '.join(wanted)} is configured, and in force from its next start on")
        ]
    return _grubby(purpose, missing) if situation.family == "rhel" else _grub_files(purpose, missing)


def _grub_files(purpose: str, missing: Sequence[str]) -> list[Row]:
    text = (
        "# Written by dwp.hypervisor; a later run replaces it. Run update-grub after a change.\n"
        f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {" ".join(missing)}"\n'
    )
    return [
        plan.file(WAY_BACK + purpose, WAY_BACK_TEXT, mode="0755", then=[UPDATE_GRUB], pending="reboot"),
        plan.file(f"{PREFIX}{purpose}.cfg", text, then=[UPDATE_GRUB], pending="reboot"),
    ]


def _grubby(purpose: str, missing: Sequence[str]) -> list[Row]:
    text = " ".join(missing)
    add = plan.run(
        "grubby",
        "--update-kernel=ALL",
        f"--args={text}",
        undo=["grubby", "--update-kernel=ALL", f"--remove-args={text}"],
    )
    copy = plan.run(
        "/bin/sh",
        "-ec",
        COPY_ENTRY,
        "sh",
        TITLE,
        purpose,
        *missing,
        undo=["/bin/sh", "-c", REMOVE_ENTRY, "sh", purpose],
    )
    # No file of ours to compare: planned only where what the boot loader reads lacks an argument.
    return [{**plan.activate([add, copy]), "pending": "reboot"}]
