package curves

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

const (
	categories = 10
	streams    = 1000
	readBatch  = 10
	turns      = 5 // the median of which is shown
)

// point is what a store of some size costs.
type point struct {
	write, read  time.Duration // CPU time of one
	memory, held int64         // bytes; held are those of the names, types, payloads and ids of its messages
}

// warmUp is how many messages a store holds that is filled and closed first: what the
// program takes for itself is not memory of the messages.
const warmUp = 100

// grow fills one store in memory, and measures it at each size.
func grow(ctx context.Context, sizes []int) ([]point, error) {
	if _, err := fill(ctx, []int{warmUp}); err != nil {
		return nil, err
	}
	return fill(ctx, sizes)
}

func fill(ctx context.Context, sizes []int) (points []point, err error) {
	before, err := residentMemory()
	if err != nil {
		return nil, err
	}
	core, closeStore, err := openCore(ctx, sqlite.Memory, 0)
	if err != nil {
		return nil, err
	}
	defer closeStore()
	g := grower{ctx: ctx, core: core, cred: credentials()}
	for _, size := range sizes {
		for g.written < size {
			g.writeOne()
		}
		memory, err := residentMemory()
		if err != nil {
			return nil, err
		}
		p := point{memory: memory - before, held: g.held}
		p.write = medianCPU(max(1, min(size/50, 5000)), g.writeOne)
		p.read = medianCPU(max(1, min(size/50, 5000)), g.readOne)
		points = append(points, p)
	}
	return points, g.err
}

// grower makes calls of the core. It keeps the first error.
type grower struct {
	ctx     context.Context
	core    *server.Core
	cred    server.Credentials
	written int
	held    int64
	body    []byte
	answer  []byte
	err     error
}

func (g *grower) writeOne() {
	m := newMessage(g.written)
	g.body = fmt.Appendf(g.body[:0], `["stream.write",%q,{"type":%q,"data":%s,"metadata":%s}]`,
		m.Stream, m.Type, m.Data, m.Metadata)
	g.call()
	g.written++
	g.held += int64(len(m.Stream) + len(m.Type) + len(m.Data) + len(m.Metadata) + len(m.ID))
}

func (g *grower) readOne() {
	g.body = fmt.Appendf(g.body[:0], `["category.get","order%d",{"position":%d,"batchSize":%d}]`,
		rand.IntN(categories), 1+rand.IntN(g.written), readBatch)
	g.call()
}

func (g *grower) call() {
	a := g.core.Call(g.ctx, g.cred, g.body, g.answer[:0])
	g.answer = a.Body
	if a.Status != 200 && g.err == nil {
		g.err = fmt.Errorf("%s is answered with %d %s", g.body, a.Status, a.Body)
	}
}

// newMessage is the nth message: about 290 bytes, to one of 1000 streams in 10
// categories.
func newMessage(n int) server.NewMessage {
	stream := n % streams
	return server.NewMessage{
		Stream: fmt.Sprintf("order%d-%d", stream%categories, stream),
		Type:   "OrderPlaced",
		Data: fmt.Appendf(nil, `{"orderId":"%016x","amount":%d,"currency":"EUR","paid":false,"customer":{"id":"%016x",`+
			`"city":"Lisbon","vip":true},"items":[{"sku":"A-100","quantity":2,"price":19.95}]}`, n, n%100_000, n*7),
		Metadata: []byte(`{"correlationStreamName":"checkout-1","userId":"u-1001","trace":{"span":7,"sampled":true}}`),
	}
}

// medianCPU is the CPU time of one of n calls, the median of several turns.
func medianCPU(n int, do func()) time.Duration {
	var times []time.Duration
	for range turns {
		begin := ownCPU()
		for range n {
			do()
		}
		times = append(times, (ownCPU()-begin)/time.Duration(n))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// residentMemory is that of this process, without what Go could give back and without
// the pages of its program, of which a larger store has touched more.
func residentMemory() (int64, error) {
	debug.FreeOSMemory()
	self, err := procfs.Self()
	if err != nil {
		return 0, err
	}
	status, err := self.NewStatus()
	return int64(status.RssAnon), err
}

// openCore opens a store with a core. Closing it twice does nothing.
func openCore(ctx context.Context, path string, pool int) (core *server.Core, closeStore func() error, err error) {
	store, err := sqlite.Open(path, sqlite.Options{Pool: pool})
	if err != nil {
		return nil, nil, err
	}
	core, _, err = server.NewCore(ctx, store, server.Options{Codec: server.CodecRaw, Token: token})
	return core, store.Close, err
}

func micros(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Nanoseconds())/1e3) }
func millis(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d.Nanoseconds())/1e6) }
