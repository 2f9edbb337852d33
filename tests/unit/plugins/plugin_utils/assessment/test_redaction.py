# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.redaction import redact

SECRET = "S3cr3t-Planted-9f27"


def redacted(facts):
    return redact(facts).get("collector", {}).get("redacted", [])


@pytest.mark.parametrize(
    "key",
    [
        "password", "Password", "vnc_password", "vncPassword", "spice-password", "passwd", "passphrase", "secret",
        "client_secret", "private_key", "privateKey", "keytab_content", "community", "snmp.community", "rocommunity",
        "ldap_default_authtok", "bindpw", "rootpw", "olcRootPW", "api_key", "apiKey", "token", "password_hash",
        "luks_key", "recovery_key", "recoveryPassword", "wrapped_key", "psk", "rootpassword", "credentials", "tpm_pin",
    ],
)  # fmt: skip
def test_a_value_under_the_key_of_a_secret_becomes_null(key):
    facts = {"host": {"name": "kvm1"}, "storage": {"pools": [{"source": {key: SECRET}}]}}
    clean = redact(facts)
    assert clean["storage"]["pools"][0]["source"][key] is None
    assert clean["collector"]["redacted"] == [f"storage.pools[0].source.{key}"]
    assert clean["host"] == {"name": "kvm1"}


@pytest.mark.parametrize(
    "facts",
    [
        {"ssh": {"passwordauthentication": "no", "permitemptypasswords": "no", "permitrootlogin": "prohibit-password"}},
        {"ssh": {"gssapidelegatecredentials": "no", "kbdinteractiveauthentication": "yes", "password": "no"}},
        {"consoles": [{"type": "vnc", "password": True}, {"type": "spice", "password": False}]},
        {"login_defs": {"pass_max_days": "365", "password_max_age": "90", "password_hashing": "SHA512"}},
        {"accounts": [{"name": "root", "password": "locked"}, {"passwd": "x"}, {"passwd": "!*"}, {"password": ""}]},
        {"tls": {"private_key": "/etc/pki/libvirt/private/serverkey.pem", "keytab": "FILE:/etc/libvirt/krb5.tab"}},
        {"accounts": [{"password": "password"}, {"password": "directory"}, {"password": "none"}]},
        {"disks": [{"secrets": ["0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f", "/var/lib/libvirt/images/a.img"]}]},
        {"nsswitch": {"passwd": "files sss systemd", "shadow": "files"}},
        {"pam": {"passwd": ["@include common-password"], "common-password": ["password requisite pam_pwquality.so"]}},
        {"pam": {"args": ["use_authtok", "secret=${HOME}/.google_authenticator", "secret=/etc/otp/users"]}},
        {"vms": [{"encryption": {"secret": {"type": "passphrase", "uuid": "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"}}}]},
        {"vms": [{"secret_uuid": "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f", "vcpu_pin": "0-3", "passthrough": "no"}]},
        {"sudo": ["alice ALL=(ALL) NOPASSWD: sudoedit /etc/hosts", "%wheel ALL=(ALL) PASSWD: ALL", "passwd_tries=3"]},
        {"files": {"/etc/passwd": {"mode": "0644", "hash": "9f86d081884c7d65"}}},
        {"password": None, "secret": 0, "token": [], "credentials": {}},
        {"sources": ["ldap://dc1.example.org:636/", "http://[fe80::1]:80/a@b"]},
    ],
)  # fmt: skip
def test_settings_that_only_sound_like_secrets_stay(facts):
    assert redact(facts) == facts


