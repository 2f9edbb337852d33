# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile or careless administrator leaves on a host: names that attack a report, secrets in their places."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost

MARK = "Hostile7f3a"
SCRIPT = f"<script>alert('{MARK}')</script>"
# One domain for each: libvirt takes everything but a slash and control characters as a name.
DOMAIN_NAMES = (
    SCRIPT.replace("/", "\\"),
    f"=cmd|' {MARK}'!A1",
    f"+{MARK}",
    f"-{MARK}",
    f"@SUM({MARK})",
    f"..\\..\\etc\\{MARK}",
    f"{{{{ lookup('pipe', 'touch {MARK}') }}}}",
    f"\U0001f4a3\u202e{MARK}",
)
TITLE = f"\"'><img src=x onerror=alert('{MARK}')>&amp;"
DESCRIPTION = f"{SCRIPT}\n]]>=cmd|../../etc/" + "A" * 65536
# Files that must not hang, stop or mislead a collector: shell commands, run as root on the host.
FILES = f"""
set -e
mkfifo /etc/rsyslog.d/pipe.conf /etc/sudoers.d/pipe /etc/ssh/sshd_config.d/pipe.txt /etc/polkit-1/rules.d/pipe.rules
mkfifo /etc/modprobe.d/pipe.conf /etc/apt/sources.list.d/pipe.list /var/lib/libvirt/images/pipe.img
ln -s loop2 /etc/sudoers.d/loop1; ln -s loop1 /etc/sudoers.d/loop2; ln -s .. /etc/rsyslog.d/up.conf
ln -s /dev/zero /etc/systemd/journald.conf.d 2> /dev/null || true
printf 'alice ALL=(root) /bin/true\\n' > "$(printf '/etc/sudoers.d/new\\nline{MARK}')"
printf '# %s\\nDefaults:alice badpass_message="%s"\\nalice ALL=(root) /bin/echo =cmd\\n' '{SCRIPT}' '{SCRIPT}' \
  > /etc/sudoers.d/html
chmod 0440 /etc/sudoers.d/html /etc/sudoers.d/new*
printf 'Banner /etc/{MARK}-banner\\n' > /etc/ssh/sshd_config.d/banner.conf
printf '%s\\n=cmd|\\033[2J\\n' '{SCRIPT}' | tee '/etc/{MARK}-banner' /etc/issue /etc/issue.net > /etc/motd
{{ printf '# '; head -c 2097152 /dev/zero | tr '\\0' x; printf '\\n'; }} > /etc/ssh/sshd_config.d/x.conf
printf '*.* action(type="omfwd" target="%s" protocol="tcp" template="=cmd|")\\n' '<b>{MARK}<\\/b>' \
  > /etc/rsyslog.d/html.conf
printf 'alice:%s:=cmd\\n' '{SCRIPT}' >> /var/log/auth.log
useradd --badname -c "<b>{MARK}</b>,=cmd" -m -s /bin/bash "=cmd.{MARK}" 2> /dev/null ||
  printf '=cmd.{MARK}:x:4242:4242:<b>{MARK}</b>:/home/x:/bin/bash\\n' >> /etc/passwd
touch "$(printf '/var/lib/libvirt/images/new\\nline')" "$(printf '/var/lib/libvirt/images/latin\\351')" \
  '/var/lib/libvirt/images/=cmd|<script>{MARK}.qcow2'
"""


def _domain(name: str, devices: str = "", head: str = "", tail: str = "", space: str = "") -> str:
    return (
        f"<domain type='qemu' {space}><name>{escape(name)}</name>{head}<memory unit='MiB'>32</memory>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>"
        f"<devices>{devices}</devices>{tail}</domain>"
    )


def _define(host: BootedHost, kind: str, xml: str) -> None:
    host.put("/run/lab-define.xml", xml)
    host.run(f"virsh -q -c qemu:///system {kind} /run/lab-define.xml")


def make_hostile(host: BootedHost) -> None:
    """Define domains, a network, a pool and volumes with hostile names, and lay the hostile files down."""
    head = f"<title>{escape(TITLE)}</title><description>{escape(DESCRIPTION)}</description>"
    for name in DOMAIN_NAMES:
        # libvirt refuses a newline in a title, and takes the description as it is.
        _define(host, "define", _domain(name, "<graphics type='vnc' listen='0.0.0.0'/>", head))
    _define(host, "net-define", f"<network><name>=cmd|{escape(SCRIPT.replace('/', ''))}</name></network>")
    pool = f"<pool type='dir'><name>@{MARK}{{{{ 7*7 }}}}</name><target><path>/var/lib/{MARK}</path></target></pool>"
    host.run(f"mkdir -p /var/lib/{MARK}; touch '/var/lib/{MARK}/<img src=x>.raw'")
    _define(host, "pool-define", pool)
    host.run(f"virsh -q -c qemu:///system pool-start '@{MARK}{{{{ 7*7 }}}}'")
    host.run(FILES)


