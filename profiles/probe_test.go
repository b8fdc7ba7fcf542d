package profiles

import (
	"strings"
	"testing"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// probingOf is a probe of the workload work with four workers.
func probingOf(t *testing.T, e Experiment) *Probing {
	t.Helper()
	more, unchecked := e.Load, e.Load
	more.Workers, unchecked.Unchecked = 4, true
	return &Probing{
		Workers: 4, More: Drive(work{}, more, loadgen.Connect{}),
		Null: testSubject(t, "null", "fine"), Ceiling: Drive(work{}, unchecked, loadgen.Connect{}),
	}
}

// TestProbe: every run has what the probe measured of its subject, and the ceiling, which
// they share.
func TestProbe(t *testing.T) {
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	e.Profiles, e.Probing = nil, probingOf(t, e)
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ceilings []float64
	for _, dir := range dirs {
		m := open(t, dir).Manifest
		p := m.Probe
		if p == nil || p.Ceiling == nil || len(m.Blocks) != 2 {
			t.Fatalf("%d blocks, probe %+v", len(m.Blocks), p)
		}
		if p.Usual.Workers != 2 || p.More.Workers != 4 || p.Ceiling.Workers != 2 || p.Slice != e.Plan.Slice {
			t.Errorf("probe %+v", p)
		}
		if len(p.Usual.PerSec) != probeRounds || len(p.More.PerSec) != probeRounds || len(p.Ceiling.PerSec) != probeRounds {
			t.Errorf("probe %+v", p)
		}
		ceilings = append(ceilings, p.Ceiling.PerSec[0])
	}
	if ceilings[0] != ceilings[1] {
		t.Errorf("ceilings %v", ceilings)
	}
}

// TestProbeWithoutNull: why there is no ceiling is kept in its place.
func TestProbeWithoutNull(t *testing.T) {
	e := testExperiment(t, testSubject(t, "one", "fine"))
	e.Profiles, e.Probing = nil, probingOf(t, e)
	e.Probing.Null, e.Probing.NoNull = nil, "nobody reaches it"
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := open(t, dirs[0]).Manifest.Probe; p == nil || p.Ceiling != nil || p.NoCeiling != "nobody reaches it" {
		t.Errorf("probe %+v", p)
	}
}

// TestProbeFails: a subject that fails under the probe ends the experiment with the reason.
func TestProbeFails(t *testing.T) {
	e := testExperiment(t, testSubject(t, "good", "fine"), testSubject(t, "bad", "broken"))
	e.Probing = probingOf(t, e)
	dirs, err := e.Record(t.Context())
	if err == nil || !strings.Contains(err.Error(), "probing what holds the throughput: subject bad died") {
		t.Errorf("error %v", err)
	}
	checkKept(t, dirs, runfolder.StateFailed)
}
