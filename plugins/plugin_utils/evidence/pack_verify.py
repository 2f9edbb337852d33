# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a report directory is as it was sealed, or name what was changed, removed or added.

    python3 verify.py                                 this directory
    python3 verify.py DIRECTORY ...                   report directories, or archives that hold several
    python3 verify.py --allowed-signers FILE          check the signature too (needs ssh-keygen)
    python3 verify.py --require-signature ...         and fail where there is none

Exit code 0: untouched. 1: something differs, the output says what. 2: wrong usage.
A copy of this file lies in every report directory and needs nothing but Python 3.9 or later. Who wants to be sure of
the copy takes this file from the collection, or uses `sha256sum -c MANIFEST.sha256`.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MANIFEST = "MANIFEST.sha256"
SIGNATURE = MANIFEST + ".sig"
LINES = "LINES.json"
RUN = "run.json"
NAMESPACE = "dwp.hypervisor.manifest"
# The manifest cannot name itself, and its signature is made from it.
OUTSIDE = (MANIFEST, SIGNATURE)
_ENTRY = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")
_PREVIOUS = re.compile(r"# previous: (?:none|(\S+) ([0-9a-f]{64}))")
_SUBJECT = re.compile(rb'"subject":"((?:[^"\\]|\\.){1,300})"')
_MAX_LINES = 5
_MAX_DIFF = 2000


Finding = dict[str, Any]


class VerifyError(Exception):
    """A directory that cannot be verified at all, or a signature that is not good."""


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digests(directory: str, names: Sequence[str]) -> dict[str, str | None]:
    """SHA-256 of many files, None for one that cannot be read. Hashing lets go of the interpreter, so threads help."""

    def of(name: str) -> str | None:
        try:
            return file_digest(os.path.join(directory, name))
        except OSError:
            return None

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(names, pool.map(of, names)))


def files_of(directory: str | os.PathLike[str]) -> list[str]:
    """Every file, link or special file below a directory, by its name relative to it, sorted."""
    found = []
    for folder, folders, names in os.walk(directory):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in names + links:
            found.append(os.path.relpath(os.path.join(folder, name), directory).replace(os.sep, "/"))
    return sorted(found)


def read_manifest(directory: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, tuple[str, int]]]:
    """({"previous": (run, hash) or None, "chained": bool}, {name: (hash, line of the manifest)}).

    :raises VerifyError: there is none, or a line of it is not understood.
    """
    path = Path(directory, MANIFEST)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise VerifyError("%s: not sealed: there is no %s; the run did not end" % (directory, MANIFEST)) from None
    except (OSError, ValueError) as error:
        raise VerifyError("%s: cannot be read: %s" % (path, error)) from None
    header: dict[str, Any] = {"previous": None, "chained": False}
    entries: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        if line.startswith("#"):
            chain = _PREVIOUS.fullmatch(line)
            if chain:
                header = {"previous": (chain[1], chain[2]) if chain[1] else None, "chained": True}
            continue
        entry = _ENTRY.fullmatch(line)
        if not entry:
            raise VerifyError("%s:%d: not a line of a manifest: %s" % (path, number, ascii(line)[:80]))
        name = entry[3]
        if entry[1]:
            name = re.sub(r"\\([\\nr])", lambda found: {"\\": "\\", "n": "\n", "r": "\r"}[found[1]], name)
        if name in entries:
            raise VerifyError("%s:%d: %s is listed twice" % (path, number, ascii(name)))
        entries[name] = (entry[2], number)
    if not text.endswith("\n"):
        raise VerifyError("%s:%d: the last line is cut off" % (path, text.count("\n") + 1))
    return header, entries


def verify_pack(directory: str | os.PathLike[str]) -> list[Finding]:
    """What differs in one report directory: a list of {kind, file, line, subject, text}, empty when untouched.

    kind: changed, removed, added, link or unsealed. line: of the file, or None.
    """
    directory = str(directory)
    try:
        _header, entries = read_manifest(directory)
    except VerifyError as error:
        return [_finding("unsealed", MANIFEST, None, None, str(error))]
    present = [name for name in files_of(directory) if name not in OUTSIDE]
    links = {name for name in present if os.path.islink(os.path.join(directory, name))}
    listed = [name for name in present if name in entries and name not in links]
    found = digests(directory, listed)
    changed = [name for name in listed if found[name] != entries[name][0]]
    removed = sorted(set(entries) - set(present))
    added = [name for name in present if name not in entries and name not in links]
    names = _subject_names(directory) if changed or removed or added else {}
    findings = []
    for name in changed:
        findings += _changed(directory, name, entries[name][1], names, LINES in changed)
    for name in removed:
        text = "%s was removed (line %d of %s)" % (ascii(name)[1:-1], entries[name][1], MANIFEST)
        findings.append(_finding("removed", name, None, _subject_of(name, names), text))
    for name in added:
        text = "%s was added: %s does not list it" % (ascii(name)[1:-1], MANIFEST)
        findings.append(_finding("added", name, None, _subject_of(name, names), text))
    for name in sorted(links):
        text = "%s is a link: what it leads to is not part of the report" % ascii(name)[1:-1]
        findings.append(_finding("link", name, None, _subject_of(name, names), text))
    return findings


