#!/bin/sh
# What somebody does in a hurry, in six areas.
set -eu
sed -i 's/^PermitRootLogin no/PermitRootLogin yes/' /etc/ssh/sshd_config.d/00-dwp-hypervisor.conf
systemctl reload ssh
nft delete table inet dwp_hypervisor
gpasswd -a oscar libvirt
printf 'user = "root"\ngroup = "root"\n' >> /etc/libvirt/qemu.conf
systemctl restart libvirtd
chmod 0666 /var/log/auth.log
sed -i '/pam_oath/d' /etc/pam.d/sudo
