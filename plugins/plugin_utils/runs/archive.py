# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of report directories: who may write in it, and how a run is sealed and chained to the one before.

Two runs at once never share a directory (claim), and seal one after the other (lock), so that the chain has no fork. A
run that was killed has no manifest: it is not sealed, never becomes `latest`, and nobody takes it for evidence.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import write_private
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.pack_verify import (
    LINES,
    MANIFEST,
    OUTSIDE,
    RUN,
    SIGNATURE,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import side_by_side

LOCK = ".lock"
SCRIPT = "verify.py"
# Why the report of a run was not written to the end; it goes when it is written again.
BROKEN = "not-sealed.txt"
# A report on 1,000 subjects takes 20 s; a few may be waiting.
LOCK_SECONDS, PAUSE = 600, 0.05
_MOST_OF_ONE_ID = 1000
# What is read line by line; a page or an image is named as a whole.
_BY_LINE = (".json", ".csv", ".yml", ".yaml", ".xml", ".md", ".txt", ".py")
# Files are read back in so many shares, by two processes where there are as many bytes.
_SHARES, _MANY_BYTES = 16, 64 * 1024 * 1024
_READ_AT_ONCE = 1024 * 1024


class ArchiveError(OSError):
    """The archive cannot be used as asked: a lock that is not given up, or a run that may not be written again."""


def claim(report_dir: Path, run_id: str) -> str:
    """Make a directory for a run that nobody else has, and return its name.

    A run id that is taken (two runs at once, or a job started again) gets -2, -3 …: what was sealed is evidence and is
    not written over. A directory that is there and empty is taken as it is.
    """
    for number in range(1, _MOST_OF_ONE_ID):
        name = run_id if number == 1 else f"{run_id[:59]}-{number}"
        folder = report_dir / name
        _make(report_dir)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        # Whoever made it: it belongs to the one who puts the mark in.
        if not folder.is_dir() or folder.is_symlink() or any(folder.iterdir()) or not _take(folder):
            continue
        return name
    raise ArchiveError(f"run id {run_id} was used {_MOST_OF_ONE_ID} times in {report_dir}")


def _make(folder: Path) -> None:
    for part in reversed([folder, *folder.parents]):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)