def _finding(kind: str, name: str, line: int | None, subject: str | None, text: str) -> Finding:
    return {"kind": kind, "file": name, "line": line, "subject": subject,
            "text": text + (", subject %s" % ascii(subject)[1:-1] if subject else "")}  # fmt: skip


def _changed(directory: str, name: str, manifest_line: int, names: dict[str, str], blind: bool) -> list[Finding]:
    """A finding for each changed line of a file, as far as the line digests tell."""
    shown, subject = ascii(name)[1:-1], _subject_of(name, names)
    whole = "%s was changed (line %d of %s)" % (shown, manifest_line, MANIFEST)
    before = None if blind or name == LINES else _line_digests(directory, name)
    if before is None:
        return [_finding("changed", name, None, subject, whole)]
    try:
        with open(os.path.join(directory, name), "rb") as handle:
            lines = list(handle)
    except OSError as error:
        return [_finding("changed", name, None, subject, "%s cannot be read: %s" % (shown, error.strerror))]
    findings = []
    for kind, number, words in differing([checksum(line) for line in lines], before):
        about = subject or (_subject_in(lines[number - 1]) if kind != "removed" and number <= len(lines) else None)
        findings.append(_finding("changed", name, number, about, "%s:%d: %s" % (shown, number, words)))
    return findings or [_finding("changed", name, None, subject, whole)]


def checksum(line: bytes) -> str:
    """Eight hexadecimal digits by which a line is found again. Whether a file is whole is for its SHA-256 to say."""
    return "%08x" % zlib.crc32(line)


def _line_digests(directory: str, name: str) -> list[str] | None:
    try:
        joined = json.loads(Path(directory, LINES).read_bytes())["files"][name]
        return [joined[at : at + 8] for at in range(0, len(joined), 8)]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def differing(now: list[str], before: list[str]) -> list[tuple[str, int, str]]:
    """(changed, removed or added; line number now; words) of what differs between two lists of line digests."""
    head = 0
    while head < min(len(now), len(before)) and now[head] == before[head]:
        head += 1
    tail = 0
    while tail < min(len(now), len(before)) - head and now[-1 - tail] == before[-1 - tail]:
        tail += 1
    new, old = now[head : len(now) - tail], before[head : len(before) - tail]
    if max(len(new), len(old)) > _MAX_DIFF:
        return [("changed", head + 1, "lines %d to %d were changed" % (head + 1, head + max(len(new), 1)))]
    found = []
    for tag, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        first, last = head + b_from + 1, head + b_to
        if tag == "replace":
            found.append(("changed", first, _lines(first, last) + " changed"))
        elif tag == "insert":
            found.append(("added", first, _lines(first, last) + " added"))
        elif tag == "delete":
            number = a_to - a_from
            found.append(
                ("removed", first, "%s removed here" % ("a line was" if number == 1 else "%d lines were" % number))
            )
    return found[:_MAX_LINES]


def _lines(first: int, last: int) -> str:
    return "this line was" if first == last else "lines %d to %d were" % (first, last)


def _subject_in(line: bytes) -> str | None:
    match = _SUBJECT.search(line)
    if not match:
        return None
    try:
        return json.loads(b'"' + match[1] + b'"')
    except ValueError:
        return None


def _subject_names(directory: str) -> dict[str, str]:
    """slug -> name, from run.json or else from the result files themselves."""
    try:
        subjects = json.loads(Path(directory, RUN).read_bytes())["subjects"]
        return {subject["slug"]: subject["name"] for subject in subjects}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _subject_of(name: str, names: dict[str, str]) -> str | None:
    folder, _slash, file = name.partition("/")
    if folder not in ("subjects", "evidence"):
        return None
    slug = file.split("/")[0].rsplit(".json", 1)[0]
    return names.get(slug, slug)


def verify_signature(
    data: bytes, signature: str | os.PathLike[str], allowed_signers: str | os.PathLike[str], namespace: str = NAMESPACE
) -> str:
    """The signer (as allowed_signers names him) of a signature made with ssh-keygen -Y sign.

    data: the signed bytes. signature, allowed_signers: paths.

    :raises VerifyError: the signature is wrong, of another namespace, or of somebody who is not allowed.
    """
    listed = _ssh_keygen(["-Y", "find-principals", "-s", str(signature), "-f", str(allowed_signers)], b"")
    if listed.returncode:
        raise VerifyError("%s: signed by nobody whom %s allows" % (signature, allowed_signers))
    reason = ""
    for principal in listed.stdout.decode("utf-8", "replace").splitlines():
        done = _ssh_keygen(
            ["-Y", "verify", "-f", str(allowed_signers), "-I", principal, "-n", namespace, "-s", str(signature)], data
        )
        if not done.returncode:
            return principal
        reason = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-1:])
    raise VerifyError("%s: the signature is not good: %s" % (signature, ascii(reason)[1:-1]))


