// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"strconv"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func itoa(number int) string { return strconv.Itoa(number) }

func invalidName(name string) *soap.Fault {
	return simulator.Fault("The name '"+name+"' is invalid.", &types.InvalidName{Name: name})
}

func invalidArgument(property string) *soap.Fault {
	return simulator.Fault("A specified parameter was not correct: "+property,
		&types.InvalidArgument{InvalidProperty: property})
}

func notFound() *soap.Fault {
	return simulator.Fault("The object or item referred to could not be found.", new(types.NotFound))
}

func invalidState() *soap.Fault {
	return simulator.Fault("The operation is not allowed in the current state.", new(types.InvalidState))
}

func notSupported() *soap.Fault {
	return simulator.Fault("The operation is not supported on the object.", new(types.NotSupported))
}

// noPermission is the fault both for a method and, inside a property collector's answer, for a property.
func noPermission(object types.ManagedObjectReference, privilege string) *types.NoPermission {
	return &types.NoPermission{Object: &object, PrivilegeId: privilege}
}
