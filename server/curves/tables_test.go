package curves

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// options are what the tables are of.
type options struct {
	sizes       []int
	subscribers []int
	events      int
	dir         string
}

func (o options) run(ctx context.Context, out io.Writer) error {
	if err := o.printSizes(ctx, out); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return o.printSubscribers(out)
}

func (o options) printSizes(ctx context.Context, out io.Writer) error {
	grown, err := grow(ctx, o.sizes)
	if err != nil {
		return fmt.Errorf("filling a store in memory: %w", err)
	}
	heading(out, "messages", "a write, us of CPU", "a category read, us of CPU", "memory, MB",
		"of the bytes held", "open after a kill, ms")
	for i, size := range o.sizes {
		opened, err := recoverAfterKill(ctx, o.dir, size)
		if err != nil {
			return fmt.Errorf("recovering %d messages: %w", size, err)
		}
		p := grown[i]
		row(out, fmt.Sprint(size), micros(p.write), micros(p.read), fmt.Sprintf("%.1f", float64(p.memory)/1e6),
			fmt.Sprintf("%.2f", float64(p.memory)/float64(p.held)), fmt.Sprintf("%.1f", opened.Seconds()*1e3))
	}
	return nil
}

func (o options) printSubscribers(out io.Writer) error {
	heading(out, "subscribers", "write to event, p50 ms", "p99 ms", "max ms", "us of CPU per event", "KB per subscriber")
	for _, n := range o.subscribers {
		f, err := fanOut(n, o.events)
		if err != nil {
			return fmt.Errorf("%d subscribers: %w", n, err)
		}
		row(out, fmt.Sprint(n), millis(f.p50), millis(f.p99), millis(f.max), micros(f.cpu), fmt.Sprintf("%.1f", float64(f.memory)/1e3))
	}
	return nil
}

func heading(out io.Writer, columns ...string) {
	row(out, columns...)
	fmt.Fprintln(out, "|"+strings.Repeat("---:|", len(columns)))
}

func row(out io.Writer, cells ...string) { fmt.Fprintln(out, "| "+strings.Join(cells, " | ")+" |") }
