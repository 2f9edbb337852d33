// Copyright: (c) 2026, dwp.hypervisor contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command server is the vSphere target of the lab: govmomi's simulator with what it lacks.
// See README.md one directory up.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	_ "github.com/vmware/govmomi/vapi/simulator"
)

// user is one account that may log in; the role holds on the root folder and propagates.
type user struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Role     string `json:"role"`
}

// config is what the Python front writes before it starts this program.
type config struct {
	State      string `json:"state"`
	Scratch    string `json:"scratch"`
	Hosts      int    `json:"hosts"`
	VMs        int    `json:"vms"`
	PerCluster int    `json:"per_cluster"`
	Standalone string `json:"standalone"`
	VCenter    string `json:"vcenter"`
	Users      []user `json:"users"`
}

func readConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := new(config)
	if err = json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Hosts < 1 || c.PerCluster < 1 || c.VMs < 0 || len(c.Users) == 0 {
		return nil, fmt.Errorf("%s: needs hosts >= 1, per_cluster >= 1, vms >= 0 and at least one user", path)
	}
	return c, nil
}

func run(c *config) error {
	authority, err := newAuthority(c.State)
	if err != nil {
		return err
	}
	lab, err := newLab(c, authority)
	if err != nil {
		return err
	}
	defer lab.model.Remove()

	certificate, err := authority.issue("vcenter.lab.example", net.IPv4(127, 0, 0, 1), "localhost")
	if err != nil {
		return err
	}
	service := lab.model.Service
	service.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
	service.RegisterEndpoints = true
	service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(c.Users[0].Name, c.Users[0].Password)}
	server := service.NewServer()
	defer server.Close()
	handler := server.Config.Handler
	if lab.documents != nil {
		handler = lab.wrapREST(handler)
	}
	server.Config.Handler = lab.wrap(handler)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := &http.Server{Handler: lab.control()}
	go func() { _ = control.Serve(listener) }()
	defer control.Close()

	ready, _ := json.Marshal(map[string]any{
		"port":    server.Listener.Addr().(*net.TCPAddr).Port,
		"control": fmt.Sprintf("http://%s", listener.Addr()),
	})
	if err = writeAtomic(filepath.Join(c.State, "ready.json"), ready); err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	<-stop.Done()
	server.CloseClientConnections()
	return nil
}

func writeAtomic(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func main() {
	path := flag.String("config", "", "JSON file with the inventory's size and the users")
	flag.Parse()
	c, err := readConfig(*path)
	if err == nil {
		err = run(c)
	}
	if err != nil {
		log.Fatal(err)
	}
}
