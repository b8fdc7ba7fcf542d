package loadgen_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

func ExampleLoad() {
	load := loadgen.Load{
		Workload: "event mix", Kinds: []string{"write", "read"},
		Workers: 50, Timeout: 10 * time.Second,
		Rate: 5000, Arrivals: loadgen.Poisson,
	}
	fmt.Println(load, load.Validate())
	load.Timeout = 2 * time.Hour
	fmt.Println(load.Validate())
	// Output:
	// event mix, open loop at 5000/s (poisson arrivals), 50 workers <nil>
	// the load needs a timeout of at most 1h0m0s, not 2h0m0s
}

func ExampleParseRate() {
	perSecond, err := loadgen.ParseRate("300/m")
	fmt.Println(perSecond, err)
	_, err = loadgen.ParseRate("fast")
	fmt.Println(err)
	// Output:
	// 5 <nil>
	// rate "fast": use a number up to 1000000 per second, such as 5000/s or 300/m
}

// A source makes one request after another and checks the answers.
func ExampleEventMix() {
	mix := loadgen.EventMix{Token: "secret", Streams: 100}
	source := mix.Source(1, 0)
	var req loadgen.Request
	kind := source.Next(&req)
	fmt.Printf("%s: %s %s\n", mix.Kinds()[kind], req.Method, req.Target)
	fmt.Println(source.Check(kind, loadgen.NewAnswer(200, nil, []byte(`{ "position": 3 }`))))
	fmt.Println(source.Check(kind, loadgen.NewAnswer(200, nil, []byte(`{}`))))
	// Output:
	// write: POST /rpc
	// <nil>
	// no position
}

// A driver sends a workload to a server. Slice is called the same way as Warmup,
// with a time instead of a number of requests.
func ExampleDriver() {
	server := httptest.NewServer(http.HandlerFunc(answerAll))
	defer server.Close()
	mix := loadgen.EventMix{Token: "secret", Streams: loadgen.DefaultStreams}
	load := loadgen.Load{Workload: mix.Name(), Kinds: mix.Kinds(), Workers: 1, Timeout: 10 * time.Second}
	target, _ := url.Parse(server.URL)
	driver := loadgen.NewDriver(target, mix, load, loadgen.Connect{}, 1)
	defer driver.Close()
	result := driver.Warmup(context.Background(), 22)
	latency := driver.TakeLatency()
	for kind, name := range mix.Kinds() {
		fmt.Println(name, result.Kinds[kind].Ops, "answers,", latency.Due[kind].TotalCount(), "latencies")
	}
	fmt.Println(result.Errors.Total(), "failed,", result.Missed, "missed")
	// Output:
	// write 20 answers, 20 latencies
	// read 2 answers, 2 latencies
	// 0 failed, 0 missed
}

// answerAll answers writes with a position and reads with no rows.
func answerAll(w http.ResponseWriter, r *http.Request) {
	call, _ := io.ReadAll(r.Body)
	answer := `{"position":0}`
	if strings.Contains(string(call), "stream.get") {
		answer = `[]`
	}
	_, _ = io.WriteString(w, answer)
}
