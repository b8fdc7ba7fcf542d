package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/loadgen"
)

// parseConnect is the load and the way to connect that flags ask for.
func parseConnect(t *testing.T, flags ...string) (loadgen.Load, loadgen.Connect, error) {
	t.Helper()
	var o connectOptions
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.addFlags(f)
	var agents agentsOptions
	agents.addFlags(f)
	if err := f.Parse(flags); err != nil {
		t.Fatal(err)
	}
	sent := traffic{workload: storeWorkload(), load: loadgen.Load{Workers: 4, Timeout: time.Second}}
	err := o.apply(&sent.load)
	if err == nil {
		err = sent.reach(nil, &o, &agents)
	}
	return sent.load, sent.connect, err
}

func TestConnectFlags(t *testing.T) {
	tests := []struct {
		flags  string
		allow  float64
		pacing string
	}{
		{"", 0, "closed loop, 4 workers"},
		{"--allow-errors=1%", 0.01, "closed loop, 4 workers"},
		{"--allow-errors=0%", 0, "closed loop, 4 workers"},
		{"--allow-errors=12.5%", 0.125, "closed loop, 4 workers"},
		{"--h2", 0, "closed loop, 4 workers, HTTP/2"},
		{"--h2 --h2-streams=1", 0, "closed loop, 4 workers, HTTP/2"},
		{"--h2 --h2-streams=2", 0, "closed loop, 4 workers, HTTP/2 with 2 workers per connection"},
	}
	for _, tt := range tests {
		load, c, err := parseConnect(t, strings.Fields(tt.flags)...)
		if err != nil || load.AllowErrors != tt.allow || load.Pacing() != tt.pacing || c.TLS != nil {
			t.Errorf("%s: %v, %s, allowed %v", tt.flags, err, load.Pacing(), load.AllowErrors)
		}
		if err := load.Validate(); err != nil {
			t.Errorf("%s: %v", tt.flags, err)
		}
	}
}

func TestConnectFlagErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const percentage = "is not a percentage of at least 0% and below 100%, such as 1%"
	for flags, want := range map[string]string{
		"--allow-errors=100%":    `--allow-errors: "100%" ` + percentage,
		"--allow-errors=-1%":     percentage,
		"--allow-errors=1":       percentage,
		"--allow-errors=NaN%":    percentage,
		"--h2-streams=2":         "--h2-streams needs HTTP/2; give --h2 too",
		"--h2 --h2-streams=0":    "--h2-streams: 0 is not a number of workers",
		"--insecure --cacert=x":  "give one of them",
		"--cacert=/no/such/file": "--cacert: open /no/such/file",
		"--cacert=" + empty:      "there is no certificate in " + empty,
	} {
		if _, _, err := parseConnect(t, strings.Fields(flags)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flags, err, want)
		}
	}
}

// hello is one request.
type hello struct{}

func (hello) Name() string                              { return "hello" }
func (hello) Kinds() []string                           { return []string{"hello"} }
func (h hello) Source(uint64, int) loadgen.Source       { return h }
func (hello) Next(req *loadgen.Request) int             { req.Target = "/"; return 0 }
func (hello) Check(_ int, answer *loadgen.Answer) error { return answer.CheckStatus() }

// TestCertificateFlags holds that a server with a certificate of its own is reached
// with its authority or without a check, and not otherwise.
func TestCertificateFlags(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for flags, ops := range map[string]int64{"": 0, "--insecure": 1, "--cacert=" + authority: 1, "--h2 --insecure": 1} {
		load, c, err := parseConnect(t, strings.Fields(flags)...)
		if err != nil {
			t.Fatal(err)
		}
		d := loadgen.NewDriver(target, hello{}, load, c, 1)
		r := d.Warmup(t.Context(), 1)
		d.Close()
		if r.Ops() != ops || (ops == 0) != (r.Errors.Kinds["certificate"] == 1) {
			t.Errorf("%q: %d answered, errors %+v", flags, r.Ops(), r.Errors)
		}
	}
}
