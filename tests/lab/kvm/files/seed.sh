# shellcheck shell=sh
# Run as root inside a started lab host by tests/lab/kvm/host.py: what an administrator would have defined.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# A firmware of one instruction, hlt at the reset vector: SeaBIOS costs four seconds of processor time where KVM is nested.
mkdir -p /usr/local/share/lab
{ head -c 65520 /dev/zero; printf '\372\364\353\374'; head -c 12 /dev/zero; } > /usr/local/share/lab/halt.rom
type=kvm
[ -c /dev/kvm ] || type=qemu
cat > "$tmp/pool.xml" <<'XML'
<pool type='dir'><name>default</name><target><path>/var/lib/libvirt/images</path></target></pool>
XML
cat > "$tmp/secret.xml" <<'XML'
<secret ephemeral='no' private='yes'>
  <uuid>5b6c1c5e-0000-4000-8000-00000000000a</uuid>
  <usage type='volume'><volume>/var/lib/libvirt/images/vm2.luks</volume></usage>
</secret>
XML
cat > "$tmp/vm1.xml" <<XML
<domain type='$type'>
  <name>vm1</name>
  <uuid>11111111-1111-4111-8111-111111111111</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='rom'>/usr/local/share/lab/halt.rom</loader>
  </os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/images/vm1.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:00:00:01'/><source network='default'/><model type='virtio'/>
    </interface>
    <graphics type='vnc' autoport='yes' listen='127.0.0.1'/>
  </devices>
</domain>
XML
cat > "$tmp/vm2.xml" <<XML
<domain type='$type'>
  <name>vm2</name>
  <uuid>22222222-2222-4222-8222-222222222222</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'/>
  </os>
  <features><acpi/><smm state='on'/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images/vm2.luks'>
        <encryption format='luks'><secret type='passphrase' uuid='5b6c1c5e-0000-4000-8000-00000000000a'/></encryption>
      </source><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:00:00:02'/><source network='default'/><model type='virtio'/>
      <filterref filter='clean-traffic'/>
    </interface>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
  </devices>
</domain>
XML
cat > "$tmp/commands" <<XML
secret-define $tmp/secret.xml
pool-define $tmp/pool.xml
pool-autostart default
pool-start default
define $tmp/vm1.xml
define $tmp/vm2.xml
start vm1
XML
virsh -q -c qemu:///system net-start default 2> /dev/null || true
virsh -q -c qemu:///system net-autostart default
printf 'lab-only-passphrase' > "$tmp/passphrase"
# One client for all of them: each virsh costs a connection.
virsh -q -c qemu:///system < "$tmp/commands"
virsh -q -c qemu:///system secret-set-value 5b6c1c5e-0000-4000-8000-00000000000a --file "$tmp/passphrase" --plain
virsh -q -c qemu:///system domstate vm1 | grep -qx running
virsh -q -c qemu:///system domstate vm2 | grep -qx 'shut off'
