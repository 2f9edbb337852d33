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
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

const datastoreName = "datastore1"

func (l *lab) addDatastore(client *vim25.Client) error {
	ctx := context.Background()
	directory := filepath.Join(l.config.State, "datastore1")
	if err := os.MkdirAll(directory, 0o700); err != nil {
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
	}
	return nil
}

// addMachines creates the VMs, spread over the hosts.
func (l *lab) addMachines(client *vim25.Client) error {
	if err := l.addDatastore(client); err != nil {
		return err
	}
	for number := range l.config.VMs {
		h := l.order[number%len(l.order)]
		if err := l.addMachine(client, h, number); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) addMachine(client *vim25.Client, h *esxHost, number int) error {
	ctx := context.Background()
	name := fmt.Sprintf("vm%02d", number+1)
	var devices object.VirtualDeviceList
	controller, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return err
	}
	path := "[" + datastoreName + "]"
	disk := devices.CreateDisk(controller.(types.BaseVirtualController), types.ManagedObjectReference{},
		fmt.Sprintf("%s %s/disk1.vmdk", path, name))
	disk.CapacityInKB = 10 << 20
	disk.StorageIOAllocation = &types.StorageIOAllocationInfo{Limit: types.NewInt64(-1)}
	nic := esx.EthernetCard
	devices = append(devices, controller, disk, &nic)
	spec := types.VirtualMachineConfigSpec{
		Name: name, GuestId: string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest),
		NumCPUs: 2, MemoryMB: 4096, Files: &types.VirtualMachineFileInfo{VmPathName: path},
	}
	if spec.DeviceChange, err = devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd); err != nil {
		return err
	}
	host := object.NewHostSystem(client, h.system.Self)
	task, err := l.folders.VmFolder.CreateVM(ctx, spec, l.pools[h.system.Self], host)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	vm := object.NewVirtualMachine(client, info.Result.(types.ManagedObjectReference))
	if task, err = vm.PowerOn(ctx); err != nil {
		return err
	}
	return task.Wait(ctx)
}