def _take(folder: Path) -> bool:
    """Whether this process is the first to put its mark into an empty directory."""
    try:
        os.close(os.open(folder / RUN, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def lock(report_dir: Path, seconds: float = LOCK_SECONDS) -> Iterator[int]:
    """Hold the archive alone; another report waits. The lock goes with the process, also when it is killed.

    Yields the file that is locked: a process that has it open as well holds the lock as long as that.

    :raises ArchiveError: somebody has held it all the time.
    """
    _make(report_dir)
    descriptor = os.open(report_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _locked(descriptor, report_dir):
            if time.monotonic() > deadline:
                raise ArchiveError(f"{report_dir / LOCK} is held by another report for more than {seconds:.0f} s")
            time.sleep(PAUSE)
        yield descriptor
    finally:
        os.close(descriptor)


def leaving_word(directory: Path, work: Callable[[], None]) -> None:
    """Do work on the report of a run whose errors nobody sees; settled() tells of them.

    :raises Exception: as work does.
    """
    try:
        work()
    except Exception as error:
        # A full disk has room for a line again: drafts are removed.
        with contextlib.suppress(OSError):
            write_private(directory / BROKEN, f"{str(error) or type(error).__name__}\n".encode("utf-8", "replace"))
        raise


def settled(directory: Path) -> None:
    """Return when nobody writes the report of a run any more.

    :raises ArchiveError: it is not sealed then, or it is written for longer than LOCK_SECONDS.
    """
    with lock(directory.parent):
        pass
    if not (directory / MANIFEST).exists():
        try:
            why = (directory / BROKEN).read_text(encoding="utf-8").strip()
        except OSError:
            why = "with no word of why: killed, or a full disk"
        raise ArchiveError(
            f"{directory} is not sealed: its report was not written to the end ({why}). Put that right and write it "
            "again with dwp.hypervisor.report"
        )


def _locked(descriptor: int, report_dir: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise ArchiveError(f"{report_dir / LOCK} cannot be locked: {error.strerror}") from None
    return True


def links(report_dir: Path) -> dict[str, tuple[str, str] | None]:
    """Run -> (run before it, hash of that run's manifest), for the sealed runs of an archive."""
    found: dict[str, tuple[str, str] | None] = {}
    if report_dir.is_dir():
        for path in pack_verify.runs_of(report_dir):
            with contextlib.suppress(pack_verify.VerifyError):
                found[path.name] = pack_verify.read_manifest(path)[0]["previous"]
    return found


def head(report_dir: Path, leave_out: str = "") -> dict[str, str] | None:
    """{run, manifest_sha256} of the newest sealed run: the one that no other names. None in a new archive."""
    chain = {run: link for run, link in links(report_dir).items() if run != leave_out}
    named = {link[0] for link in chain.values() if link}
    # More than one: the chain was cut. The one sealed last is the one to go on from; verify tells of the cut.
    ends = sorted((run for run in chain if run not in named), key=lambda run: _sealed_at(report_dir / run))
    if not ends:
        return None
    return {"run": ends[-1], "manifest_sha256": pack_verify.file_digest(report_dir / ends[-1] / MANIFEST)}


def _sealed_at(directory: Path) -> tuple[float, str]:
    return (directory / MANIFEST).stat().st_mtime, directory.name


def refuse_rewriting(directory: Path, can_sign: bool) -> None:
    """Refuse to write a run again whose manifest somebody already relies on.

    :raises ArchiveError: a later run names it, or it is signed and could not be signed again.
    """
    later = next((run for run, link in links(directory.parent).items() if link and link[0] == directory.name), None)
    if later is not None:
        raise ArchiveError(
            f"{directory} is sealed: the manifest of run {later} names its hash. Name the directory in "
            "hypervisor_report_sources to write its report somewhere else"
        )
    if (directory / SIGNATURE).exists() and not can_sign:
        raise ArchiveError(
            f"{directory} is signed, and its signature would be lost. Give hypervisor_signing_key, or name the "
            "directory in hypervisor_report_sources to write its report somewhere else"
        )


def unseal(directory: Path) -> None:
    """Take the seal off before writing again: a run that is killed then is not sealed, instead of looking changed."""
    for name in (SIGNATURE, MANIFEST, BROKEN):
        (directory / name).unlink(missing_ok=True)


def seal(directory: Path, previous: dict[str, str] | None, signing_key: str | None = None) -> str:
    """Write the verification script, the line digests, the manifest and its signature; the last step of a report.

    previous: the run before, from head(). Returns the SHA-256 of the manifest.

    :raises OSError: something cannot be written; the run is then not sealed.
    """
    unseal(directory)
    for draft in directory.rglob(".*.part"):  # of a process that was killed; this run is over
        draft.unlink(missing_ok=True)
    write_private(directory / SCRIPT, Path(pack_verify.__file__).read_bytes())
    names = [name for name in pack_verify.files_of(directory) if name not in (*OUTSIDE, LINES)]
    names = [name for name in names if not (directory / name).is_symlink()]
    digests = _digests(directory, names)
    lines = {name: found for name, (_sha256, found) in digests.items() if found is not None}
    document = {"schema": "dwp.hypervisor.lines/1", "digest": "CRC-32 of each line, 8 digits", "files": lines}
    write_private(directory / LINES, json.dumps(document, indent=0, sort_keys=True).encode() + b"\n")
    found = {name: sha256 for name, (sha256, _lines) in digests.items()}
    found[LINES] = pack_verify.file_digest(directory / LINES)
    manifest = _manifest(directory, found, previous)
    write_private(directory / MANIFEST, manifest, durable=True)
    if signing_key:
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import signatures

        write_private(directory / SIGNATURE, signatures.sign(manifest, signing_key), durable=True)
    return hashlib.sha256(manifest).hexdigest()


def _digests(directory: Path, names: list[str]) -> dict[str, tuple[str, str | None]]:
    """(SHA-256, digests of the lines where a file has any) of each file.

    :raises OSError: one cannot be read back.
    """
    sizes = {name: (directory / name).stat().st_size for name in names}
    names = sorted(names, key=lambda name: -sizes[name])
    shares = [names[number::_SHARES] for number in range(_SHARES)]

    def of(share: list[str]) -> dict[str, tuple[str, str | None]]:
        return {name: _digest(directory / name, sizes[name], name.endswith(_BY_LINE)) for name in share}

    found: dict[str, tuple[str, str | None]] = {}
    for digests in side_by_side(of, shares, sum(sizes.values()) > _MANY_BYTES):
        found.update(digests)
    return found


def _digest(path: Path, size: int, by_line: bool) -> tuple[str, str | None]:
    if size > _READ_AT_ONCE:
        with path.open("rb", buffering=_READ_AT_ONCE) as handle:
            return pack_verify.file_digest(path), _line_digests(handle) if by_line else None
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), _line_digests(io.BytesIO(data)) if by_line else None


def _line_digests(lines: Iterable[bytes]) -> str:
    """pack_verify.checksum of each line, one after the other: a fleet has two million lines, so not one by one."""
    found = array("I", map(zlib.crc32, lines))
    if sys.byteorder == "little":
        found.byteswap()
    return found.tobytes().hex()


def _manifest(directory: Path, digests: dict[str, str], previous: dict[str, str] | None) -> bytes:
    """What `sha256sum -c` reads, which passes over lines that begin with #; the run before is named in one of them."""
    before = f"{previous['run']} {previous['manifest_sha256']}" if previous else "none"
    out = [f"# run: {directory.name}\n", f"# previous: {before}\n"]
    for name, sha256 in sorted(digests.items()):
        # GNU coreutils marks an escaped name by a leading backslash.
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        out.append(f"{'' if escaped == name else chr(92)}{sha256}  {escaped}\n")
    return "".join(out).encode()