def _ssh_keygen(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        # No terminal: a question would wait for ever.
        return subprocess.run(
            ["ssh-keygen", *arguments], input=data, capture_output=True, check=False, start_new_session=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VerifyError("ssh-keygen cannot be run: %s" % error) from None


def check_signature(
    directory: str | os.PathLike[str], allowed_signers: str | os.PathLike[str] | None = None
) -> tuple[str, str | None]:
    """(verified, unsigned or unchecked; signer or None) of a report directory.

    :raises VerifyError: the signature is not good.
    """
    signature = Path(directory, SIGNATURE)
    if not signature.is_file():
        return "unsigned", None
    if not allowed_signers:
        return "unchecked", None
    return "verified", verify_signature(Path(directory, MANIFEST).read_bytes(), signature, allowed_signers)


def runs_of(archive: str | os.PathLike[str]) -> list[Path]:
    """The report directories in an archive, by name: those that are sealed or hold results."""
    return [path for path in _folders(archive) if (path / MANIFEST).is_file() or (path / "subjects").is_dir()]


def _folders(directory: str | os.PathLike[str]) -> list[Path]:
    return sorted(path for path in Path(directory).iterdir() if path.is_dir() and not path.is_symlink())


def verify_chain(archive: str | os.PathLike[str]) -> list[str]:
    """What is wrong with the chain of an archive, in sentences.

    Each manifest names the hash of the one before. Old runs may be deleted from the beginning of the chain, and from
    there only.
    """
    previous, hashes = {}, {}
    for path in runs_of(archive):
        try:
            header, _entries = read_manifest(path)
        except VerifyError:
            continue
        previous[path.name], hashes[path.name] = header["previous"], file_digest(path / MANIFEST)
    faults, starts = [], []
    named: dict[str, str] = {}
    for run, link in sorted(previous.items()):
        if link is None or link[0] not in hashes:
            starts.append(run)
            continue
        if hashes[link[0]] != link[1]:
            faults.append(
                "%s names another hash for the manifest of %s than it has: %s was sealed again"
                % (run, link[0], link[0])
            )
        if link[0] in named:
            faults.append("%s and %s both name %s as the run before: the chain forks" % (named[link[0]], run, link[0]))
        named[link[0]] = run
    if len(starts) > 1:
        missing = [run for run in starts if previous[run] is not None]
        for run in missing or starts[1:]:
            before = previous[run][0] if previous[run] else "nothing"
            faults.append("%s names %s as the run before, which is not here: a run was removed" % (run, before))
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Verify the directories of the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directories", nargs="*", default=[str(Path(__file__).resolve().parent)], metavar="DIRECTORY")
    parser.add_argument("--allowed-signers", metavar="FILE", help="whose signatures count (ssh-keygen -Y)")
    parser.add_argument("--require-signature", action="store_true", help="an unsigned report directory fails")
    given = parser.parse_args(arguments)
    good = True
    for directory in given.directories:
        if not os.path.isdir(directory):
            print("%s: not a directory" % directory, file=sys.stderr)
            return 2
        for text, fine in check(directory, given.allowed_signers, given.require_signature):
            print(text, file=sys.stdout if fine else sys.stderr)
            good = good and fine
    return 0 if good else 1


def check(
    directory: str | os.PathLike[str],
    allowed_signers: str | os.PathLike[str] | None = None,
    require_signature: bool = False,
) -> Iterator[tuple[str, bool]]:
    """(sentence, whether it is good news) about a report directory or an archive of them."""
    archive = not Path(directory, MANIFEST).is_file() and not Path(directory, "subjects").is_dir()
    packs = runs_of(directory) if archive else [Path(directory)]
    # A hardening run is a directory of two audits, before and after: an archive in the archive.
    inner = [path for path in _folders(directory) if path not in packs and runs_of(path)] if archive else []
    if not packs and not inner:
        yield "%s: there is no report in it" % directory, False
    for path in inner:
        yield from check(path, allowed_signers, require_signature)
    for pack in packs:
        findings = verify_pack(pack)
        for finding in findings:
            yield "%s: %s" % (pack, finding["text"]), False
        if any(finding["kind"] == "unsealed" for finding in findings):
            continue
        try:
            state, signer = check_signature(pack, allowed_signers)
        except VerifyError as error:
            yield str(error), False
            continue
        if state != "verified" and (require_signature or (allowed_signers and state == "unchecked")):
            yield (
                "%s: %s" % (pack, "there is no signature" if state == "unsigned" else "no allowed_signers was given"),
                False,
            )
        words = {
            "verified": "signed by %s" % signer,
            "unsigned": "not signed",
            "unchecked": "signed, not checked by whom",
        }
        if not findings:
            yield "%s: untouched, %s" % (pack, words[state]), True
    if archive:
        for fault in verify_chain(directory):
            yield "%s: %s" % (directory, fault), False


if __name__ == "__main__":
    sys.exit(main())
