// Package profiles records experiments: it starts the subjects, has them
// loaded in interleaved slices, captures pprof profiles and exact counters,
// and keeps all of it in run folders, which it also reads back.
package profiles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Experiment is a randomized complete block design: in every block each
// subject is a fresh process, and in every round of a block each subject gets
// one slice of the load while the others idle.
type Experiment struct {
	Subjects []subject.Subject
	Workload loadgen.Workload
	Workers  int
	Timeout  time.Duration    // of one request
	Rate     float64          // requests due in a second; 0 for a closed loop
	Arrivals loadgen.Arrivals // of an open loop
	Plan     runfolder.Plan
	Out      string // folder that receives the run folders
	Label    string
	Tool     string         // version of the program that records
	Progress func(Progress) // called after every round and block; may be nil

	// Decide judges the runs so far at every look of the plan. A sequential
	// experiment ends when it is done. It may be nil if there is one subject.
	Decide  func(runs []*runfolder.Run) runfolder.Look
	MaxTime time.Duration // no block begins that would probably end later; 0 for no limit
}

// Progress tells how far an experiment has come.
type Progress struct {
	Done, Blocks  int // Done blocks are complete and saved
	Round, Rounds int // rounds of the next block that are done
	Left          time.Duration
	Subjects      []runfolder.SubjectProgress // over the blocks that are complete
}

// Record runs the experiment and returns its run folders, one a subject and in
// their order. If the experiment fails, or ctx is cancelled, the folders hold
// the blocks that were complete by then and say so, and Record returns them
// with the error. Only if the folders cannot be written are there none.
func (e Experiment) Record(ctx context.Context) ([]string, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	r, err := newRecorder(e)
	if err != nil {
		return nil, err
	}
	err = r.record(ctx)
	return r.finish(ctx, err)
}

