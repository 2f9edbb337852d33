# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything a part may ask of the host, read-only and bounded.

Parts never open files or start processes themselves: through this one door every read has a size limit, every process
a time limit and the C locale, and tests can put a recorded or a broken host in its place.
"""

from __future__ import annotations

import errno
import os
import signal
import stat as stat_bits
import subprocess
import threading
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_source

MAX_FILE = 1024 * 1024
MAX_OUTPUT = 4 * 1024 * 1024
MAX_ENTRIES = 5000
ENVIRONMENT = {
    "LC_ALL": "C",
    "LANG": "C",
    "LANGUAGE": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}


class Unreadable(Exception):
    """Something that exists could not be read, or answered in a way nobody can judge. The message is the reason."""


class Absent(Unreadable):
    """The file or program does not exist: a fact of its own, which a part may turn into a value."""


class Answer(object):
    """What a program said: rc, out and err (text, stripped of nothing)."""

    def __init__(self, rc, out, err):
        self.rc = rc
        self.out = out
        self.err = err


class Host(object):
    """The real host. libvirt_uri: where the libvirt part connects."""

    def __init__(self, libvirt_uri="qemu:///system"):
        self.libvirt_uri = libvirt_uri
        # Units of systemd that the parts of this run will ask for: see systemd.show.
        self.expected_units = ()
        self._once = {}
        self._once_lock = threading.Lock()

    def read(self, path, limit=MAX_FILE):
        """Return the text of a file (undecodable bytes replaced).

        :raises Absent: it does not exist. :raises Unreadable: no permission, too large, or an input/output error.
        """
        return self.read_bytes(path, limit).decode("utf-8", "replace")

    def read_bytes(self, path, limit=MAX_FILE):
        """Return the bytes of a file; a file longer than `limit` is refused, never cut."""
        try:
            # O_NONBLOCK: a FIFO planted in a configuration directory must not hang the audit.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                if stat_bits.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
                    raise Unreadable("%s is a FIFO" % path)
                data = stream.read(limit + 1)
        except OSError as error:
            raise _reason(path, error)
        if len(data) > limit:
            raise Unreadable("%s is larger than %d bytes" % (path, limit))
        return data

    def head(self, path, size):
        """Return at most the first `size` bytes: for device headers and kernel tables that are long by nature."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                # None: a FIFO that somebody holds open and writes nothing to.
                return stream.read(size) or b""
        except OSError as error:
            raise _reason(path, error)

    def list(self, path, limit=MAX_ENTRIES):
        """Return the sorted names in a directory.

        :raises Absent: it does not exist. :raises Unreadable: no permission, or more than `limit`.
        """
        try:
            names = os.listdir(path)
        except OSError as error:
            raise _reason(path, error)
        if len(names) > limit:
            raise Unreadable("%s holds more than %d entries" % (path, limit))
        return sorted(names)

    def stat(self, path, follow=True):
        """Return {mode (e.g. "0640"), uid, gid, size, mtime, type: file|dir|link|block|char|socket|fifo, rdev}."""
        try:
            found = os.stat(path) if follow else os.lstat(path)
        except OSError as error:
            raise _reason(path, error)
        return {
            "mode": "%04o" % stat_bits.S_IMODE(found.st_mode),
            "uid": found.st_uid,
            "gid": found.st_gid,
            "size": found.st_size,
            "mtime": found.st_mtime,
            "type": _type(found.st_mode),
            "rdev": found.st_rdev,
        }

    def link(self, path):
        """Return the target of a symbolic link."""
        try:
            return os.readlink(path)
        except OSError as error:
            raise _reason(path, error)

    def real(self, path):
        """Return the path with every symbolic link resolved."""
        return os.path.realpath(path)

    def exists(self, path):
        """True or False; a directory on the way that may not be searched raises Unreadable, as it proves nothing."""
        try:
            os.stat(path)
        except OSError as error:
            reason = _reason(path, error)
            if isinstance(reason, Absent):
                return False
            raise reason
        return True

    def run(self, argv, timeout=10, stdin=""):
        """Run a program without a shell, in the C locale, and return its Answer whatever its exit code.

        :raises Absent: no such program. :raises Unreadable: time limit, more output than MAX_OUTPUT, or not executable.
        """
        try:
            # Not the module's run_command: that has no time limit and is not made for threads.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
                argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise _reason(argv[0], error)
        try:
            out, err = process.communicate(stdin.encode() if stdin else None, timeout=timeout)
        except subprocess.TimeoutExpired:
            # The whole group: a child that lives on holds the pipes open, and the wait for their end has no limit.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Unreadable("%s did not answer within %s s" % (" ".join(argv[:3]), timeout))
        if len(out) > MAX_OUTPUT:
            raise Unreadable("%s printed more than %d bytes" % (" ".join(argv[:3]), MAX_OUTPUT))
        return Answer(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def succeed(self, argv, timeout=10, stdin=""):
        """Like run, for programs whose failure means that nothing is known: return the output.

        :raises Unreadable: also for an exit code other than 0, with the last line of the error output.
        """
        answer = self.run(argv, timeout, stdin)
        if answer.rc != 0:
            last = (answer.err.strip() or answer.out.strip() or "no message").splitlines()[-1]
            raise Unreadable("%s: exit code %d: %s" % (" ".join(argv[:3]), answer.rc, last[:200]))
        return answer.out

    def libvirt(self):
        """Return everything libvirt says at libvirt_uri: see libvirt_source.snapshot. Do not change the answer.

        Asked once: two parts need it, and the first answer of an idle daemon takes a second.

        :raises Unreadable: it cannot be asked.
        """
        return self.once("libvirt", self._ask_libvirt)

    def begin_libvirt(self):
        """Ask libvirt now; libvirt() waits for the answer when a part wants it."""
        threading.Thread(target=self._answer_of_libvirt, daemon=True).start()

    def _answer_of_libvirt(self):
        try:
            self.libvirt()
        except Unreadable:
            # Kept, and raised again for whoever asks.
            pass

    def _ask_libvirt(self):
        try:
            if libvirt_source.available():
                return libvirt_source.snapshot(self.libvirt_uri)
            from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import virsh_source

            return virsh_source.snapshot(self.libvirt_uri, self.run)
        except libvirt_source.NoLibvirt as reason:
            raise Unreadable(str(reason))

    def once(self, question, ask):
        """Return ask(), which only the first part that has this question calls; the others wait for its answer.

        Do not change the answer. :raises Unreadable: what ask raised, each time.
        """
        with self._once_lock:
            lock, answer = self._once.setdefault(question, (threading.Lock(), []))
        with lock:
            if not answer:
                try:
                    answer.append(ask())
                except Unreadable as reason:
                    answer.append(reason)
        if isinstance(answer[0], Unreadable):
            raise type(answer[0])(str(answer[0]))
        return answer[0]

    def xattr(self, path, name):
        """Return an extended attribute of a file, b"" where it has none or the file system knows none."""
        try:
            return os.getxattr(path, name)
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.ENOTSUP):
                return b""
            raise _reason(path, error)

    def euid(self):
        """The effective user id the collector runs with."""
        return os.geteuid()

    def now(self):
        """Seconds since the epoch, as the host sees it."""
        return time.time()


def _reason(path, error):
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV):
        return Absent("%s does not exist" % path)
    return Unreadable("%s: %s" % (path, os.strerror(error.errno) if error.errno else error))


def _type(mode):
    for test, name in (
        (stat_bits.S_ISREG, "file"),
        (stat_bits.S_ISDIR, "dir"),
        (stat_bits.S_ISLNK, "link"),
        (stat_bits.S_ISBLK, "block"),
        (stat_bits.S_ISCHR, "char"),
        (stat_bits.S_ISSOCK, "socket"),
        (stat_bits.S_ISFIFO, "fifo"),
    ):
        if test(mode):
            return name
    return "unknown"
