// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

// release is one ESXi release of the lab; rank orders them and is what the tables compare with.
type release struct {
	rank       int
	version    string
	build      string
	apiVersion string
	update     string
}

// A vCenter of one release does not manage all three in real life (9.0 has dropped ESXi 7.0); here it does, so that one
// inventory shows every rename.
var releases = []release{
	{rank: 703, version: "7.0.3", build: "21930508", apiVersion: "7.0.3.0", update: "3"},
	{rank: 803, version: "8.0.3", build: "24280767", apiVersion: "8.0.3.0", update: "3"},
	{rank: 900, version: "9.0.0", build: "24755229", apiVersion: "9.0.0.0", update: "0"},
}

const (
	esxi8 = 800
	esxi9 = 900
)

var vcenterReleases = []release{
	{rank: 803, version: "8.0.3", build: "24022515", apiVersion: "8.0.3.0"},
	{rank: 900, version: "9.0.0", build: "24755230", apiVersion: "9.0.0.0"},
}

func findRelease(among []release, version string) *release {
	for i := range among {
		if among[i].version == version {
			return &among[i]
		}
	}
	return nil
}

// takenBy are the releases of hosts that a vCenter takes: none newer than itself.
func takenBy(vcenter *release) []release {
	var found []release
	for _, r := range releases {
		if r.rank <= vcenter.rank {
			found = append(found, r)
		}
	}
	return found
}
