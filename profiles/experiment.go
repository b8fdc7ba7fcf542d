// Package profiles records experiments: it starts the subjects, has them
// loaded in interleaved slices, captures pprof profiles and exact counters,
// and writes all of it to run folders.
package profiles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Experiment is a randomized complete block design: in every block each
// subject is a fresh process, and in every round of a block each subject gets
// one slice of the load while the others idle.
type Experiment struct {
	Subjects []subject.Target
	Load     loadgen.Load // that the generators make
	Plan     runfolder.Plan
	Lengthen bool                    // the slices of the plan if they are too short for requests
	Profiles []runfolder.ProfileKind // to record, as far as subjects serve them
	Out      string                  // folder that receives the run folders
	Label    string
	Tool     string         // version of the program that records
	Begun    func()         // called when the folders are there, and nothing is recorded yet; may be nil
	Progress func(Progress) // called after every round and block; may be nil

	// NewGenerator makes what puts the load on a subject, which listens at a URL.
	// Equal seeds give equal requests.
	NewGenerator func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator

	// Decide judges the runs so far at every look of the plan. A sequential
	// experiment ends when it is done. It may be nil if there is one subject.
	Decide   func(runs []*runfolder.Run) runfolder.Look
	Counting *Counting     // nil for none
	Probing  *Probing      // nil for none
	MaxTime  time.Duration // no timed block begins that would probably end later; 0 for no limit

	// Layouts are for a plan that has some.
	Layouts Layouts

	// Machine is where subjects run; this one if it is nil. SubjectAgent is what
	// starts them there, and may be nil too.
	Machine      Machine
	SubjectAgent *runfolder.SubjectAgent
}

// Progress tells how far an experiment has come.
type Progress struct {
	Done, Blocks  int // Done blocks are complete and saved
	Round, Rounds int // rounds of the next block that are done
	Left          time.Duration
	Subjects      []runfolder.SubjectProgress // over the blocks that are complete

	Counted, Counting int // blocks of instructions that are counted, and of how many; 0 and 0 outside of that
}

// Record runs the experiment and returns its run folders, one per subject and
// in their order. If the experiment fails, or ctx is cancelled, the folders hold
// the blocks that were complete by then and say so, and Record returns them
// with the error. Only if the folders cannot be written are there none.
func (e Experiment) Record(ctx context.Context) ([]string, error) {
	subjects, err := e.validate()
	if err != nil {
		return nil, err
	}
	r, err := newRecorder(ctx, e, subjects)
	if err != nil {
		return nil, err
	}
	if e.Begun != nil {
		e.Begun()
	}
	err = r.databases.start(ctx)
	for _, stage := range []func(context.Context) error{r.probe, r.record, r.recordLayouts, r.count} {
		if err == nil {
			err = stage(ctx)
		}
		r.stopping.Wait()
	}
	return r.finish(ctx, errors.Join(err, r.databases.stop()))
}

var subjectName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// validate returns what the subjects are, if the experiment can be run.
func (e Experiment) validate() ([]runfolder.SubjectInfo, error) {
	if err := e.Plan.Validate(); err != nil {
		return nil, err
	}
	if err := e.Load.Validate(); err != nil {
		return nil, err
	}
	if e.Load.Open() && e.Load.Rate*e.Plan.Slice.Seconds() < 1 {
		return nil, fmt.Errorf("a rate of %v/s leaves most slices of %v without a request; raise it, or make slices longer",
			e.Load.Rate, e.Plan.Slice)
	}
	if len(e.Subjects) == 0 {
		return nil, errors.New("there is no subject to measure")
	}
	return e.subjects()
}

// subjects asks the subjects what they are. Their names must be distinct.
func (e Experiment) subjects() ([]runfolder.SubjectInfo, error) {
	var all []runfolder.SubjectInfo
	seen := map[string]bool{}
	for _, s := range e.Subjects {
		info, err := s.Info()
		if err != nil {
			return nil, err
		}
		if !subjectName.MatchString(info.Name) {
			return nil, fmt.Errorf("subject name %q: use only letters, digits, '.', '_' and '-': it is part of a folder's name",
				info.Name)
		}
		if seen[info.Name] {
			return nil, fmt.Errorf("two subjects are named %s", info.Name)
		}
		seen[info.Name] = true
		all = append(all, info)
	}
	return all, nil
}

// recorder is an experiment in progress.
type recorder struct {
	Experiment
	infos     []runfolder.SubjectInfo // of the subjects
	start     time.Time
	rng       *rand.Rand // decides every order
	runs      []*runfolder.Writer
	databases databases
	planned   int            // blocks, at most
	done      int            // blocks that are complete
	besides   time.Duration  // of start to now: what took no part in blocks
	stopping  sync.WaitGroup // instances of the block before
	early     string         // why it ended before its last block, if it did so as planned
}