@pytest.mark.parametrize(
    "text, kept",
    [
        (f"rsyslog action(password={SECRET!r} type=x)", "type=x"),
        (f'"password": "{SECRET} and more words", "port": 22', '"port": 22'),
        (f"DB_PASSWD: {SECRET}", "DB_PASSWD: "),
        (f"ldap_default_authtok = {SECRET}", "ldap_default_authtok = "),
        (f"https://repo:{SECRET}@mirror.example.org/debian", "@mirror.example.org/debian"),
        (f"rocommunity {SECRET} 10.0.0.0/8", "10.0.0.0/8"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\ntail", "tail"),
        (f"-----BEGIN PRIVATE KEY-----\n{SECRET} cut off", ""),
        (f"root:$6$salt$abcdefgh{SECRET}:19000:0", "root:"),
        (f"root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG{SECRET}:1", "root:"),
        (f"grub.pbkdf2.sha512.10000.ABCDEF0123{SECRET.replace('-', '')}", ""),
        (f"<graphics type='vnc' passwd='{SECRET}' port='5900'/>", "port='5900'"),
    ],
)
def test_a_secret_inside_a_text_is_cut_out(text, kept):
    clean = redact({"a": [{"description": text}]})
    assert SECRET not in json.dumps(clean)
    assert SECRET.replace("-", "") not in json.dumps(clean)
    assert kept in clean["a"][0]["description"]
    assert clean["collector"]["redacted"] == ["a[0].description"]


def test_what_was_removed_is_added_to_the_collectors_own_list():
    facts = {"collector": {"errors": [{"path": "x", "reason": "y"}], "redacted": ["vms[0].a", 7]}, "token": SECRET}
    before = copy.deepcopy(facts)
    clean = redact(facts)
    assert clean["collector"] == {"errors": [{"path": "x", "reason": "y"}], "redacted": ["vms[0].a", "token"]}
    assert facts == before
    assert redacted({"collector": "nonsense", "token": SECRET}) == ["token"]


def test_secrets_in_lists_and_in_values_of_a_mapping():
    clean = redact({"communities": [SECRET, "none"], "password": {"value": SECRET, "since": "2026-01-01"}})
    assert clean["communities"] == [None, "none"]
    assert clean["password"] == {"value": None, "since": "2026-01-01"}


def test_the_log_of_removals_is_bounded_and_holds_no_value():
    clean = redact(
        {"vms": [{"password": f"{SECRET}{number}", "k" * 10_000: {"token": SECRET}} for number in range(500)]}
    )
    log = clean["collector"]["redacted"]
    assert len(log) == 201
    assert log[-1] == "and 800 more"
    assert max(map(len, log)) < 200
    assert SECRET not in json.dumps(clean)


def test_what_is_nested_too_deeply_is_dropped():
    deep: dict = {"password": SECRET}
    for _level in range(500):
        deep = {"a": [deep]}
    clean = redact(deep)
    assert SECRET not in json.dumps(clean)
    assert len(clean["collector"]["redacted"]) == 1


KEYS = st.sampled_from(
    ["password", "a", "vms", "secret", "collector", "redacted", "value", "passwd", "hash"]
) | st.text(max_size=8)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
    | st.sampled_from(["password=x", "no", "://a:b@c", "$6$abc$defghijkl", "-----BEGIN PRIVATE KEY-----"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(KEYS, DATA, max_size=5))
def test_any_document_can_be_redacted_and_twice_is_once(facts):
    before = copy.deepcopy(facts)
    once = redact(facts)
    assert facts == before
    assert redact(once) == once
    assert set(facts) <= set(once)


@given(
    st.text(alphabet="abcXYZ0189-_/+=", min_size=16, max_size=40),
    st.sampled_from(["password", "psk", "x_secret", "bindPassword"]),
)
def test_no_planted_secret_survives(secret, key):
    secret = f"Zq{secret}"
    assert secret not in json.dumps(redact({"a": {key: secret}, "b": [f"{key}={secret}", f'<x {key}="{secret}"/>']}))


def test_hostile_text_does_not_take_long():
    texts = [
        "-----BEGIN " + "A" * 65_000,
        "a." * 32_000,
        "password" * 8_000,
        "://" * 20_000,
        "://" + "a:" * 30_000,
        "password=" * 7_000,
        "$6$" * 20_000,
        "passwd:" + " " * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 2_400,
    ]
    started = time.process_time()
    redact({"texts": texts, "password": [" " * 65_000 + "x", "yes " * 16_000 + "Q", "/etc" + "/a" * 30_000 + "?"]})
    assert time.process_time() - started < 2
