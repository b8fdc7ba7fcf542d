// Package cost shows what the generator itself costs: CPU time per request beside wrk's,
// and memory per connection. It is tests that print tables, of short runs unless longer
// ones are asked for:
//
//	go test -v -count=1 ./loadgen/cost -args -seconds=5 -turns=5
package cost

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/loadgen"
)

var (
	seconds     = flag.Int("seconds", 1, "how long each generator loads the server in a turn")
	turns       = flag.Int("turns", 1, "how often each of them does, the median of which is shown")
	connections = flag.Int("connections", 10, "connections of each")
)

// serverVariable is set where this program plays the server, which must be another
// process: its CPU time is not the generator's.
const serverVariable = "EVENTOBENCH_COST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const answer = `{"position":0,"globalPosition":1}`

// serve answers all requests alike on a free port, which it prints, until its input
// ends.
func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return fasthttp.Serve(listener, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(answer) })
}

// startServer starts the server that does nothing, and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(self)
	server.Env = append(os.Environ(), serverVariable+"=1")
	server.Stderr = os.Stderr
	in, err1 := server.StdinPipe()
	out, err2 := server.StdoutPipe()
	if err := cmp.Or(err1, err2, server.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// spent is what a generator used for its requests.
type spent struct {
	requests int64
	cpu      time.Duration // user and system
	took     time.Duration
}

func (s spent) perRequest() float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.requests) }
func (s spent) perSecond() float64  { return float64(s.requests) / s.took.Seconds() }

// generator loads the server at an address.
type generator struct {
	name string
	load func(t *testing.T, address string) spent
}

// TestBesideWrk has wrk and the driver load the same server, one after the other, with
// the same request on as many connections, and prints what either used per request. In
// an open loop that asks for more than the server gives, each request is late, and
// latencies are recorded from when it was due and from when it was sent.
func TestBesideWrk(t *testing.T) {
	testlong.NotRaced(t, "its figures would be those of the detector")
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip("there is no wrk (apt-get install wrk)")
	}
	address := startServer(t)
	processors := runtime.GOMAXPROCS(0)
	all := []generator{
		{fmt.Sprintf("wrk -t%d", processors), func(t *testing.T, address string) spent {
			return loadWithWrk(t, address, processors)
		}},
		{"wrk -t1", func(t *testing.T, address string) spent { return loadWithWrk(t, address, 1) }},
		{"closed loop", func(t *testing.T, address string) spent { return loadWithDriver(t, address, same{}, 0) }},
		{"open loop that is full, both latencies", func(t *testing.T, address string) spent {
			return loadWithDriver(t, address, same{}, 200_000)
		}},
		{"open loop at 20000/s, both latencies", func(t *testing.T, address string) spent {
			return loadWithDriver(t, address, same{}, 20_000)
		}},
		{"closed loop, event mix", func(t *testing.T, address string) spent {
			return loadWithDriver(t, address, unchecked{loadgen.EventMix{Token: token, Streams: 100}}, 0)
		}},
	}
	runs := make([][]spent, len(all))
	for range *turns {
		for i, g := range all {
			runs[i] = append(runs[i], g.load(t, address))
		}
	}
	wrk := median(runs[0], spent.perRequest)
	text := "\n| generator | us of CPU per request | of wrk's | requests/s |\n|---|---:|---:|---:|\n"
	for i, g := range all {
		us := median(runs[i], spent.perRequest)
		text += fmt.Sprintf("| %s | %.2f | %.2f | %.0f |\n", g.name, us, us/wrk, median(runs[i], spent.perSecond))
	}
	t.Log(text)
}

func median(runs []spent, of func(spent) float64) float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

var (
	token = "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
	body  = `["stream.write","order-7",{"type":"OrderPlaced","data":{"orderId":"0123456789abcdef","amount":12345,` +
		`"currency":"EUR","paid":false,"customer":{"id":"fedcba9876543210","city":"Lisbon","vip":true},` +
		`"items":[{"sku":"A-100","quantity":2,"price":19.95}]},"metadata":{"correlationStreamName":"checkout-1",` +
		`"userId":"u-1001","trace":{"span":7,"sampled":true}}}]`
	header = loadgen.Header{
		{Name: "User-Agent", Value: "eventobench"},
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Authorization", Value: "Bearer " + token},
		{Name: "Accept-Encoding", Value: "identity"},
	}
)

// same is a workload of one request, again and again, as wrk sends it.
type same struct{}

func (same) Name() string                              { return "the same request" }
func (same) Kinds() []string                           { return []string{"write"} }
func (same) Source(uint64, int) loadgen.Source         { return same{} }
func (same) Check(_ int, answer *loadgen.Answer) error { return answer.CheckStatus() }
func (same) Next(req *loadgen.Request) int {
	req.Method, req.Target, req.Header = "POST", "/rpc", header
	req.Body = append(req.Body[:0], body...)
	return 0
}

// unchecked takes the server's answer for that to a read too.
type unchecked struct{ loadgen.EventMix }

func (u unchecked) Source(seed uint64, worker int) loadgen.Source {
	return uncheckedSource{u.EventMix.Source(seed, worker)}
}

type uncheckedSource struct{ loadgen.Source }

func (uncheckedSource) Check(_ int, answer *loadgen.Answer) error { return answer.CheckStatus() }

// loadWithDriver loads the server as the recorder does, slice by slice. A rate of 0 is a
// closed loop.
func loadWithDriver(t *testing.T, address string, w loadgen.Workload, rate float64) (s spent) {
	load := loadgen.Load{Workers: *connections, Timeout: 10 * time.Second, Rate: rate}
	if rate > 0 {
		load.Arrivals = loadgen.Poisson
	}
	server := &url.URL{Scheme: "http", Host: address}
	d := loadgen.NewDriver(server, w, load, loadgen.Connect{}, 1)
	defer d.Close()
	for s.took < time.Duration(*seconds)*time.Second {
		r := d.Slice(t.Context(), 50*time.Millisecond)
		if r.Errors.Total() > 0 {
			t.Fatal(r.Errors.First)
		}
		s.requests, s.cpu, s.took = s.requests+r.Ops(), s.cpu+r.CPU, s.took+r.Duration
	}
	return s
}

var wrkResult = regexp.MustCompile(`(\d+) requests in ([0-9.]+)(m?s)`)

func loadWithWrk(t *testing.T, address string, threads int) spent {
	script := filepath.Join(t.TempDir(), "request.lua")
	text := fmt.Sprintf("wrk.method = 'POST'\nwrk.body = '%s'\n", body)
	for _, f := range header {
		text += fmt.Sprintf("wrk.headers['%s'] = '%s'\n", f.Name, f.Value)
	}
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	wrk := exec.Command("wrk", "-t"+strconv.Itoa(threads), "-c"+strconv.Itoa(*connections),
		"-d"+strconv.Itoa(*seconds), "-s", script, "http://"+address+"/rpc")
	out, err := wrk.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := wrkResult.FindSubmatch(out)
	if m == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		t.Fatalf("%s", out)
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	took, _ := time.ParseDuration(string(m[2]) + string(m[3]))
	used := wrk.ProcessState
	return spent{n, used.UserTime() + used.SystemTime(), took}
}