class Planted:
    """Random tokens by the place they are planted in."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    def new(self, place: str, length: int = 24) -> str:
        """A token of letters and digits. The first letter keeps it from looking like a number."""
        self.tokens[place] = "Z" + secrets.token_hex(length)[: length - 1]
        return self.tokens[place]

    def found(self, data: bytes) -> list[str]:
        """The places whose token the data holds, as it is, in hexadecimal, or in base64 at any alignment."""
        lower = data.lower()
        return [place for place, token in self.tokens.items() if any(form in lower for form in _forms(token.encode()))]


def _forms(token: bytes) -> Iterator[bytes]:
    yield token.lower()
    yield token.hex().encode()
    for shift in range(3):
        # The characters at both ends also depend on the neighbours.
        yield base64.b64encode(b"\0" * shift + token).rstrip(b"=")[4 if shift else 0 : -2].lower()


def plant(host: BootedHost) -> Planted:
    """Put a secret of its own in every place where a KVM host keeps some; returns them."""
    planted = Planted()
    _plant_in_libvirt(host, planted)
    _plant_in_files(host, planted)
    return planted


def _plant_in_libvirt(host: BootedHost, planted: Planted) -> None:
    new = planted.new
    vnc = f"<graphics type='vnc' listen='127.0.0.1' passwd='{new('VNC password of a domain', 8)}'/>"
    _define(host, "define", _domain("with-vnc", vnc))
    host.run("virsh -q -c qemu:///system start with-vnc")
    cookie = (
        "<disk type='network' device='cdrom'><source protocol='https' name='image.iso'"
        f" query={quoteattr('token=' + new('query of a disk'))}><host name='images.example' port='443'/><cookies>"
        f"<cookie name='session'>{new('cookie of a disk')}</cookie></cookies></source><target dev='sda' bus='sata'/>"
        "<readonly/></disk>"
    )
    entry = f"<sysinfo type='fwcfg'><entry name='opt/com.example/token'>{new('firmware entry')}</entry></sysinfo>"
    oem = f"<sysinfo type='smbios'><oemStrings><entry>app:{new('OEM string')}</entry></oemStrings></sysinfo>"
    metadata = (
        f"<metadata><c:cloud xmlns:c='urn:example'><c:password>{new('metadata')}</c:password></c:cloud></metadata>"
        f"<description>root password is {new('description')}</description>"
    )
    arguments = (
        "<qemu:commandline><qemu:arg value='-object'/>"
        f"<qemu:arg value='secret,id=s,data={new('QEMU argument')}'/>"
        f"<qemu:env name='API_TOKEN' value='{new('QEMU environment')}'/></qemu:commandline>"
    )
    space = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
    _define(host, "define", _domain("with-secrets", cookie, metadata, oem + entry + arguments, space))
    spice = f"<graphics type='spice' port='5999' passwd='{new('SPICE password of a domain')}'/>"
    host.put("/etc/libvirt/qemu/with-spice.xml", _domain("with-spice", spice))
    secret = "5b6c1c5e-0000-4000-8000-00000000000b"
    _define(
        host,
        "secret-define",
        f"<secret ephemeral='no' private='no'><uuid>{secret}</uuid>"
        "<usage type='iscsi'><target>t</target></usage></secret>",
    )
    value = base64.b64encode(new("libvirt secret").encode()).decode()
    host.run(f"virsh -q -c qemu:///system secret-set-value {secret} {value}")
    pool = (
        "<pool type='iscsi'><name>with-chap</name><source><host name='san.example'/><device path='iqn.2026-01.x:y'/>"
        f"<auth type='chap' username='u' passwd='{new('CHAP password')}'><secret uuid='{secret}'/></auth></source>"
        "<target><path>/dev/disk/by-path</path></target></pool>"
    )
    _define(host, "pool-define", pool)
    conf = f'vnc_password = "{new("qemu.conf VNC", 8)}"\nspice_password = "{new("qemu.conf SPICE")}"\n'
    host.put("/run/lab-qemu.conf", conf)
    host.run("cat /run/lab-qemu.conf >> /etc/libvirt/qemu.conf; rm /run/lab-qemu.conf")
    argument = new("qemu-nbd argument")
    host.run(
        "truncate -s 1M /run/lab-nbd.raw; systemd-run -q --unit lab-nbd"
        f" qemu-nbd --object secret,id=s,data={argument} -k /run/lab-nbd.sock -f raw -t /run/lab-nbd.raw"
    )


def _plant_in_files(host: BootedHost, planted: Planted) -> None:
    new = planted.new
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n"
    files = {
        "/etc/sssd/sssd.conf": "[sssd]\nservices = nss, pam\ndomains = d\n[domain/d]\nid_provider = ldap\n"
        f"ldap_uri = ldaps://dc.example\nldap_default_bind_dn = cn=b\nldap_default_authtok = {new('sssd')}\n",
        "/root/.ssh/id_ed25519": key % new("private key of root"),
        "/home/alice/.ssh/id_rsa": key % new("private key of alice"),
        "/etc/pki/libvirt/private/serverkey.pem": key.replace("OPENSSH ", "") % new("TLS key of libvirt"),
        "/home/alice/.google_authenticator": f'{new("TOTP seed").upper()}\n" TOTP_AUTH\n12345678\n',
        "/etc/users.oath": f"HOTP/T30/6 alice - {new('OATH seed')}\n",
        "/etc/rsyslog.d/secret.conf": '*.* action(type="omfwd" target="log1" protocol="tcp"'
        f'\n pwd="{new("rsyslog pwd")}"'
        f' password="{new("rsyslog password")}")\n*.* :ommysql:log1,db,user,{new("rsyslog legacy")}\n'
        f'action(type="omelasticsearch" server="log1" uid="u" pwd="{new("rsyslog other module")}")\n',
        "/var/lib/cloud/instance/user-data.txt": f"#cloud-config\nchpasswd: {{list: 'root:{new('cloud-init')}'}}\n",
        "/etc/pam_radius_auth.conf": f"127.0.0.1 {new('RADIUS')} 3\n",
        "/etc/sudoers.d/comment": f"# the password is {new('sudoers comment')}\nbob ALL=(root) /bin/true\n",
        "/etc/keys/vm.key": new("key file of crypttab"),
        "/etc/crypttab": "vm /dev/sdz1 /etc/keys/vm.key luks\n",
        "/etc/apt/auth.conf": f"machine deb.example login u password {new('apt auth.conf')}\n",
        "/etc/apt/auth.conf.d/x.conf": f"machine deb.example login u password {new('apt auth.conf.d')}\n",
        "/etc/apt/sources.list.d/x.list": f"deb https://u:{new('apt source')}@deb.example/debian bookworm main\n",
        "/etc/apt/apt.conf.d/95proxy": f'Acquire::http::Proxy "http://u:{new("apt proxy")}@proxy.example:3128";\n',
        "/etc/chrony/chrony.keys": f"1 SHA256 HEX:{new('chrony key')}\n",
        "/etc/libvirt/auth.conf": f"[credentials-x]\npassword={new('libvirt auth.conf')}\n",
        "/etc/snmp/snmpd.conf": f"rocommunity {new('SNMP community')} 10.0.0.0/8\n",
        "/etc/iscsi/iscsid.conf": f"node.session.auth.password = {new('iscsid.conf')}\n",
        "/etc/fstab": f"//nas/x /mnt cifs noauto,username=u,password={new('fstab')} 0 0\n",
        "/boot/grub/grub.cfg": f"password_pbkdf2 root grub.pbkdf2.sha512.10000.{new('grub hash', 64).upper()}\n",
        "/etc/systemd/system/lab.service": f"[Service]\nEnvironment=TOKEN={new('unit')}\nExecStart=/bin/true\n",
        "/etc/default/grub.d/x.cfg": f"# {new('comment of grub')}\n",
        "/etc/ssh/sshd_config.d/key.conf": f"# {new('comment of sshd')}\nAuthorizedKeysCommand /bin/true --pw"
        f" {new('sshd')}\n"
        "AuthorizedKeysCommandUser nobody\n",
    }  # fmt: skip
    for path, text in files.items():
        host.put(path, text, 0o600)
    host.run("chmod 0440 /etc/sudoers.d/comment; chmod 0644 /etc/apt/sources.list.d/x.list /etc/apt/apt.conf.d/95proxy")
    salted = "$6$%s$" % new("salt of a password", 12) + new("password hash", 86)
    host.run(f"usermod -p '{salted}' alice")
    host.put(
        "/run/lab-pam",
        f"auth optional pam_radius_auth.so secret={new('PAM secret')} key={new('PAM key')}\n"
        f"auth optional pam_mysql.so user=u passwd={new('PAM passwd')}\n"
        f"auth optional pam_custom.so client_secret={new('PAM client secret')}"
        f" [bind_password=a {new('PAM brackets')}]\n"
        f"auth optional pam_exec.so quiet /usr/bin/curl -u u:{new('PAM command')} https://x.example\n",
    )
    host.run("cat /run/lab-pam >> /etc/pam.d/sshd; rm /run/lab-pam")
