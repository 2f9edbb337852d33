// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/cli/esx"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// shell answers esxcli over the API. The calls are private and govmomi keeps their types to itself, so that requests are
// read by reflection; its client, cli/esx, shows the protocol. vcsim's SearchIndex looks for the type of package mo that every
// object begins with, and keeps its lock for good where there is none.
type shell struct {
	mo.ExtensibleManagedObject

	host       *esxHost
	accounts   []account
	ssh        map[string]string
	vmDomain   string
	tlsProfile string
	tlsBoot    string
	strict     bool
	filters    bool
	audit      auditRecords
	// bootOptions are the values of VMkernel.Boot.* with which the host has started.
	bootOptions map[string]any
}

type retrieveExecuterBody struct {
	Res    *RetrieveManagedMethodExecuterResponse `xml:"urn:vim25 RetrieveManagedMethodExecuterResponse"`
	Fault_ *soap.Fault
}

func (b *retrieveExecuterBody) Fault() *soap.Fault { return b.Fault_ }

// RetrieveManagedMethodExecuterResponse is the private type's equal.
type RetrieveManagedMethodExecuterResponse struct {
	Returnval types.ManagedObjectReference `xml:"urn:vim25 returnval"`
}

// RetrieveManagedMethodExecuter returns the object that ExecuteSoap is called on.
func (s *hostShim) RetrieveManagedMethodExecuter(any) soap.HasFault {
	return &retrieveExecuterBody{
		Fault_: s.host.reachable(), Res: &RetrieveManagedMethodExecuterResponse{Returnval: s.host.shell.Self},
	}
}

type executeBody struct {
	Res    *ExecuteSoapResponse `xml:"urn:vim25 ExecuteSoapResponse"`
	Fault_ *soap.Fault
}

func (b *executeBody) Fault() *soap.Fault { return b.Fault_ }

// ExecuteSoapResponse is the private type's equal.
type ExecuteSoapResponse struct {
	Returnval soapResult `xml:"urn:vim25 returnval"`
}

type soapResult struct {
	Response string     `xml:"response,omitempty"`
	Fault    *soapFault `xml:"fault,omitempty"`
}

type soapFault struct {
	FaultMsg    string `xml:"faultMsg"`
	FaultDetail string `xml:"faultDetail,omitempty"`
}

// cliError is what esxcli prints: a fault of its own type, carried inside a successful ExecuteSoap.
type cliError struct{ message string }

func (e *cliError) Error() string { return e.message }

var errUnknownCommand = errors.New("the object or item referred to could not be found")

func cliErrorf(format string, values ...any) error { return &cliError{fmt.Sprintf(format, values...)} }

// command is one esxcli command: the releases that have it, its arguments, and what it does.
type command struct {
	since, until int
	kind         string
	takes        []parameter
	run          func(*simulator.Context, *esxHost, esx.Values) ([]esx.Values, error)
}

// ExecuteSoap runs one command: method vim.EsxCLI.system.account.list with arguments by name.
func (s *shell) ExecuteSoap(ctx *simulator.Context, req any) soap.HasFault {
	if fault := s.host.reachable(); fault != nil {
		return &executeBody{Fault_: fault}
	}
	request := reflect.ValueOf(req).Elem()
	method := request.FieldByName("Method").String()
	arguments, list := esx.Values{}, request.FieldByName("Argument")
	for i := range list.Len() {
		argument := list.Index(i)
		arguments[argument.FieldByName("Name").String()] = argumentValues(argument.FieldByName("Val").String())
	}
	result := new(ExecuteSoapResponse)
	response, err := s.execute(ctx, request.FieldByName("Moid").String(), method, arguments)
	if err != nil {
		result.Returnval.Fault = cliFault(err)
	} else {
		result.Returnval.Response = response
	}
	return &executeBody{Res: result}
}

// argumentValues takes the texts out of the elements that an argument is sent as: <level xmlns="urn:vim25">x</level>.
func argumentValues(text string) []string {
	var element struct {
		Values []string `xml:",any"`
	}
	if xml.Unmarshal([]byte("<all>"+text+"</all>"), &element) != nil || len(element.Values) == 0 {
		return []string{text}
	}
	return element.Values
}

// execute finds the command below its handler: system account list is list of ha-cli-handler-system-account.
func (s *shell) execute(ctx *simulator.Context, handler, method string, arguments esx.Values) (string, error) {
	if method == "vim.CLIInfo.FetchCLIInfo" {
		return s.info(handler, arguments.Value("typeName"))
	}
	name := strings.ToLower(strings.TrimPrefix(method, "vim.EsxCLI."))
	found, ok := commands[name]
	rank := s.host.release.rank
	space := name[:max(strings.LastIndex(name, "."), 0)]
	if handler != "ha-cli-handler-"+strings.ReplaceAll(space, ".", "-") || !strings.HasPrefix(method, "vim.EsxCLI.") {
		return "", errUnknownCommand
	}
	if !ok || !found.in(rank) {
		return "", errUnknownCommand
	}
	if err := found.refuse(arguments, rank); err != nil {
		return "", err
	}
	rows, err := found.run(ctx, s.host, arguments)
	if err != nil {
		return "", err
	}
	return render("VimEsxCLI"+strings.ReplaceAll(name, ".", "")+found.kind, found.kind, rows), nil
}

// render writes the answer as hostd does: a single value, one object, or an array of objects.
func render(object, kind string, rows []esx.Values) string {
	out := &strings.Builder{}
	const open = `<obj xmlns="urn:vim25" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` +
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" versionId="5.0" xsi:type="%s">`
	switch {
	case kind == "boolean" || kind == "string":
		fmt.Fprintf(out, open, "xsd:"+kind)
		_ = xml.EscapeText(out, []byte(rows[0].Value("value")))
	case strings.HasSuffix(kind, "[]"):
		fmt.Fprintf(out, open, "ArrayOfDataObject")
		for _, row := range rows {
			fmt.Fprintf(out, `<DataObject xsi:type="%s">`, strings.TrimSuffix(object, "[]"))
			renderFields(out, row)
			out.WriteString("</DataObject>")
		}
	default:
		fmt.Fprintf(out, open, object)
		renderFields(out, rows[0])
	}
	out.WriteString("</obj>")
	return out.String()
}

func renderFields(out *strings.Builder, row esx.Values) {
	for _, name := range slices.Sorted(maps.Keys(row)) {
		for _, value := range row[name] {
			fmt.Fprintf(out, "<%s>", name)
			_ = xml.EscapeText(out, []byte(value))
			fmt.Fprintf(out, "</%s>", name)
		}
	}
}

func cliFault(err error) *soapFault {
	message := &strings.Builder{}
	_ = xml.EscapeText(message, []byte(err.Error()))
	kind, text := "NotFound", ""
	if _, ok := err.(*cliError); ok {
		kind, text = "VimEsxCLICLIFault", "<errMsg>"+message.String()+"</errMsg>"
	}
	return &soapFault{
		FaultMsg: err.Error(),
		FaultDetail: fmt.Sprintf(`<%sFault xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" `+
			`xsi:type="%s">%s</%sFault>`, kind, kind, text, kind),
	}
}

var _ mo.Reference = (*shell)(nil)
