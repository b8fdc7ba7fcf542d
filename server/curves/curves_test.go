// Package curves shows what the event store costs as it grows: by the number of messages
// it holds, and by the number of subscribers on one category. It is a test that prints
// tables, of small numbers unless others are asked for:
//
//	go test -v -count=1 ./server/curves -args -sizes=10000,100000 -subscribers=10,100
package curves

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	sizes       = flag.String("sizes", "100,500", "messages in the store, rising; 10000000 takes about 10 GB of memory and disk")
	subscribers = flag.String("subscribers", "1,20", "subscribers on one category; 10000 take twice as many open files (ulimit -n)")
	events      = flag.Int("events", 5, "messages that are written to the subscribers, one after the other")
	soaked      = flag.Int("soak", 50, "subscribers of the soak; above ulimit -n they are of several servers")
	soakFor     = flag.Duration("soak-for", time.Second, "how long it is")
	soakEvery   = flag.Duration("soak-every", 100*time.Millisecond, "from one message to the next")
)

// TestMain plays the other processes, which run this binary.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestCurves prints both tables, each with a row for every number.
func TestCurves(t *testing.T) {
	o := options{sizes: numbers(t, *sizes), subscribers: numbers(t, *subscribers), events: *events, dir: t.TempDir()}
	var out bytes.Buffer
	if err := o.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	begins := []string{"messages", "subscribers"}
	for _, n := range append(o.sizes, o.subscribers...) {
		begins = append(begins, strconv.Itoa(n))
	}
	for _, begin := range begins {
		if n := strings.Count("\n"+out.String(), "\n| "+begin+" |"); n == 0 {
			t.Errorf("no row begins with %q in\n%s", begin, &out)
		}
	}
	left, err := os.ReadDir(o.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v (%v) is left of the stores that were killed", left, err)
	}
	t.Log("\n" + out.String())
}

// TestSoak writes messages for a while to a category that has many subscribers, and
// prints how late each of them was told, and what memory the server took meanwhile. It
// fails if an event is lost, or if memory is not bounded.
func TestSoak(t *testing.T) {
	var out bytes.Buffer
	s := soak{subscribers: *soaked, length: *soakFor, every: *soakEvery}
	err := s.run(t.Context(), &out)
	t.Log("\n" + out.String())
	if err != nil {
		t.Fatal(err)
	}
}

func numbers(t *testing.T, list string) (ns []int) {
	t.Helper()
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%q is no list of numbers: %v", list, err)
		}
		ns = append(ns, n)
	}
	return ns
}
