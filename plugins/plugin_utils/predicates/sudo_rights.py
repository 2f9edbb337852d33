# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sudo's rules really give: who gets which commands, and which commands amount to root.

A deny-list is no limit ("ALL, !/bin/bash" is ALL), and many programs start a shell or write any file (sudoers(5),
"Preventing shell escapes"); those are judged as the root shell they are.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import mappings, texts

# Programs that give a shell, or run what the caller says, whatever their arguments are.
INTERACTIVE = frozenset(
    """
    sh bash dash ash zsh ksh mksh csh tcsh fish rbash busybox sudo doas pkexec runuser setpriv unshare nsenter
    chroot screen tmux script vi vim vim.basic vim.tiny view rview nvi ex ed emacs nano pico mc joe visudo vipw
    vigr crontab at batch ftp sftp gdb strace ltrace python python2 python3 perl ruby lua node php irb ipython
    expect tclsh wish socat nc ncat netcat telnet mysql psql sqlite3 docker podman lxc lxd ctr nerdctl kubectl
    virt-manager virt-edit guestfish guestmount capsh debugfs gcore
    """.split()
)
# Programs that run another one through a pager or an editor; NOEXEC stops that.
PAGERS = frozenset("less more most pg man journalctl systemctl".split())
# Programs that write any file or run any program when the caller chooses the arguments.
FREE_ARGUMENTS = frozenset(
    """
    tee find awk gawk mawk nawk sed xargs env nice ionice time timeout watch stdbuf nohup setsid flock taskset
    chrt cp mv dd ln install rsync scp ssh tar cpio zip unzip 7z ar git make gcc cc ld chmod chown chgrp setfacl
    setcap chattr mount umount insmod modprobe kexec sysctl patch curl wget openssl cat tac head tail base64 xxd
    od sort uniq cut diff split truncate shred rm tcpdump nmap apt apt-get aptitude dpkg dnf yum rpm snap
    flatpak pip pip3 npm gem ansible ansible-playbook puppet chef-client salt-call usermod useradd adduser
    userdel groupmod gpasswd passwd chpasswd chsh update-alternatives ldconfig virsh virt-install virt-clone
    virt-xml qemu-img qemu-system-x86_64 losetup dmsetup lvm lvcreate mkfs fdisk parted auditctl service init
    telinit systemd-run busctl dbus-send machinectl
    """.split()
)
# Directories in which accounts other than root can put a program.
WRITABLE = re.compile(r"^/(home|tmp|var/tmp|dev/shm|run/user)/")
WILDCARD = re.compile(r"[*?\[]|^\^")
READING_VERBS = frozenset(
    "status show is-active is-enabled is-failed list-units list-unit-files list-sockets list-timers get-default".split()
)
# Units whose stop or restart interrupts the record of what administrators do.
LOG_UNITS = re.compile(
    r"(rsyslog|syslog|auditd|journald|journal-|syslog-ng|fluent|filebeat|audispd|vector|nxlog|splunk|virtlogd)"
)
LOG_PROGRAMS = frozenset("auditctl augenrules aureport ausearch logrotate kill pkill killall service".split())
LOG_READERS = frozenset("aureport ausearch".split())
ACCOUNT_FILES = re.compile(r"^/(etc|root|boot|usr|lib|lib64|bin|sbin|var/log|var/spool/cron)(/|$)")


@dataclass(frozen=True)
class Grant:
    """One rule seen from one account. direct: the rule names the account itself, not a group or everybody."""

    user: str
    source: str
    commands: tuple[str, ...]
    nopasswd: bool
    noexec: bool
    direct: bool


def grants(
    sudo: Mapping[str, Any], groups: Mapping[str, Any], accounts: Iterable[Mapping[str, Any]]
) -> tuple[list[Grant], list[str]]:
    """Every grant for an account other than root that lets it act as root, and what could not be resolved.

    sudo, groups, accounts: the facts of those names. The second list holds sentences, one for each rule that reaches
    accounts nobody could list (a netgroup, a directory group that expands to nobody).

    :raises MissingFact: a rule, a group or sudo's own answers were not read.
    """
    known = {need(account, "name"): str(need(account, "uid_or_sid")) for account in accounts}
    members = {**_members(need(sudo, "groups")), **_members(groups)}
    outside = need(sudo, "groups")
    spared = _passwordless(mappings(need(sudo, "defaults"), "sudo.defaults"), members, known, outside)
    found: list[Grant] = []
    unresolved: list[str] = []
    for rule in mappings(need(sudo, "rules"), "sudo.rules"):
        if not need(rule, "applies") or not _as_root(texts(need(rule, "runas"), "runas of a sudo rule")):
            continue
        source = str(need(rule, "source"))
        users, doubt = _users(texts(need(rule, "users"), "users of a sudo rule"), members, known, outside)
        unresolved.extend(f"{source}: {sentence}" for sentence in doubt)
        for user, direct in users:
            found.append(_grant(rule, user, source, direct, spared))
    for user, answers in need(sudo, "effective").items():
        for answer in mappings(answers, "sudo.effective"):
            if _as_root(texts(need(answer, "runas"), "runas of sudo -l")):
                found.append(_grant(answer, str(user), "sudo -l", True, spared))
    return [grant for grant in found if grant.user != "root" and known.get(grant.user) != "0"], unresolved


def _grant(rule: Mapping[str, Any], user: str, source: str, direct: bool, spared: set[str]) -> Grant:
    commands = tuple(texts(need(rule, "commands"), "commands of a sudo rule"))
    free = bool(need(rule, "nopasswd")) or "ALL" in spared or user in spared
    return Grant(user, source, commands, free, bool(need(rule, "noexec")), direct)


