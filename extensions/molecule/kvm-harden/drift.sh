#!/bin/sh
# What somebody does in a hurry, in six areas. The second factor and root's login are never set up in one run, so the
# drift of remote access is another one.
set -eu
replace() {  # expression, file: a drift that was not planted proves nothing
  cp "$2" /run/before-drift
  sed -i "$1" "$2"
  if cmp -s "$2" /run/before-drift; then echo "no drift planted in $2" >&2; exit 1; fi
}
replace 's/X11Forwarding no/X11Forwarding yes/' /etc/ssh/sshd_config.d/00-dwp-hypervisor.conf
systemctl reload ssh
nft delete table inet dwp_hypervisor
gpasswd -a oscar libvirt
printf 'user = "root"\ngroup = "root"\n' >> /etc/libvirt/qemu.conf
systemctl restart libvirtd
chmod 0666 /var/log/auth.log
replace '/dwp-hypervisor-mfa/d' /etc/pam.d/sudo
