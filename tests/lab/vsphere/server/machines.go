// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	datastoreName = "datastore1"
	nfsName       = "nfs-images"
)

func (l *lab) addDatastore(client *vim25.Client) error {
	ctx := context.Background()
	directory := filepath.Join(l.config.Scratch, datastoreName)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	nfs := types.HostNasVolumeSpec{
		RemoteHost: "nfs.lab.example", RemotePath: "/export/images", LocalPath: filepath.Join(l.config.Scratch, nfsName),
		AccessMode: string(types.HostMountModeReadWrite), Type: string(types.HostFileSystemVolumeFileSystemTypeNFS41),
	}
	if err := os.MkdirAll(nfs.LocalPath, 0o700); err != nil {
		return err
	}
	for _, h := range l.order {
		system, err := object.NewHostSystem(client, h.system.Self).ConfigManager().DatastoreSystem(ctx)
		if err != nil {
			return err
		}
		if _, err = system.CreateLocalDatastore(ctx, datastoreName, directory); err != nil {
			return err
		}
		if _, err = system.CreateNasDatastore(ctx, nfs); err != nil {
			return err
		}
	}
	for _, found := range l.model.Map().All("Datastore") {
		if info, ok := found.(*simulator.Datastore).Info.(*types.NasDatastoreInfo); ok {
			info.Name, info.Url, info.Nas.Name = nfsName, "ds:///vmfs/volumes/5a1c-nfs-images/", nfsName
			info.Nas.SecurityType = string(types.HostNasVolumeSecurityTypeAUTH_SYS)
		}
	}
	return nil
}

// addMachines creates the VMs, spread over the hosts: the first six are the characters of machineKinds, the others take
// turns as plain and as hardened ones.
func (l *lab) addMachines(client *vim25.Client) error {
	if err := l.addDatastore(client); err != nil {
		return err
	}
	for number := range l.config.VMs {
		kind := machineKinds[number%2]
		name := fmt.Sprintf("vm%05d", number+1)
		if number < len(machineKinds) {
			kind = machineKinds[number]
			name = kind.name
		}
		if kind.agent && l.config.Standalone != "" {
			continue
		}
		if err := l.addMachine(client, l.order[number%len(l.order)], kind, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (l *lab) addMachine(client *vim25.Client, h *esxHost, kind machineKind, name string) error {
	ctx := context.Background()
	path := "[" + datastoreName + "]"
	spec := types.VirtualMachineConfigSpec{
		Name: name, GuestId: string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest), Version: "vmx-19",
		NumCPUs: 2, MemoryMB: 4096, Files: &types.VirtualMachineFileInfo{VmPathName: path},
	}
	devices, err := l.basicDevices(kind, fmt.Sprintf("%s %s/disk1.vmdk", path, name))
	if err != nil {
		return err
	}
	if spec.DeviceChange, err = devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd); err != nil {
		return err
	}
	if kind.spec != nil {
		kind.spec(&spec)
	}
	host := object.NewHostSystem(client, h.system.Self)
	created, err := l.await(l.folders.VmFolder.CreateVM(ctx, spec, l.pools[h.system.Self], host))
	if err != nil {
		return err
	}
	ref := created.(types.ManagedObjectReference)
	machine := l.model.Map().Get(ref).(*simulator.VirtualMachine)
	complete(machine)
	if kind.finish != nil {
		kind.finish(machine)
	}
	if kind.off || machine.Config.Template {
		return nil
	}
	_, err = l.await(object.NewVirtualMachine(client, ref).PowerOn(ctx))
	return err
}

func (l *lab) basicDevices(kind machineKind, file string) (object.VirtualDeviceList, error) {
	var devices object.VirtualDeviceList
	controller, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, err
	}
	disk := devices.CreateDisk(controller.(types.BaseVirtualController), types.ManagedObjectReference{}, file)
	disk.CapacityInKB = 10 << 20
	disk.StorageIOAllocation = &types.StorageIOAllocationInfo{Limit: types.NewInt64(-1), Shares: &types.SharesInfo{
		Level: types.SharesLevelNormal, Shares: 1000,
	}}
	nic := esx.EthernetCard
	nic.ResourceAllocation = &types.VirtualEthernetCardResourceAllocation{
		Limit: types.NewInt64(-1), Reservation: types.NewInt64(0),
		Share: types.SharesInfo{Level: types.SharesLevelNormal, Shares: 50},
	}
	if kind.portgroup != "" && l.config.Standalone == "" {
		nic.Backing = l.backings[kind.portgroup]
	}
	return append(devices, controller, disk, &nic), nil
}

// complete sets what a real VM always has and vcsim leaves empty; an empty enumeration stops pyVmomi.
func complete(machine *simulator.VirtualMachine) {
	config := machine.Config
	config.Flags.VirtualExecUsage = string(types.VirtualMachineFlagInfoVirtualExecUsageHvAuto)
	config.Flags.VirtualMmuUsage = string(types.VirtualMachineFlagInfoVirtualMmuUsageAutomatic)
	config.Flags.VvtdEnabled, config.Flags.VbsEnabled = types.NewBool(false), types.NewBool(false)
	if config.NestedHVEnabled == nil {
		config.NestedHVEnabled = types.NewBool(false)
	}
	if config.MemoryReservationLockedToMax == nil {
		config.MemoryReservationLockedToMax = types.NewBool(false)
	}
	if config.MigrateEncryption == "" {
		config.MigrateEncryption = string(types.VirtualMachineConfigSpecEncryptedVMotionModesOpportunistic)
	}
	if config.FtEncryptionMode == "" {
		config.FtEncryptionMode = string(types.VirtualMachineConfigSpecEncryptedFtModesFtEncryptionOpportunistic)
	}
	if config.Hardware.NumCoresPerSocket == nil {
		config.Hardware.NumCoresPerSocket = types.NewInt32(1)
	}
	config.MaxMksConnections, config.GuestAutoLockEnabled = 40, types.NewBool(false)
	consoleOptions(config, config.ExtraConfig)
	weigh(config)
	if config.BootOptions.EfiSecureBootEnabled == nil {
		config.BootOptions.EfiSecureBootEnabled = types.NewBool(false)
	}
	machine.GuestHeartbeatStatus = types.ManagedEntityStatusGray
	machine.Runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
	machine.Runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
	machine.Summary.Runtime.FaultToleranceState = machine.Runtime.FaultToleranceState
	machine.Summary.Runtime.RecordReplayState = machine.Runtime.RecordReplayState
	allocation := *config.CpuAllocation
	memory := *config.MemoryAllocation
	machine.ResourceConfig = &types.ResourceConfigSpec{
		Entity: &machine.Self, CpuAllocation: allocation, MemoryAllocation: memory,
	}
}
