package loadgen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// health is a workload that asks for /health and nothing else. It needs no state,
// so it is its own source.
type health struct{}

func (health) Name() string                        { return "health checks" }
func (health) Kinds() []string                     { return []string{"check"} }
func (h health) Source(uint64, int) loadgen.Source { return h }

func (health) Next(req *loadgen.Request) (kind int) {
	req.Target = "/health"
	return 0
}

func (health) Check(_ int, answer *loadgen.Answer) error {
	if !bytes.HasPrefix(answer.Body, []byte("ok")) {
		return errors.New("not ok")
	}
	return nil
}

// A workload of one's own takes five short methods.
func ExampleWorkload() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("starting"))
	}))
	defer server.Close()
	load := loadgen.Load{
		Workload: health{}.Name(), Kinds: health{}.Kinds(),
		Workers: 1, Timeout: 10 * time.Second,
	}
	target, _ := url.Parse(server.URL)
	driver := loadgen.NewDriver(target, health{}, load, loadgen.Connect{}, 1)
	defer driver.Close()
	result := driver.Warmup(context.Background(), 10)
	fmt.Println(result.Ops(), "answered;", result.Errors.First)
	// Output:
	// 0 answered; GET /health: not ok in the answer: "starting"
}