func newRecorder(ctx context.Context, e Experiment, subjects []runfolder.SubjectInfo) (*recorder, error) {
	if e.Machine == nil {
		e.Machine = here{}
	}
	machine, missing, err := e.Machine.Describe(ctx)
	if err != nil {
		return nil, err
	}
	r := &recorder{
		Experiment: e, infos: subjects, start: time.Now(), rng: rand.New(rand.NewPCG(e.Plan.Seed, 0)),
		planned: e.Plan.Blocks, databases: databasesOf(e.Subjects),
	}
	var templates []runfolder.Manifest
	for _, info := range subjects {
		unavailable := map[runfolder.Source]string{} // never nil, as what an agent tells of its machine may be
		maps.Copy(unavailable, missing)
		templates = append(templates, runfolder.Manifest{
			Tool: e.Tool, Label: e.Label, Subject: info, Load: e.Load, Plan: e.Plan, Host: machine,
			SubjectAgent: e.SubjectAgent,
			Start:        r.start.UTC(), State: runfolder.StateRecording, Unavailable: unavailable,
			Blocks: []runfolder.Block{},
		})
	}
	r.runs, err = runfolder.Create(e.Out, r.start, templates)
	return r, err
}

// record records block after block and saves each as it is complete.
func (r *recorder) record(ctx context.Context) error {
	looks := r.Plan.Looks()
	asBuilt := layout{subjects: r.Subjects, programs: make([]string, len(r.Subjects))}
	for b := range r.Plan.Blocks {
		if r.timeIsUp() {
			r.stop(fmt.Sprintf("the time limit of %v ended it after %d of %d blocks", r.MaxTime, b, r.Plan.Blocks))
			return nil
		}
		if err := r.blockOf(ctx, asBuilt); err != nil {
			return err
		}
		why := ""
		if slices.Contains(looks, r.done) {
			why = r.look()
		}
		if err := r.save(); err != nil {
			return err
		}
		r.report(0)
		if why != "" && r.done < r.Plan.Blocks {
			r.stop(why)
			return nil
		}
	}
	return nil
}

// mostRepeats is how often a block is recorded again. One that is never complete would
// be recorded forever.
const mostRepeats = 5

// blockOf records the next block, of subjects in some layout. If a part of what makes
// the load is lost, all of the block is thrown away, and it is recorded again.
func (r *recorder) blockOf(ctx context.Context, l layout) error {
	lost, err := repeated(ctx, func() error { return r.block(ctx, r.done, l) })
	for _, why := range lost {
		for _, run := range r.runs {
			run.Manifest.Repeated = append(run.Manifest.Repeated, runfolder.Repeated{Block: r.done, Reason: why})
		}
	}
	if err != nil {
		return fmt.Errorf("block %d of %d: %w", r.done+1, r.planned, err)
	}
	r.done++
	return nil
}

// repeated records a block, and records it again for as long as a part of what makes the
// load was lost and the rest can make it. It returns why each that was thrown away was.
func repeated(ctx context.Context, record func() error) (lost []string, err error) {
	for {
		err = record()
		var why *loadgen.LostError
		if !errors.As(err, &why) || !why.Again || ctx.Err() != nil || len(lost) == mostRepeats {
			return lost, err
		}
		lost = append(lost, why.Reason)
	}
}

func (r *recorder) save() error {
	for _, run := range r.runs {
		if err := run.Save(); err != nil {
			return err
		}
	}
	return nil
}

// look judges the blocks so far, notes the result in every run, and says why the
// experiment may end, if it may.
func (r *recorder) look() (why string) {
	if r.Decide == nil {
		return ""
	}
	look := r.Decide(r.views())
	for _, run := range r.runs {
		run.Manifest.Looks = append(run.Manifest.Looks, look)
	}
	switch after := fmt.Sprintf("after %d of at most %d blocks", r.done, r.Plan.Blocks); {
	case look.Done:
		return "every gated metric was decided " + after
	case look.Reason != "":
		return fmt.Sprintf("it was given up %s: %s", after, look.Reason)
	}
	return ""
}

// apart does something that is no part of the time that blocks take.
func (r *recorder) apart(do func() error) error {
	began := time.Now()
	err := do()
	r.besides += time.Since(began)
	return err
}

// timeIsUp reports whether one more block, taking as long as those before, would
// end after MaxTime. The first always begins.
func (r *recorder) timeIsUp() bool {
	if r.MaxTime == 0 || r.done == 0 {
		return false
	}
	spent := time.Since(r.start)
	return spent+(spent-r.besides)/time.Duration(r.done) > r.MaxTime
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
		err = fmt.Errorf("interrupted after %d of %d blocks", r.done, r.planned)
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

// shuffled returns the instances in random order.
func (r *recorder) shuffled(in []*instance) []*instance {
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
	p := Progress{Done: r.done, Blocks: r.planned, Round: round, Rounds: r.Plan.Rounds, Left: r.left(round)}
	for _, run := range r.runs {
		p.Subjects = append(p.Subjects, run.Progress)
	}
	r.Progress(p)
}

// left estimates the time to the end: from what was planned during the first
// block, from what blocks took so far in later ones.
func (r *recorder) left(round int) time.Duration {
	done := float64(r.done) + float64(round)/float64(r.Plan.Rounds)
	left := float64(r.planned) - done
	if r.done == 0 {
		const overhead = 600 * time.Millisecond // start, warm-up, profiles, stop
		return time.Duration(left * float64(r.window()+overhead))
	}
	return time.Duration(left / done * float64(time.Since(r.start)-r.besides))
}
