package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// foreignTotals are what a load generator of somebody else says of its run.
type foreignTotals struct {
	ops, errors  int64
	duration     time.Duration // 0 if unknown
	meanLatency  float64       // in ms
	knowsLatency bool
	start        time.Time // zero if unknown
}

// decodeForeignTotals reads load-test-results.json as other tools write it: total_ops
// (or writes and reads), errors, duration_s (or duration), ops_per_sec, avg_latency_ms,
// timestamp. Numbers may be written as strings, fields may be missing, null, or
// unknown. What follows from others is computed; without a number of operations it
// is an error.
func decodeForeignTotals(text []byte) (foreignTotals, error) {
	var t foreignTotals
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return t, fmt.Errorf("not a JSON object with totals: %w", err)
	}
	f := foreignFields{fields: fields}
	ops, knowsOps := f.count("total_ops")
	writes, knowsWrites := f.count("writes")
	reads, knowsReads := f.count("reads")
	rate, knowsRate := f.number("ops_per_sec")
	t.errors, _ = f.count("errors")
	t.meanLatency, t.knowsLatency = f.number("avg_latency_ms")
	t.duration = f.duration()
	t.start = f.time("timestamp")
	if f.err != nil {
		return t, f.err
	}
	switch {
	case knowsOps:
		t.ops = ops
	case knowsWrites || knowsReads:
		t.ops = writes + reads
	case knowsRate && t.duration > 0:
		t.ops = int64(math.Round(rate * t.duration.Seconds()))
	}
	if t.ops == 0 {
		return t, errors.New("it tells no operations: it has neither total_ops, nor writes and reads, nor " +
			"ops_per_sec and duration_s, above 0")
	}
	if t.duration == 0 && rate > 0 {
		t.duration = seconds(float64(t.ops) / rate)
	}
	return t, t.check()
}

// check rejects totals that no load test has, before they are multiplied.
func (t foreignTotals) check() error {
	const longest = 10 * 365 * 24 * time.Hour
	sum := float64(t.ops) * t.meanLatency * float64(time.Millisecond)
	switch {
	case t.duration > longest:
		return fmt.Errorf("a load of %v is none", t.duration)
	case sum > math.MaxInt64/2:
		return fmt.Errorf("%d operations of %g ms each are none", t.ops, t.meanLatency)
	}
	return nil
}

// unavailable are the sources that such totals do not have.
func (t foreignTotals) unavailable() map[Source]string {
	missing := map[Source]string{}
	for _, s := range []Source{
		SourceCPUClock, SourceMemStats, SourceRSS, SourceSwitches, SourceIO, SourceGoroutines, SourceLatencies,
	} {
		missing[s] = whyForeign
	}
	if t.duration == 0 {
		missing[SourceDuration] = FileTotals + " tells neither duration_s nor ops_per_sec"
	}
	if !t.knowsLatency {
		missing[SourceMeanLatency] = FileTotals + " has no avg_latency_ms"
	}
	return missing
}

// foreignFields reads fields one by one, and keeps the first error.
type foreignFields struct {
	fields map[string]json.RawMessage
	err    error
}

func (f *foreignFields) fail(name, want string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s is %s, not %s", name, shortened(f.fields[name]), want)
	}
}

func shortened(text []byte) string {
	const longest = 40
	if len(text) > longest {
		return string(text[:longest]) + "…"
	}
	return string(text)
}

// text is a field that is there and not null: what a string holds, or the JSON.
func (f *foreignFields) text(name string) (text string, quoted, known bool) {
	raw, there := f.fields[name]
	if !there || string(raw) == "null" {
		return "", false, false
	}
	if err := json.Unmarshal(raw, &text); err == nil {
		return strings.TrimSpace(text), true, true
	}
	return string(raw), false, true
}

// number is a finite number that is not negative, be it in quotes.
func (f *foreignFields) number(name string) (float64, bool) {
	text, _, known := f.text(name)
	if !known {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		f.fail(name, "a number of 0 or more")
		return 0, false
	}
	return v, true
}

// count is a whole number.
func (f *foreignFields) count(name string) (int64, bool) {
	const most = 1 << 53 // above, a float64 is not exact
	v, known := f.number(name)
	if known && (v != math.Trunc(v) || v > most) {
		f.fail(name, "a count")
		return 0, false
	}
	return int64(v), known
}

// duration is duration_s, in seconds, or duration: seconds, nanoseconds as Go writes
// a duration into JSON (no load lasts a million seconds), or text such as "30s". It is 0
// if it is unknown.
func (f *foreignFields) duration() time.Duration {
	if s, known := f.number("duration_s"); known {
		return seconds(s)
	}
	text, quoted, _ := f.text("duration")
	if d, err := time.ParseDuration(text); quoted && err == nil && d >= 0 {
		return d
	}
	const nanosecondsFrom = 1e6
	v, known := f.number("duration")
	if known && v >= nanosecondsFrom {
		v /= 1e9
	}
	return seconds(v)
}

// seconds is a duration, as long as one can be.
func seconds(s float64) time.Duration {
	if ns := s * 1e9; ns < math.MaxInt64 {
		return time.Duration(math.Round(ns))
	}
	return math.MaxInt64
}

// time is a moment in RFC 3339, zero if it is unknown or written otherwise.
func (f *foreignFields) time(name string) time.Time {
	text, _, _ := f.text(name)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
