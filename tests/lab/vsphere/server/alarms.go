// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const longestAlarmName = 80

// alarmManagerShim adds to vcsim's the refusals of a server: vcsim takes every specification.
type alarmManagerShim struct {
	*simulator.AlarmManager
}

func (s *alarmManagerShim) CreateAlarm(ctx *simulator.Context, req *types.CreateAlarm) soap.HasFault {
	if _, ok := ctx.Map.Get(req.Entity).(mo.Entity); !ok {
		return &methods.CreateAlarmBody{Fault_: simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Entity})}
	}
	if fault := refusedAlarm(ctx, req.Spec.GetAlarmSpec(), types.ManagedObjectReference{}); fault != nil {
		return &methods.CreateAlarmBody{Fault_: fault}
	}
	return s.AlarmManager.CreateAlarm(ctx, req)
}

// alarmShim does the same when an alarm is changed.
type alarmShim struct {
	*simulator.Alarm
}

func (s *alarmShim) ReconfigureAlarm(ctx *simulator.Context, req *types.ReconfigureAlarm) soap.HasFault {
	if fault := refusedAlarm(ctx, req.Spec.GetAlarmSpec(), s.Self); fault != nil {
		return &methods.ReconfigureAlarmBody{Fault_: fault}
	}
	return s.Alarm.ReconfigureAlarm(ctx, req)
}

// refusedAlarm is why a specification is not taken; self is the alarm that it is for, if there is one.
func refusedAlarm(ctx *simulator.Context, spec *types.AlarmSpec, self types.ManagedObjectReference) *soap.Fault {
	for _, other := range ctx.Map.AllReference("Alarm") {
		if alarm := other.(*simulator.Alarm); alarm.Self != self && alarm.Info.Name == spec.Name {
			return simulator.Fault("", &types.DuplicateName{Name: spec.Name, Object: alarm.Self})
		}
	}
	return badAlarm(spec)
}

func badAlarm(spec *types.AlarmSpec) *soap.Fault {
	if spec.Name == "" || len(spec.Name) > longestAlarmName {
		return invalidName(spec.Name)
	}
	if spec.Expression == nil {
		return invalidArgument("spec.expression")
	}
	if event, ok := spec.Expression.(*types.EventAlarmExpression); ok && event.EventType == "" && event.EventTypeId == "" {
		return invalidArgument("spec.expression.eventType")
	}
	return badAction(spec.Action)
}

func badAction(action types.BaseAlarmAction) *soap.Fault {
	switch found := action.(type) {
	case *types.GroupAlarmAction:
		for _, inner := range found.Action {
			if fault := badAction(inner); fault != nil {
				return fault
			}
		}
	case *types.AlarmTriggeringAction:
		if mail, ok := found.Action.(*types.SendEmailAction); found.Action == nil || ok && mail.ToList == "" {
			return invalidArgument("spec.action.action")
		}
	}
	return nil
}
