# shellcheck shell=sh
# Appended to customise.sh for the full VM: its own kernel, clock and network, so the lab's concessions go.
systemctl disable -q lab-kernel.service
rm -rf /usr/local/sbin/lab-kernel /etc/systemd/system/lab-kernel.service /etc/systemd/system/chrony.service.d
sed -i 's/^DAEMON_OPTS=.*/DAEMON_OPTS="-F 1"/' /etc/default/chrony
systemctl unmask -q console-getty.service getty-static.service

cat > /etc/systemd/network/lab.network <<'UNIT'
[Match]
Name=en*
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no
UNIT
systemctl enable -q systemd-networkd.service auditd.service apparmor.service
printf 'LABEL=root / ext4 defaults,noatime 0 1\nLABEL=ESP /boot/efi vfat umask=0077,nofail 0 2\n' > /etc/fstab
mkdir -p /boot/efi
printf 'labvm\n' > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 labvm\n::1 localhost\n' > /etc/hosts

# As an installed host has it: update-grub writes what the boot loader reads.
mkdir -p /boot/grub
cat > /etc/default/grub <<'SETTINGS'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
# On a busy machine the emulated timer is late, and the kernel would take it for broken and stop.
GRUB_CMDLINE_LINUX="console=ttyS0 no_timer_check"
GRUB_TERMINAL=console
GRUB_DISABLE_OS_PROBER=true
SETTINGS

# Emulated, every module in the initramfs costs boot time.
printf 'MODULES=list\nCOMPRESS=zstd\n' > /etc/initramfs-tools/conf.d/lab
printf 'virtio_pci\nvirtio_blk\next4\ncrc32c_generic\ntpm_crb\n' > /etc/initramfs-tools/modules
update-initramfs -u -k all
