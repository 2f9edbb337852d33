# shellcheck shell=sh
# Appended to customise.sh for the modular variant.
#
# Debian builds libvirt without the modular daemons, in 13 too. virtqemud is the same program as libvirtd with other
# names compiled in (src/remote/remote_daemon.c), so a copy of libvirtd, given upstream's unit, socket and configuration
# names (https://libvirt.org/daemons.html), looks to an auditor as a modular host does: what listens where, which unit
# is enabled, which file configures it, which process owns the guests. One process answers for all drivers.
cp /usr/sbin/libvirtd /usr/sbin/virtqemud
for unit in libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd-tcp.socket libvirtd-tls.socket; do
    systemctl disable -q "$unit" || true
    systemctl mask -q "$unit"
done
for daemon in virtqemud virtinterfaced virtnetworkd virtnodedevd virtnwfilterd virtsecretd virtstoraged virtproxyd; do
    cp /etc/libvirt/libvirtd.conf "/etc/libvirt/$daemon.conf"
done

cat > /etc/systemd/system/virtqemud.service <<'UNIT'
[Unit]
Description=libvirt QEMU daemon
Requires=virtlogd.socket virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket
After=network.target dbus.service virtlogd.socket virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket
[Service]
Type=notify
ExecStart=/usr/sbin/virtqemud --config /etc/libvirt/virtqemud.conf --pid-file /run/virtqemud.pid --timeout 120
KillMode=process
Restart=on-failure
OOMScoreAdjust=-999
LimitNOFILE=8192
TasksMax=32768
LimitMEMLOCK=64M
Delegate=yes
[Install]
WantedBy=multi-user.target
Also=virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket
UNIT

# socket UNIT ADDRESS MODE NAME: the name tells libvirtd what the descriptor is for.
socket() {
    cat > "/etc/systemd/system/$1.socket" <<UNIT
[Unit]
Description=libvirt $1 socket
[Socket]
ListenStream=$2
Service=virtqemud.service
SocketMode=$3
RemoveOnStop=yes
FileDescriptorName=$4
[Install]
WantedBy=sockets.target
UNIT
}
for daemon in virtqemud virtinterfaced virtnetworkd virtnodedevd virtnwfilterd virtsecretd virtstoraged; do
    socket "$daemon" "/run/libvirt/$daemon-sock" 0666 libvirtd.socket
    socket "$daemon-ro" "/run/libvirt/$daemon-sock-ro" 0666 libvirtd-ro.socket
    socket "$daemon-admin" "/run/libvirt/$daemon-admin-sock" 0600 libvirtd-admin.socket
    systemctl enable -q "$daemon.socket" "$daemon-ro.socket" "$daemon-admin.socket"
done
# virtproxyd: the old socket and the remote ones; disabled, as upstream ships them.
socket virtproxyd /run/libvirt/libvirt-sock 0666 libvirtd.socket
socket virtproxyd-ro /run/libvirt/libvirt-sock-ro 0666 libvirtd-ro.socket
socket virtproxyd-tcp 16509 0666 libvirtd-tcp.socket
socket virtproxyd-tls 16514 0666 libvirtd-tls.socket
systemctl enable -q virtqemud.service virtlogd.socket
# Debian's client asks libvirtd unless told otherwise, and guesses no URI without it.
printf '\nremote_mode = "direct"\nuri_default = "qemu:///system"\n' >> /etc/libvirt/libvirt.conf
# Debian 13 has a timer for freshclam beside the daemon that customise.sh disables.
systemctl disable -q clamav-freshclam-once.timer clamav-freshclam-once.service