var subjectName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (e Experiment) validate() error {
	if err := e.Plan.Validate(); err != nil {
		return err
	}
	if err := e.Load().Validate(); err != nil {
		return err
	}
	if e.Rate > 0 && e.Rate*e.Plan.Slice.Seconds() < 1 {
		return fmt.Errorf("a rate of %v/s leaves most slices of %v without a request; raise it, or make slices longer", e.Rate, e.Plan.Slice)
	}
	if len(e.Subjects) == 0 {
		return errors.New("there is no subject to measure")
	}
	seen := map[string]bool{}
	for _, s := range e.Subjects {
		if !subjectName.MatchString(s.Name) {
			return fmt.Errorf("subject name %q: use letters, digits, '.', '_' and '-' only; it becomes part of a folder's name", s.Name)
		}
		if seen[s.Name] {
			return fmt.Errorf("two subjects are named %s", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

// Load is what the subjects are loaded with.
func (e Experiment) Load() loadgen.Load {
	return loadgen.Load{Workload: e.Workload.Name(), Kinds: e.Workload.Kinds(), Workers: e.Workers, Timeout: e.Timeout, Rate: e.Rate, Arrivals: e.Arrivals}
}

// recorder is an experiment in progress.
type recorder struct {
	Experiment
	start time.Time
	rng   *rand.Rand // decides every order
	runs  []*runfolder.Writer
	done  int    // blocks that are complete
	early string // why it ended before its last block, if it did so as planned
}

func newRecorder(e Experiment) (*recorder, error) {
	r := &recorder{Experiment: e, start: time.Now(), rng: rand.New(rand.NewPCG(e.Plan.Seed, 0))}
	host, missing := host.ReadHost(), unavailable()
	var templates []runfolder.Manifest
	for _, s := range e.Subjects {
		binary, err := subject.ReadBinary(s)
		if err != nil {
			return nil, err
		}
		templates = append(templates, runfolder.Manifest{
			Schema: runfolder.Schema, Tool: e.Tool, Label: e.Label, Load: e.Load(), Plan: e.Plan, Host: host,
			Start: r.start.UTC(), State: runfolder.StateRecording, Unavailable: missing,
			Subject: runfolder.SubjectInfo{Name: s.Name, Kind: s.Kind, Command: s.Command, Options: s.Options, Binary: binary},
			Blocks:  []runfolder.Block{},
		})
	}
	var err error
	r.runs, err = runfolder.Create(e.Out, r.start, templates)
	return r, err
}

// record records block after block and saves each as it is complete.
func (r *recorder) record(ctx context.Context) error {
	looks := r.Plan.Looks()
	for b := range r.Plan.Blocks {
		if r.timeIsUp() {
			r.stop(fmt.Sprintf("the time limit of %v ended it after %d of %d blocks", r.MaxTime, b, r.Plan.Blocks))
			return nil
		}
		if err := r.block(ctx, b); err != nil {
			return fmt.Errorf("block %d of %d: %w", b+1, r.Plan.Blocks, err)
		}
		r.done++
		decided := slices.Contains(looks, r.done) && r.look()
		if err := r.save(); err != nil {
			return err
		}
		r.report(0)
		if decided && r.done < r.Plan.Blocks {
			r.stop(fmt.Sprintf("every gated metric was decided after %d of at most %d blocks", r.done, r.Plan.Blocks))
			return nil
		}
	}
	return nil
}

func (r *recorder) save() error {
	for _, run := range r.runs {
		if err := run.Save(); err != nil {
			return err
		}
	}
	return nil
}

// look judges the blocks so far, notes the result in every run, and tells
// whether the experiment may end.
func (r *recorder) look() (done bool) {
	if r.Decide == nil {
		return false
	}
	var runs []*runfolder.Run
	for _, run := range r.runs {
		runs = append(runs, run.View())
	}
	look := r.Decide(runs)
	for _, run := range r.runs {
		run.Manifest.Looks = append(run.Manifest.Looks, look)
	}
	return look.Done
}

// timeIsUp tells whether one more block, taking as long as those before, would
// end after MaxTime. The first always begins.
func (r *recorder) timeIsUp() bool {
	if r.MaxTime == 0 || r.done == 0 {
		return false
	}
	spent := time.Since(r.start)
	return spent+spent/time.Duration(r.done) > r.MaxTime
}

// stop ends the experiment before its last block, and says why. If no look
// came at this block, it is one.
func (r *recorder) stop(reason string) {
	looks := r.runs[0].Manifest.Looks
	if len(looks) == 0 || looks[len(looks)-1].Blocks != r.done {
		r.look()
	}
	r.early = reason
}

// finish gives the run folders their final state and names.
func (r *recorder) finish(ctx context.Context, err error) ([]string, error) {
	state, reason := runfolder.StateComplete, r.early
	switch {
	case err != nil && ctx.Err() != nil:
		state = runfolder.StateInterrupted
		err = fmt.Errorf("interrupted after %d of %d blocks", r.done, r.Plan.Blocks)
		reason = err.Error()
	case err != nil:
		state, reason = runfolder.StateFailed, err.Error()
	}
	dirs, saveErr := r.finishFolders(state, reason)
	if saveErr != nil {
		for _, run := range r.runs {
			run.Discard()
		}
		return nil, saveErr
	}
	return dirs, err
}

// finishFolders completes all folders before it gives the first its final name.
func (r *recorder) finishFolders(state runfolder.State, reason string) (dirs []string, err error) {
	for _, run := range r.runs {
		if err := run.Complete(state, reason); err != nil {
			return nil, err
		}
	}
	for _, run := range r.runs {
		dir, err := run.Publish()
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// perm returns the instances in random order.
func (r *recorder) perm(in []*instance) []*instance {
	shuffled := make([]*instance, len(in))
	for i, j := range r.rng.Perm(len(in)) {
		shuffled[i] = in[j]
	}
	return shuffled
}

// report tells how far the experiment is, round rounds into a block.
func (r *recorder) report(round int) {
	if r.Progress == nil {
		return
	}
	p := Progress{Done: r.done, Blocks: r.Plan.Blocks, Round: round, Rounds: r.Plan.Rounds, Left: r.left(round)}
	for _, run := range r.runs {
		p.Subjects = append(p.Subjects, run.Progress)
	}
	r.Progress(p)
}

// left estimates the time to the end: from what was planned during the first
// block, from what blocks took so far in later ones.
func (r *recorder) left(round int) time.Duration {
	done := float64(r.done) + float64(round)/float64(r.Plan.Rounds)
	left := float64(r.Plan.Blocks) - done
	if r.done == 0 {
		const overhead = 2500 * time.Millisecond // start, warm-up, profiles, stop
		return time.Duration(left * float64(r.window()+overhead))
	}
	return time.Duration(left / done * float64(time.Since(r.start)))
}

// window is the planned length of all slices of a block.
func (r *recorder) window() time.Duration {
	return time.Duration(r.Plan.Rounds*len(r.Subjects)) * r.Plan.Slice
}

// unavailable probes, on the recorder's own process, which figures of a
// process and of the machine this system can give.
func unavailable() map[runfolder.Source]string {
	missing := map[runfolder.Source]string{}
	if _, err := subject.ProcessCPU(os.Getpid()); err != nil {
		missing[runfolder.SourceCPUClock] = err.Error()
	}
	if _, err := subject.ProcessRSSPeak(os.Getpid()); err != nil {
		missing[runfolder.SourceRSS] = err.Error()
	}
	maps.Copy(missing, host.ReadMachine(host.MachineRoot).Missing)
	return missing
}
