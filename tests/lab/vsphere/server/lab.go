// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// lab is everything behind the endpoint.
type lab struct {
	config    *config
	authority *authority
	model     *simulator.Model
	// vcenter is the release of the vCenter, nil where there is none.
	vcenter *release
	faults  *faults
	hosts   map[types.ManagedObjectReference]*esxHost
	order   []*esxHost
	// owners are the hosts by their managers.
	owners        map[types.ManagedObjectReference]types.ManagedObjectReference
	authorization *authorizationManager
	settings      *optionManager
	documents     *documents

	definitions map[int][]types.OptionDef
	datacenter  *object.Datacenter
	folders     *object.DatacenterFolders
	pools       map[types.ManagedObjectReference]*object.ResourcePool
	backings    map[string]types.BaseVirtualDeviceBackingInfo
}

func newLab(c *config, a *authority) (*lab, error) {
	l := &lab{
		config: c, authority: a, faults: newFaults(),
		hosts:       map[types.ManagedObjectReference]*esxHost{},
		owners:      map[types.ManagedObjectReference]types.ManagedObjectReference{},
		definitions: map[int][]types.OptionDef{},
		pools:       map[types.ManagedObjectReference]*object.ResourcePool{},
		backings:    map[string]types.BaseVirtualDeviceBackingInfo{},
	}
	build := l.buildVCenter
	if c.Standalone != "" {
		build = l.buildStandalone
	}
	if err := build(); err != nil {
		return nil, err
	}
	if err := l.addMachines(l.client()); err != nil {
		return nil, err
	}
	if err := l.addService(); err != nil {
		return nil, err
	}
	sessions := l.model.Map().SessionManager()
	sessions.ValidLogin = func(req *types.Login) bool {
		for _, known := range c.Users {
			if known.Name == req.UserName && known.Password == req.Password {
				return true
			}
		}
		return false
	}
	l.model.Map().Handler = l.admit
	return l, nil
}

func (l *lab) context() *simulator.Context { return l.model.Service.Context }

func (l *lab) client() *vim25.Client {
	client, _ := vim25.NewClient(context.Background(), l.model.Service)
	return client
}

