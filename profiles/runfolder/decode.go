package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/eventobench/eventobench/internal/strictjson"
	"github.com/eventobench/eventobench/loadgen"
)

// decodeManifest is strict: another format, an unknown field, or values that no
// recorder writes are an error.
func decodeManifest(data []byte) (Manifest, error) {
	var version struct {
		Format string
		Schema int
	}
	err := json.Unmarshal(data, &version)
	switch {
	case err != nil:
		return Manifest{}, fmt.Errorf("not a manifest: %w", err)
	case version.Schema < 1:
		return Manifest{}, errors.New("not a manifest: it has no schema version")
	case version.Format != Format:
		return Manifest{}, errors.New("written by a development version, before the format was settled; record it again")
	case version.Schema > Schema:
		return Manifest{}, fmt.Errorf("written in format %d by a newer eventobench; this one reads up to %d: upgrade it",
			version.Schema, Schema)
	}
	var m Manifest
	err = strictjson.Unmarshal(data, &m)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("damaged: %w", err)
	}
	return m, nil
}

// check returns what is wrong with a manifest that has the right fields.
func (m Manifest) check() error {
	if m.Subject.Name == "" || m.Experiment == "" {
		return errors.New("no subject or experiment")
	}
	for _, check := range []func(Manifest) error{
		Manifest.checkState, Manifest.checkSettings, Manifest.checkUnavailable, Manifest.checkBlocks, Manifest.checkLayouts,
		Manifest.checkLooks, Manifest.checkInstructions, Manifest.checkAgents,
		func(m Manifest) error { return m.Probe.check() },
	} {
		if err := check(m); err != nil {
			return err
		}
	}
	return nil
}

func (m Manifest) checkState() error {
	switch m.State {
	case StateRecording, StateComplete, StateInterrupted, StateFailed:
	default:
		return fmt.Errorf("unknown state %q", m.State)
	}
	for kind, n := range m.Errors {
		if n < 1 {
			return fmt.Errorf("%d errors of kind %q", n, kind)
		}
	}
	return nil
}

func (m Manifest) checkSettings() error {
	if err := m.Load.Validate(); err != nil {
		return err
	}
	if err := m.Plan.Validate(); err != nil {
		return err
	}
	for i, name := range m.Capture.Profiles {
		_, known := KindNamed(name)
		if !known || slices.Contains(m.Capture.Profiles[:i], name) {
			return fmt.Errorf("profile %q is unknown or there twice", name)
		}
	}
	return nil
}

func (m Manifest) checkUnavailable() error {
	known := Sources()
	for source, reason := range m.Unavailable {
		if !slices.Contains(known, source) {
			return fmt.Errorf("unknown source %q is unavailable", source)
		}
		if reason == "" {
			return fmt.Errorf("source %q is unavailable for no reason", source)
		}
	}
	return nil
}

func (m Manifest) checkBlocks() error {
	if len(m.Blocks) > m.Plan.Blocks {
		return fmt.Errorf("%d blocks of %d", len(m.Blocks), m.Plan.Blocks)
	}
	for i, b := range m.allBlocks() {
		if b.Block != i {
			return fmt.Errorf("block %d stands at place %d", b.Block, i)
		}
		if len(b.Answers) > 0 && len(b.Answers) != len(m.Load.Kinds) {
			return fmt.Errorf("block %d has answers to %d kinds of request of %d", i, len(b.Answers), len(m.Load.Kinds))
		}
		if b.Machine == nil {
			return fmt.Errorf("block %d does not say what the machine did meanwhile", i)
		}
		if b.DatabaseCPU != nil && *b.DatabaseCPU < 0 {
			return fmt.Errorf("the CPU time of the database is negative in block %d", i)
		}
		if lost := b.After.Sub(b.Before); min(lost.TotalAlloc, lost.Mallocs, lost.NumGC, lost.GCPause) < 0 {
			return fmt.Errorf("counters of block %d fall", i)
		}
	}
	return nil
}

// checkAgents holds that agents are some, with figures that a recorder writes.
func (m Manifest) checkAgents() error {
	if m.SubjectAgent != nil && m.SubjectAgent.Name == "" {
		return errors.New("the agent that started the subject has no name")
	}
	for _, r := range m.Repeated {
		if r.Block < 0 || r.Block > len(m.allBlocks()) || r.Reason == "" {
			return fmt.Errorf("block %d was recorded again because of %q", r.Block, r.Reason)
		}
	}
	for i, b := range m.allBlocks() {
		for _, a := range b.Agents {
			if err := checkAgent(a); err != nil {
				return fmt.Errorf("block %d: %w", i, err)
			}
		}
	}
	return nil
}

func checkAgent(a loadgen.Agent) error {
	least := min(int64(a.Workers), a.Ops, a.Errors, a.Late, a.Missed, int64(a.Busy), int64(a.Latency), int64(a.CPU),
		int64(a.MaxStall), int64(a.RoundTrip), int64(a.ClockError))
	for _, skew := range a.Skews {
		least = min(least, int64(skew))
	}
	if a.Name == "" || a.Cores < 1 || least < 0 {
		return fmt.Errorf("agent %q has %d cores, or a figure below 0", a.Name, a.Cores)
	}
	return nil
}

// verdicts are what a decision can be.
var verdicts = []string{"improved", "regressed", "equivalent", "inconclusive"}

// checkLooks leaves the names of metrics to those who know them.
func (m Manifest) checkLooks() error {
	blocks := 0
	for i, l := range m.Looks {
		if l.Blocks <= blocks || l.Blocks > len(m.Blocks) {
			return fmt.Errorf("look %d is at %d blocks, after one at %d, of %d", i+1, l.Blocks, blocks, len(m.Blocks))
		}
		blocks = l.Blocks
		for _, d := range l.Decisions {
			if err := d.check(); err != nil {
				return fmt.Errorf("look %d: %w", i+1, err)
			}
		}
	}
	return nil
}

func (d Decision) check() error {
	switch {
	case d.Head == "" || d.Metric == "":
		return errors.New("a decision names no subject or no metric")
	case !slices.Contains(verdicts, d.Verdict):
		return fmt.Errorf("verdict %q on %s is none", d.Verdict, d.Metric)
	case d.Low > d.High || d.Level < 0 || d.Level > 1:
		return fmt.Errorf("the interval from %v to %v of %s at level %v is none", d.Low, d.High, d.Metric, d.Level)
	}
	return nil
}
