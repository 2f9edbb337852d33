# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealing, chaining, signing, and proving all of it with nothing but what lies in the pack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify, signatures
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.runs.packs import a_key, a_pack, allow

needs_ssh = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen")


def verify(*arguments):
    """The script of the pack, in an interpreter that knows no collection: (exit code, output)."""
    done = subprocess.run(
        [sys.executable, "-I", *map(str, arguments)], check=False, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def pack(tmp_path):
    return a_pack(tmp_path / "reports")


def test_an_untouched_pack_is_proved_by_its_own_script_and_by_sha256sum(pack):
    assert verify(pack / "verify.py") == (0, f"{pack}: untouched, not signed\n")
    if shutil.which("sha256sum"):
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", "MANIFEST.sha256"], cwd=pack, check=False, capture_output=True, timeout=60
        )
        assert done.returncode == 0


def test_the_script_needs_the_standard_library_only():
    text = (archive.Path(pack_verify.__file__)).read_text()
    for module in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE):
        assert module == "__future__" or module in sys.stdlib_module_names, module


def subject_file(pack, name="kvm1", folder="subjects"):
    return next((pack / folder).glob(f"{name}-*.json"))


def replace_line(path, number, change):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"".join(lines))


def a_changed_result(pack):
    path = subject_file(pack)
    lines = path.read_bytes().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if b'"check":"kvm-11.4.6-check-0"' in line)
    replace_line(path, number, lambda line: line.replace(b'"status":"pass"', b'"status":"fail"'))
    return rf"subjects/kvm1-1a2b3c4d\.json:{number}: this line was changed, subject kvm1"


def a_removed_fact(pack):
    path = subject_file(pack, "kvm2", "evidence")
    lines = path.read_bytes().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if b'"id":2' in line)
    replace_line(path, number, lambda _line: b"")
    return rf"evidence/kvm2-1a2b3c4d\.json:{number}: a line was removed here, subject kvm2"


def an_added_line(pack):
    path = subject_file(pack)
    replace_line(path, 3, lambda line: line + b'"x":1,\n')
    return r"subjects/kvm1-1a2b3c4d\.json:4: this line was added, subject kvm1"


def a_removed_file(pack):
    subject_file(pack, "kvm2").unlink()
    return r"subjects/kvm2-1a2b3c4d\.json was removed \(line \d+ of MANIFEST.sha256\), subject kvm2"


def an_added_file(pack):
    (pack / "subjects" / "kvm3-00000000.json").write_text("{}")
    return r"subjects/kvm3-00000000\.json was added: MANIFEST.sha256 does not list it, subject kvm3-00000000"


def a_hidden_file(pack):
    (pack / ".note").write_text("x")
    return r"\.note was added"


def a_link(pack):
    path = subject_file(pack)
    target = pack.parent / "elsewhere.json"
    path.rename(target)
    path.symlink_to(target)
    return r"subjects/kvm1-1a2b3c4d\.json is a link: what it leads to is not part of the report, subject kvm1"


def a_truncated_file(pack):
    path = subject_file(pack)
    path.write_bytes(path.read_bytes()[:-20])
    return r"subjects/kvm1-1a2b3c4d\.json:\d+: this line was changed, subject kvm1"


def changed_line_digests(pack):
    replace_line(pack / "LINES.json", 3, lambda line: line.replace(b'"', b"'"))
    a_changed_result(pack)
    return r"subjects/kvm1-1a2b3c4d\.json was changed \(line \d+ of MANIFEST.sha256\), subject kvm1"


def no_manifest(pack):
    (pack / "MANIFEST.sha256").unlink()
    return r"not sealed: there is no MANIFEST.sha256; the run did not end"


def a_cut_manifest(pack):
    path = pack / "MANIFEST.sha256"
    path.write_bytes(path.read_bytes()[:-30])
    return r"MANIFEST.sha256:\d+: the last line is cut off"


def a_manifest_nobody_understands(pack):
    (pack / "MANIFEST.sha256").write_text("# x\nhello\n")
    return r"MANIFEST.sha256:2: not a line of a manifest: 'hello'"


TAMPERS = [
    a_changed_result, a_removed_fact, an_added_line, a_removed_file, an_added_file, a_hidden_file, a_link,
    a_truncated_file, changed_line_digests, no_manifest, a_cut_manifest, a_manifest_nobody_understands,
]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.__name__)
def test_what_was_tampered_with_is_named(pack, tamper):
    expected = tamper(pack)
    code, output = verify(pack / "verify.py")
    assert code == 1
    assert re.search(expected, output), output


def test_each_run_names_the_one_before(tmp_path):
    packs = [a_pack(tmp_path, f"run-{number}") for number in (1, 2, 3)]
    heads = [path.joinpath("MANIFEST.sha256").read_text().splitlines()[:2] for path in packs]
    digest = pack_verify.file_digest(packs[0] / "MANIFEST.sha256")
    assert heads[0] == ["# run: run-1", "# previous: none"]
    assert heads[1] == ["# run: run-2", f"# previous: run-1 {digest}"]
    assert archive.head(tmp_path)["run"] == "run-3"
    code, output = verify(packs[2] / "verify.py", tmp_path)
    assert (code, output.count("untouched")) == (0, 3)


def chain_faults(tmp_path):
    return " ".join(pack_verify.verify_chain(tmp_path))


def test_a_run_that_was_sealed_again_breaks_the_chain(tmp_path):
    packs = [a_pack(tmp_path, f"run-{number}") for number in (1, 2, 3)]
    a_changed_result(packs[0])
    archive.seal(packs[0], None)
    code, output = verify(packs[2] / "verify.py", tmp_path)
    assert code == 1
    assert "run-2 names another hash for the manifest of run-1 than it has: run-1 was sealed again" in output