// await waits for a task of the simulator and forgets it. The client's own way polls every few milliseconds, which is
// minutes for ten thousand machines.
func (l *lab) await(task *object.Task, err error) (types.AnyType, error) {
	if err != nil {
		return nil, err
	}
	registry := l.model.Map()
	running := registry.Get(task.Reference()).(*simulator.Task)
	for {
		var info types.TaskInfo
		registry.WithLock(&simulator.Context{Map: registry}, running, func() { info = running.Info })
		switch info.State {
		case types.TaskInfoStateSuccess:
			registry.Remove(l.context(), running.Self)
			return info.Result, nil
		case types.TaskInfoStateError:
			return nil, fmt.Errorf("%s: %s", info.Name, info.Error.LocalizedMessage)
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// optionDefs returns the declared options of a release; its hosts share them.
func (l *lab) optionDefs(r *release, table map[string]*option) []types.OptionDef {
	if l.definitions[r.rank] == nil {
		l.definitions[r.rank] = supportedOptions(table)
	}
	return l.definitions[r.rank]
}

func about(r release, name, product, api string) types.AboutInfo {
	return types.AboutInfo{
		Name: name, FullName: fmt.Sprintf("%s %s build-%s", name, r.version, r.build), Vendor: "VMware, Inc.",
		Version: r.version, PatchLevel: r.update, Build: r.build, LocaleVersion: "INTL", LocaleBuild: "000",
		ProductLineId: product, ApiType: api, ApiVersion: r.apiVersion,
		InstanceUuid:          "4d1c0a52-7d0b-4f0c-9a4e-5f6f1ab0c0de",
		LicenseProductName:    name,
		LicenseProductVersion: r.version[:1] + ".0",
	}
}

func (l *lab) buildVCenter() error {
	if l.vcenter = findRelease(vcenterReleases, l.config.VCenter); l.vcenter == nil {
		return fmt.Errorf("vcenter: no release %q", l.config.VCenter)
	}
	l.model = simulator.VPX()
	l.model.ServiceContent.About = about(*l.vcenter, "VMware vCenter Server", "vpx", "VirtualCenter")
	l.model.ServiceContent.About.OsType = "linux-x64"
	l.model.Datacenter, l.model.Cluster, l.model.Host, l.model.Portgroup, l.model.Machine = 0, 0, 0, 0, 0
	if err := l.model.Create(); err != nil {
		return err
	}
	ctx, client := context.Background(), l.client()
	var err error
	if l.datacenter, err = object.NewRootFolder(client).CreateDatacenter(ctx, "lab"); err != nil {
		return err
	}
	if l.folders, err = l.datacenter.Folders(ctx); err != nil {
		return err
	}
	// A cluster is filled before the next one is started.
	for first := 0; first < l.config.Hosts; first += l.config.PerCluster {
		if err = l.addCluster(first, min(first+l.config.PerCluster, l.config.Hosts)); err != nil {
			return err
		}
	}
	return l.addDistributedSwitch()
}

func (l *lab) addCluster(first, end int) error {
	ctx := context.Background()
	name := fmt.Sprintf("cluster%02d", first/l.config.PerCluster+1)
	cluster, err := l.folders.HostFolder.CreateCluster(ctx, name, types.ClusterConfigSpecEx{})
	if err != nil {
		return err
	}
	spec := &types.ClusterConfigSpecEx{
		DasConfig: &types.ClusterDasConfigInfo{
			Enabled: types.NewBool(true), AdmissionControlEnabled: types.NewBool(true),
		},
		DrsConfig: &types.ClusterDrsConfigInfo{
			Enabled: types.NewBool(true), DefaultVmBehavior: types.DrsBehaviorFullyAutomated,
		},
	}
	if _, err = l.await(cluster.Reconfigure(ctx, spec, true)); err != nil {
		return err
	}
	config := l.model.Map().Get(cluster.Reference()).(*simulator.ClusterComputeResource).ConfigurationEx
	config.(*types.ClusterConfigInfoEx).DasConfig.AdmissionControlPolicy = &types.ClusterFailoverResourcesAdmissionControlPolicy{
		CpuFailoverResourcesPercent: 25, MemoryFailoverResourcesPercent: 25, FailoverLevel: 1,
		AutoComputePercentages: types.NewBool(true),
	}
	pool, err := cluster.ResourcePool(ctx)
	if err != nil {
		return err
	}
	// vcsim parses the versions of a cluster's hosts when one is added, and knows none above 8.0.2: adopt them afterwards.
	var refs []types.ManagedObjectReference
	for number := first; number < end; number++ {
		spec := types.HostConnectSpec{HostName: fmt.Sprintf("esx%02d.lab.example", number+1)}
		added, err := l.await(cluster.AddHost(ctx, spec, true, nil, nil))
		if err != nil {
			return err
		}
		refs = append(refs, added.(types.ManagedObjectReference))
	}
	taken := takenBy(l.vcenter)
	for i, ref := range refs {
		if err = l.adopt(ref, &taken[(first+i)%len(taken)], first+i); err != nil {
			return err
		}
		l.pools[ref] = pool
	}
	return nil
}

func (l *lab) adopt(ref types.ManagedObjectReference, r *release, number int) error {
	system := l.model.Map().Get(ref).(*simulator.HostSystem)
	h, err := newHost(l.context(), l, system, r, number)
	if err == nil {
		l.hosts[ref] = h
		l.order = append(l.order, h)
	}
	return err
}

func (l *lab) buildStandalone() error {
	r := findRelease(releases, l.config.Standalone)
	if r == nil {
		return fmt.Errorf("standalone: no release %q", l.config.Standalone)
	}
	l.model = simulator.ESX()
	l.model.ServiceContent.About = about(*r, "VMware ESXi", "embeddedEsx", "HostAgent")
	l.model.ServiceContent.About.OsType = "vmnix-x86"
	l.model.Machine = 0
	if err := l.model.Create(); err != nil {
		return err
	}
	ctx, client := context.Background(), l.client()
	system := l.model.Map().Any("HostSystem").(*simulator.HostSystem)
	system.Name, system.Summary.Config.Name = "esx01.lab.example", "esx01.lab.example"
	if err := l.adopt(system.Self, r, 0); err != nil {
		return err
	}
	l.datacenter = object.NewDatacenter(client, l.model.Map().Any("Datacenter").Reference())
	var err error
	if l.folders, err = l.datacenter.Folders(ctx); err != nil {
		return err
	}
	l.pools[system.Self], err = object.NewHostSystem(client, system.Self).ResourcePool(ctx)
	return err
}
