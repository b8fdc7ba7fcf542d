package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/agent"
)

// connectOptions are the flags about how requests reach a server, and about those
// that fail.
type connectOptions struct {
	h2          bool
	h2Streams   int
	insecure    bool
	cacert      string
	allowErrors string
}

func (o *connectOptions) addFlags(f *pflag.FlagSet) {
	o.addConnectionFlags(f)
	f.StringVar(&o.allowErrors, "allow-errors", "0%",
		"share of a block's requests that may fail; they count in no rate and no latency")
}

// addConnectionFlags are the flags of what has limits of its own for requests that fail.
func (o *connectOptions) addConnectionFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.h2, "h2", false, "speak HTTP/2: agreed on by ALPN with https, from the start (h2c) with http")
	f.IntVar(&o.h2Streams, "h2-streams", 1, "with --h2: workers that share a connection")
	f.BoolVar(&o.insecure, "insecure", false, "do not verify the certificate of an https server")
	f.StringVar(&o.cacert, "cacert", "",
		"file of PEM certificates: the authorities that an https server's is verified by")
}

// apply adds to a load what is part of its identity.
func (o *connectOptions) apply(l *loadgen.Load) (err error) {
	if l.AllowErrors, err = parseShare(o.allowErrors); err != nil {
		return fmt.Errorf("--allow-errors: %w", err)
	}
	switch {
	case o.h2Streams < 1:
		return fmt.Errorf("--h2-streams: %d is not a number of workers", o.h2Streams)
	case o.h2Streams > 1 && !o.h2:
		return errors.New("--h2-streams needs HTTP/2; give --h2 too")
	case o.h2:
		l.Protocol = loadgen.ProtocolH2
	}
	if o.h2Streams > 1 {
		l.H2Streams = o.h2Streams
	}
	return nil
}

// trust is which certificates of https servers are trusted.
func (o *connectOptions) trust() (t agent.Trust, err error) {
	if o.insecure && o.cacert != "" {
		return t, errors.New("--insecure verifies nothing and --cacert says how; give one of them")
	}
	t.Insecure = o.insecure
	if o.cacert != "" {
		t.Authorities, err = os.ReadFile(o.cacert)
	}
	if err != nil {
		return t, fmt.Errorf("--cacert: %w", err)
	}
	if _, err := t.Config(); o.cacert != "" && (err != nil || len(t.Authorities) == 0) {
		return t, fmt.Errorf("--cacert: there is no certificate in %s; it must be PEM", o.cacert)
	}
	return t, nil
}

// parseShare reads a percentage such as 0.5% as a share from 0 to less than 1.
func parseShare(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v >= 0 && v < 100) {
		return 0, fmt.Errorf("%q is not a percentage of at least 0%% and below 100%%, such as 1%%", text)
	}
	return v / 100, nil
}