def _members(groups: Any) -> dict[str, list[str]]:
    if not isinstance(groups, Mapping):
        raise MissingFact("groups were not read")
    return {str(name): texts(members, f"group {name}") for name, members in groups.items()}


def _passwordless(
    defaults: list[Mapping[str, Any]],
    members: Mapping[str, list[str]],
    known: Mapping[str, str],
    outside: Mapping[str, Any],
) -> set[str]:
    """The accounts that a Defaults line spares the password, "ALL" for everybody.

    Lines for a command, a host or a run-as user count for everybody: they are a way round for whoever uses it.
    """
    spared: set[str] = set()
    for entry in defaults:
        name, value = need(entry, "name"), need(entry, "value")
        if name == "exempt_group" and value:
            spared.update(members.get(str(value), []))
        if name != "authenticate" or value is not False:
            continue
        if need(entry, "scope") != "user":
            return {"ALL"}
        users, doubt = _users(texts(need(entry, "of"), "users of a Defaults line"), members, known, outside)
        if doubt:
            return {"ALL"}
        spared.update(user for user, _direct in users)
    return spared


def _as_root(runas: list[str]) -> bool:
    """ALL reaches root even when "!root" follows (CVE-2019-14287); a group or netgroup may hold root."""
    return any(word in ("ALL", "root", "#0") or word[:1] in ("%", "+") for word in runas)


def _users(
    words: list[str], members: Mapping[str, list[str]], known: Mapping[str, str], outside: Mapping[str, Any]
) -> tuple[list[tuple[str, bool]], list[str]]:
    found: dict[str, bool] = {}
    doubt = []
    for word in words:
        negated, bare = word.startswith("!"), word.lstrip("!")
        if bare.startswith("+") or bare.startswith(("%:", "%#", "%+")):
            doubt.append(f"{bare} cannot be expanded on the host")
            continue
        if bare.startswith("%"):
            names = members.get(bare[1:], [])
            if not names and bare[1:] in outside:
                doubt.append(f"group {bare[1:]} expands to nobody: it may be empty, or the directory did not answer")
        elif bare.startswith("#"):
            names = [name for name, uid in known.items() if uid == bare[1:]]
        else:
            names = [bare]
        for name in names:
            if negated:
                found.pop(name, None)
            else:
                found[name] = found.get(name, False) or bare == name and name != "ALL"
    return sorted(found.items()), doubt


def root_reason(command: str, noexec: bool = False) -> str:
    """Why a command that sudo allows as root amounts to root, or an empty string."""
    if command.startswith("!"):
        return ""
    path, _blank, arguments = command.partition(" ")
    name = posixpath.basename(path)
    free = not arguments or (arguments != '""' and WILDCARD.search(arguments) is not None)
    if command == "ALL":
        return "any command"
    if name == "sudoedit":
        return f"edits {arguments or 'any file'}" if free or ACCOUNT_FILES.match(arguments) else ""
    if path.endswith("/"):
        return f"any program in {path}"
    if not path.startswith("/") or WILDCARD.search(path):
        return f"any program that matches {path}"
    if WRITABLE.match(path):
        return f"{path} lies where others can replace it"
    if name == "su":
        return (
            ""
            if arguments and arguments.split()[-1] not in ("-", "-l", "--login", "root", "-m", "-p") and not free
            else "su to root"
        )
    if name in INTERACTIVE or re.fullmatch(r"(python|perl|ruby|php|lua)\d[\d.]*", name):
        return f"{name} gives a shell"
    if name in PAGERS:
        return "" if noexec or _reads(name, arguments) else f"{name} gives a shell through its pager or editor"
    if name in FREE_ARGUMENTS and free:
        return f"{name} with free arguments runs or writes anything"
    return ""


def _reads(name: str, arguments: str) -> bool:
    """A use of systemctl or journalctl with fixed arguments that only reads or handles named units."""
    words = arguments.split()
    if not words or WILDCARD.search(arguments):
        return False
    if name == "systemctl":
        verb = next((word for word in words if not word.startswith("-")), "")
        # A pager opens only for the verbs that print; --no-pager keeps it away.
        return "--no-pager" in words or verb in (
            "start",
            "stop",
            "restart",
            "reload",
            "try-restart",
            "is-active",
            "is-enabled",
        )
    return name == "journalctl" and "--no-pager" in words


def log_reason(command: str, noexec: bool = False) -> str:
    """Why a command that sudo allows as root can alter, delete or stop logs, or an empty string."""
    reason = root_reason(command, noexec)
    if reason or command.startswith("!"):
        return reason
    path, _blank, arguments = command.partition(" ")
    name, words = posixpath.basename(path), arguments.split()
    if name == "systemctl":
        verb = next((word for word in words if not word.startswith("-")), "")
        units = [word for word in words if not word.startswith("-") and word != verb]
        if verb in READING_VERBS or (units and not any(LOG_UNITS.search(unit) for unit in units)):
            return ""
        return f"systemctl {verb} reaches the services that log"
    if name == "journalctl":
        return f"journalctl {arguments}" if re.search(r"--(vacuum|rotate|flush|relinquish|sync)", arguments) else ""
    if name in LOG_PROGRAMS - LOG_READERS and (not words or "-s" not in words):
        return f"{name} can stop or change the record"
    if re.search(r"/(var/log|etc/audit|etc/rsyslog|etc/systemd/journald)", arguments) and name in FREE_ARGUMENTS - {
        "cat",
        "tac",
        "head",
        "tail",
    }:
        return f"{name} writes to {arguments}"
    return ""
