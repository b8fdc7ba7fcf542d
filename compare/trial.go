package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TrialFormat and trialSchema name the format of a line of trials.
const (
	TrialFormat = "eventobench selftest"
	trialSchema = 1
)

// NothingPlanted is the case of a program against itself. Any other case is a handicap of
// the head: a regression.
const NothingPlanted = "none"

// Trial is an experiment whose truth is known, and what was made of it. It is a line of
// JSON in the file of a selftest.
type Trial struct {
	Format   string        `json:"format"`
	Schema   int           `json:"schema"`
	Time     time.Time     `json:"time"` // at which it began
	Build    string        `json:"build"`
	Program  string        `json:"program_sha256"` // of both sides, the first digits
	Subject  string        `json:"subject"`
	Case     string        `json:"case"`
	Gain     stat.Rounded  `json:"cpu_gain,omitempty"` // percent of CPU time used for each of spinning, as calibrated; 0 if unknown
	Settings string        `json:"settings"`           // plan and load
	Machine  string        `json:"machine"`
	BusyCPUs *stat.Rounded `json:"busy_cpus_before"` // with other work than ours; null if unknown
	Blocks   int           `json:"blocks"`
	Seconds  stat.Rounded  `json:"seconds"`
	Verdict  Verdict       `json:"verdict"` // the worst of those below
	Metrics  []TrialMetric `json:"metrics"`
}

// TrialMetric is the verdict on one gated metric, with its interval.
type TrialMetric struct {
	Metric  MetricID     `json:"metric"`
	Verdict Verdict      `json:"verdict"`
	Percent stat.Rounded `json:"percent"`
	Low     stat.Rounded `json:"low_percent"`
	High    stat.Rounded `json:"high_percent"`
}

// programDigits of a hash tell programs apart.
const programDigits = 12

// Program is how trials name the program of a subject.
func Program(s runfolder.SubjectInfo) string {
	return s.Binary.SHA256[:min(programDigits, len(s.Binary.SHA256))]
}

// TrialSettings is how trials name what an experiment is made of.
func TrialSettings(p runfolder.Plan, load string) string {
	blocks := fmt.Sprint(p.Blocks)
	if looks := p.Looks(); len(looks) > 1 {
		blocks = fmt.Sprintf("%d to %d", looks[0], p.Blocks)
	}
	return fmt.Sprintf("%s blocks of %d rounds of %v, warm-up of %d, %s", blocks, p.Rounds, p.Slice, p.Warmup, load)
}

// NewTrial judges an experiment of a case, base first.
func NewTrial(runs []*runfolder.Run, c Criteria, planted string) Trial {
	m, look := runs[0].Manifest, Decide(runs, c)
	t := Trial{
		Format: TrialFormat, Schema: trialSchema, Time: m.Start.UTC(), Build: m.Tool, Program: Program(m.Subject),
		Subject: m.Subject.Name, Case: planted, Settings: TrialSettings(m.Plan, m.Load.String()),
		Machine: fmt.Sprintf("%s/%s %s, %d CPUs", m.Host.OS, m.Host.Arch, m.Host.CPUModel, m.Host.Affinity),
		Blocks:  look.Blocks, Seconds: stat.Rounded(m.End.Sub(m.Start).Seconds()),
		Verdict: loudest(look), Metrics: []TrialMetric{},
	}
	for _, d := range look.Decisions {
		t.Metrics = append(t.Metrics, TrialMetric{
			Metric: MetricID(d.Metric), Verdict: Verdict(d.Verdict),
			Percent: stat.Rounded(d.Percent), Low: stat.Rounded(d.Low), High: stat.Rounded(d.High),
		})
	}
	return t
}

// loudest is the verdict on all metrics that counts most: a regression, then an improvement, then
// doubt.
func loudest(look runfolder.Look) Verdict {
	for _, v := range []Verdict{Regressed, Improved, Inconclusive} {
		if slices.ContainsFunc(look.Decisions, func(d runfolder.Decision) bool { return d.Verdict == string(v) }) {
			return v
		}
	}
	return Equivalent
}

// Wrong reports whether the verdict is: a move where there is none, or no regression
// where there is one.
func (t Trial) Wrong() bool {
	if t.Case == NothingPlanted {
		return t.Verdict.moved()
	}
	return t.Verdict != Regressed
}

// same reports whether two trials are of one experiment.
func (t Trial) same(other Trial) bool {
	return t.Time.Equal(other.Time) && t.Program == other.Program && t.Case == other.Case
}

// Tally counts the trials of one case.
type Tally struct {
	Case          string
	Trials, Wrong int
}

// TallyTrials counts trials by case: those with nothing planted first, then by name.
func TallyTrials(trials []Trial) []Tally {
	var all []Tally
	for _, t := range trials {
		i := slices.IndexFunc(all, func(a Tally) bool { return a.Case == t.Case })
		if i < 0 {
			i = len(all)
			all = append(all, Tally{Case: t.Case})
		}
		all[i].Trials++
		if t.Wrong() {
			all[i].Wrong++
		}
	}
	slices.SortFunc(all, func(a, b Tally) int {
		switch NothingPlanted {
		case a.Case:
			return -1
		case b.Case:
			return 1
		}
		return strings.Compare(a.Case, b.Case)
	})
	return all
}

// tallyConfidence is that of the bound of a tally.
const tallyConfidence = 0.95

// TallyBound says which bound a tally has.
const TallyBound = "one-sided bounds at 95% of Clopper and Pearson"

// What says what is wrong about such a trial.
func (t Tally) What() string {
	if t.Case == NothingPlanted {
		return "called improved or regressed"
	}
	return "not called regressed"
}

// String is such as "0 of 60: at most 4.9%".
func (t Tally) String() string {
	return fmt.Sprintf("%d of %d: at most %.1f%%", t.Wrong, t.Trials,
		stat.UpperBound(t.Wrong, t.Trials, tallyConfidence)*100)
}
