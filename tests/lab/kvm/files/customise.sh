# shellcheck shell=sh
# Run inside the fresh root (chroot) by tests/lab/kvm/rootfs.py. Environment: KEY_<account>, BREAKGLASS_PASSWORD.
# The host is a plain default installation: what an audit finds wrong on it is what Debian ships.

# mmdebstrap leaves the apt options of the build machine; a host has none of them.
rm -f /etc/apt/apt.conf.d/99mmdebstrap

groupadd -f operators
for account in ansible alice bob oscar breakglass; do
    useradd -m -s /bin/bash "$account"
done
usermod -aG sudo alice
usermod -aG sudo bob
usermod -aG libvirt,operators oscar
usermod -aG sudo breakglass
printf 'breakglass:%s\n' "$BREAKGLASS_PASSWORD" | chpasswd
for account in ansible alice bob oscar; do
    key=
    eval "key=\$KEY_$account"
    install -d -m 0700 -o "$account" -g "$account" "/home/$account/.ssh"
    printf '%s\n' "$key" > "/home/$account/.ssh/authorized_keys"
    chown "$account:$account" "/home/$account/.ssh/authorized_keys"
    chmod 0600 "/home/$account/.ssh/authorized_keys"
done
printf 'ansible ALL=(ALL:ALL) NOPASSWD: ALL\n' > /etc/sudoers.d/ansible
chmod 0440 /etc/sudoers.d/ansible

# There is no route out of a lab host: with nobody on port 53, look-ups fail at once instead of timing out.
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' > /etc/resolv.conf
printf '127.0.0.1 localhost\n::1 localhost\n' > /etc/hosts

# The kernel is the machine's own, shared: its cgroup controllers arrive read-only and libvirtd needs them writable.
# Device nodes are made here rather than bound in: the host's udev would change owner and mode of the machine's own.
cat > /usr/local/sbin/lab-kernel <<'SCRIPT'
#!/bin/sh
for d in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if mountpoint -q "$d"; then mount -o remount,rw,bind "$d" || true; fi
done
mkdir -p /dev/net
mknod -m 0666 /dev/net/tun c 10 200
mknod -m 0660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm
# A node that nothing answers behind would make libvirt offer what the machine cannot do.
(: <> /dev/kvm) 2> /dev/null || rm -f /dev/kvm
exit 0
SCRIPT
chmod 0755 /usr/local/sbin/lab-kernel
cat > /etc/systemd/system/lab-kernel.service <<'UNIT'
[Unit]
Description=Lab: what a container lacks of the kernel's interfaces
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-kernel
[Install]
WantedBy=sysinit.target
UNIT

# chronyd may not set the clock of the shared kernel: it runs with -x, and without the condition that would skip it.
mkdir -p /etc/systemd/system/chrony.service.d
printf '[Unit]\nConditionCapability=\n' > /etc/systemd/system/chrony.service.d/lab.conf
sed -i 's/^DAEMON_OPTS=.*/DAEMON_OPTS="-F 1 -x"/' /etc/default/chrony

systemctl enable lab-kernel.service ssh.service chrony.service rsyslog.service
# Tests that are about firewalld start it; everywhere else nobody has set up a packet filter.
systemctl disable firewalld.service
# freshclam has nothing to reach and would retry all day; sssd does not start without a configuration.
systemctl disable clamav-freshclam.service sssd.service
# What Debian does at a time of day, or at any (apt-daily), would change a host in the middle of a test; its timers stay on.
for timer in /lib/systemd/system/*.timer; do
    grep -q '^OnCalendar=' "$timer" || continue
    install -d "/etc/systemd/system/${timer##*/}.d"
    printf '[Timer]\nOnCalendar=\nOnCalendar=2099-01-01\nPersistent=no\n' > "/etc/systemd/system/${timer##*/}.d/lab.conf"
done
systemctl mask getty-static.service console-getty.service systemd-networkd-wait-online.service

# Volumes are made here: the key derivation of a LUKS volume takes seconds, and every start uses the same root.
install -d -m 0711 /var/lib/libvirt/images
cd /var/lib/libvirt/images || exit 1
qemu-img create -q -f qcow2 vm1.qcow2 64M
printf 'lab-only-passphrase' > /root/luks.key
# qemu times its key derivation, and gives up ("Unable to get accurate CPU usage") when the clock stood still for a moment.
for _ in $(seq 50); do
  qemu-img create -q --object secret,id=key,file=/root/luks.key -f luks -o key-secret=key,iter-time=10 vm2.luks 16M && break
  rm -f vm2.luks
done
test -s vm2.luks
rm -f /root/luks.key
chmod 0600 vm1.qcow2 vm2.luks
ssh-keygen -A
rm -f /etc/machine-id
systemd-machine-id-setup
