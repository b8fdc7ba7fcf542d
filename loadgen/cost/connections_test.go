package cost

import (
	"flag"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/loadgen"
)

var many = flag.Int("many", 500, "connections whose memory is shown; as many files must be allowed (ulimit -n)")

// mostPerConnection is the memory that a connection may take, so that 10,000 take less
// than 500 MB.
const mostPerConnection = 50_000

// TestMemoryPerConnection has the event mix on many connections in an open loop, which
// has the most to remember, and prints by how much the generator has grown.
func TestMemoryPerConnection(t *testing.T) {
	testlong.NotRaced(t, "its figures would be those of the detector")
	address := startServer(t)
	load := loadgen.Load{Workers: *many, Timeout: 30 * time.Second, Rate: 2000, Arrivals: loadgen.Poisson}
	before, _ := memory(t)
	w := unchecked{loadgen.EventMix{Token: token, Streams: 100}}
	d := loadgen.NewDriver(&url.URL{Scheme: "http", Host: address}, w, load, loadgen.Connect{}, 1)
	defer d.Close()
	for _, r := range []loadgen.Result{
		d.Warmup(t.Context(), 10**many), d.Slice(t.Context(), 50*time.Millisecond),
	} {
		if r.Errors.Total() > 0 {
			t.Fatal(r.Errors.First)
		}
	}
	after, resident := memory(t)
	each := (after - before) / int64(*many)
	t.Logf("%d connections take %d bytes each; %.1f MB of the generator are resident", *many, each, float64(resident)/1e6)
	if each > mostPerConnection {
		t.Errorf("a connection takes %d bytes, more than %d", each, mostPerConnection)
	}
}

// memory is what Go has in use, garbage included, and what is resident of the process.
func memory(t *testing.T) (own, resident int64) {
	t.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	self, err := procfs.Self()
	if err != nil {
		t.Skip(err)
	}
	stat, err := self.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return int64(m.HeapInuse + m.StackInuse), int64(stat.ResidentMemory())
}
