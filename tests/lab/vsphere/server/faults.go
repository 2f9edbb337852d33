// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// faults is what goes wrong on request.
type faults struct{}

func newFaults() *faults { return &faults{} }

func (f *faults) wrap(next http.Handler) http.Handler { return next }

func (l *lab) control() http.Handler { return http.NewServeMux() }

// admit sees every call before it is made.
func (l *lab) admit(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	return nil, nil
}