def test_a_run_removed_from_the_middle_is_noticed_and_old_ones_may_go(tmp_path):
    for number in (1, 2, 3, 4):
        a_pack(tmp_path, f"run-{number}")
    shutil.rmtree(tmp_path / "run-1")
    assert chain_faults(tmp_path) == ""
    shutil.rmtree(tmp_path / "run-3")
    assert "run-4 names run-3 as the run before, which is not here: a run was removed" in chain_faults(tmp_path)


def test_a_forked_chain_is_noticed(tmp_path):
    first = {"run": "run-1", "manifest_sha256": pack_verify.file_digest(a_pack(tmp_path) / "MANIFEST.sha256")}
    a_pack(tmp_path, "run-2")
    archive.seal(a_pack(tmp_path, "run-3"), first)
    assert "both name run-1 as the run before: the chain forks" in chain_faults(tmp_path)


def test_the_two_audits_of_a_hardening_run_are_proved_with_their_archive(tmp_path):
    a_pack(tmp_path, "audit")
    _before, after = (a_pack(tmp_path / "harden", name) for name in ("before", "after"))
    code, output = verify(tmp_path / "audit" / "verify.py", tmp_path)
    assert (code, output.count("untouched")) == (0, 3)
    a_removed_file(after)
    code, output = verify(tmp_path / "audit" / "verify.py", tmp_path)
    assert (code, f"{after}: subjects/kvm2" in output) == (1, True)
    (tmp_path / "empty").mkdir()
    assert verify(tmp_path / "audit" / "verify.py", tmp_path / "empty") == (
        1, f"{tmp_path / 'empty'}: there is no report in it\n",
    )  # fmt: skip


@needs_ssh
def test_a_signature_is_checked_and_a_wrong_one_named(tmp_path):
    ours, theirs = a_key(tmp_path, "ours"), a_key(tmp_path, "theirs")
    pack = a_pack(tmp_path / "reports", signing_key=str(ours))
    script = pack / "verify.py"
    allowed = ("--allowed-signers", allow(tmp_path, ours))
    assert verify(script) == (0, f"{pack}: untouched, signed, not checked by whom\n")
    assert verify(script, *allowed) == (0, f"{pack}: untouched, signed by ours@example.org\n")
    # Somebody else's list, a namespace that does not fit, another manifest, and no signature at all.
    code, output = verify(script, "--allowed-signers", allow(tmp_path, theirs))
    assert (code, "signed by nobody whom" in output) == (1, True)
    narrow = allow(tmp_path, ours, namespaces="dwp.hypervisor.register")
    assert verify(script, "--allowed-signers", narrow)[0] == 1
    manifest = pack / "MANIFEST.sha256"
    manifest.write_bytes(manifest.read_bytes().replace(b"# previous: none", b"# previous:  none"))
    allow(tmp_path, ours)
    code, output = verify(script, *allowed)
    assert (code, "the signature is not good" in output) == (1, True)
    (pack / "MANIFEST.sha256.sig").unlink()
    code, output = verify(script, "--require-signature", *allowed)
    assert (code, "there is no signature" in output) == (1, True)


@needs_ssh
def test_a_key_in_an_agent_signs(tmp_path, monkeypatch):
    key = a_key(tmp_path, "agent")
    started = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True, timeout=30).stdout
    monkeypatch.setenv("SSH_AUTH_SOCK", re.search(r"SSH_AUTH_SOCK=([^;]+)", started)[1])
    process = re.search(r"SSH_AGENT_PID=(\d+)", started)[1]
    try:
        subprocess.run(["ssh-add", "-q", str(key)], check=True, timeout=30)
        key.unlink()
        pack = a_pack(tmp_path / "reports", signing_key=str(key.with_suffix(".pub")))
    finally:
        os.kill(int(process), 15)
    assert pack_verify.check_signature(pack, allow(tmp_path, key))[0] == "verified"


@needs_ssh
@pytest.mark.parametrize("kind", ["absent", "with a passphrase"])
def test_a_key_that_cannot_sign_is_refused_and_never_asks(tmp_path, kind):
    key = a_key(tmp_path, "locked", "secret") if kind != "absent" else tmp_path / "absent"
    with pytest.raises(signatures.SignatureError, match=r"cannot sign: .*expected a private key without a passphrase"):
        signatures.sign(b"", str(key))


def test_a_run_id_that_is_taken_gets_a_directory_of_its_own(tmp_path):
    assert [archive.claim(tmp_path, "job") for _number in range(3)] == ["job", "job-2", "job-3"]
    (tmp_path / "empty").mkdir()
    assert archive.claim(tmp_path, "empty") == "empty"
    assert archive.claim(tmp_path, "empty") == "empty-2"
    (tmp_path / "linked").symlink_to(tmp_path / "empty")
    assert archive.claim(tmp_path, "linked") == "linked-2"
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", archive.claim(tmp_path, "x" * 64)) for _number in range(12))


def test_many_at_once_never_share_a_directory(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(archive.claim(tmp_path, "same"))) for _number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 16


def test_a_second_report_waits_and_says_when_it_gives_up(tmp_path):
    with archive.lock(tmp_path):
        second = archive.lock(tmp_path, seconds=0.3)
        with pytest.raises(archive.ArchiveError, match=r"is held by another report for more than 0 s"):
            second.__enter__()
    with archive.lock(tmp_path, seconds=0):
        pass


def test_what_a_killed_process_left_is_not_sealed_in(pack):
    (pack / ".abc.part").write_text("half")
    (pack / "subjects" / ".def.part").write_text("half")
    archive.seal(pack, None)
    assert not list(pack.rglob("*.part"))
    assert pack_verify.verify_pack(pack) == []
