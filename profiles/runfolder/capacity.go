package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/internal/ratefit"
	"github.com/eventobench/eventobench/internal/strictjson"
	"github.com/eventobench/eventobench/loadgen"
)

// CapacitySchema is the version of a Capacity's JSON. Others are not read.
const CapacitySchema = 1

// capacityFormat tells a capacity file from any other JSON.
const capacityFormat = "eventobench-capacity"

// Capacity is the recording of a search for the highest rate at which servers stay
// within limits. It is one file beside the run folders.
type Capacity struct {
	Format      string            `json:"format"`
	Schema      int               `json:"schema"`
	Experiment  string            `json:"experiment"`
	Tool        string            `json:"tool_version"`
	Label       string            `json:"label,omitempty"`
	Host        Host              `json:"host"` // of the subjects
	Load        loadgen.Load      `json:"load"` // its rate is that of each trial
	Limits      Limits            `json:"limits"`
	Plan        Plan              `json:"plan"` // its rounds are the trials that count
	MaxRate     float64           `json:"max_rate_per_s"`
	Start       time.Time         `json:"start"`
	End         time.Time         `json:"end"`
	State       State             `json:"state"`
	Reason      string            `json:"reason,omitempty"`      // why it ended before its last block
	Unavailable map[string]string `json:"unavailable,omitempty"` // by subject, why its CPU time is not known
	Repeated    []Repeated        `json:"repeated,omitempty"`    // what was thrown away
	Subjects    []CapacityRun     `json:"subjects"`

	SubjectAgent *SubjectAgent `json:"subject_agent,omitempty"` // nil if the recorder started the subjects
	RecorderCPUs int           `json:"recorder_cpus,omitempty"` // that the recorder may use
}

// LoadedFromElsewhere reports whether the recorder made the load, on another machine than
// that of the subjects.
func (c *Capacity) LoadedFromElsewhere() bool {
	byAgents := func(b CapacityBlock) bool { return len(b.Agents) > 0 }
	return c.SubjectAgent != nil && c.SubjectAgent.Elsewhere &&
		!slices.ContainsFunc(c.Subjects[0].Blocks, byAgents)
}

// Limits are what a server must stay within.
type Limits struct {
	Latencies []LatencyLimit `json:"latencies"`
	// Errors is the share of requests that may fail, or never be sent. Of 0 not one may.
	Errors float64 `json:"errors"`
}

// LatencyLimit is met if no more requests than the quantile leaves are answered later.
// Those that failed count as later than any.
type LatencyLimit struct {
	Quantile float64       `json:"quantile"` // in percent, such as 99
	Limit    time.Duration `json:"limit_ns"`
}

// Allowed are the shares of requests that may cross each of the limits, of latency
// first and then of errors.
func (l Limits) Allowed() ratefit.Allowed {
	var all ratefit.Allowed
	for _, limit := range l.Latencies {
		all = append(all, (100-limit.Quantile)/100)
	}
	return append(all, l.Errors)
}

// String is such as "p99 5ms".
func (l LatencyLimit) String() string { return fmt.Sprintf("p%g %v", l.Quantile, l.Limit) }

// String names the limits, such as "p99 5ms, errors 0.1%".
func (l Limits) String() string {
	var parts []string
	for _, limit := range l.Latencies {
		parts = append(parts, limit.String())
	}
	if l.Errors > 0 {
		parts = append(parts, fmt.Sprintf("errors %.4g%%", l.Errors*100))
	}
	return strings.Join(parts, ", ")
}

// Equal reports whether two limits are the same.
func (l Limits) Equal(m Limits) bool {
	return slices.Equal(l.Latencies, m.Latencies) && l.Errors == m.Errors
}

// CapacityRun is one subject of a Capacity.
type CapacityRun struct {
	Subject SubjectInfo     `json:"subject"`
	Blocks  []CapacityBlock `json:"blocks"`
}

// CapacityBlock is what was tried with one process.
type CapacityBlock struct {
	WarmupRate float64  `json:"warmup_ops_per_s"`  // of the closed loop of the warm-up
	Machine    *Machine `json:"machine,omitempty"` // during all trials of the block, of all subjects
	Trials     []Trial  `json:"trials"`

	Agents []loadgen.Agent `json:"agents,omitempty"` // that made the load; none if the recorder did
}

// Trial is a slice of an open loop at one rate. Latencies count from when requests
// were due if nothing else is said.
type Trial struct {
	Rate     float64       `json:"rate_per_s"`
	Counts   bool          `json:"counts"` // it is near the sought rate, and not of the way there
	Met      bool          `json:"met"`    // it stayed within all limits
	Start    time.Duration `json:"start_ns"`
	Duration time.Duration `json:"duration_ns"` // until the last outstanding request was answered
	Answered int64         `json:"answered"`
	Failed   int64         `json:"failed"`
	Missed   int64         `json:"missed"`        // due and never sent
	Over     []int64       `json:"over"`          // answered later than each of the limits
	OverSent []int64       `json:"over_sent"`     // likewise, counted from when they were sent
	P50      time.Duration `json:"p50_ns"`        // these three of what was answered
	P99      time.Duration `json:"p99_ns"`        //
	P999     time.Duration `json:"p999_ns"`       //
	MaxLate  time.Duration `json:"max_late_ns"`   // longest time from when a request was due until it was sent
	InFlight float64       `json:"in_flight"`     // mean number of requests that were sent and not answered
	Server   time.Duration `json:"server_cpu_ns"` // ns; 0 where the run has no CPU clock
	// Generator is the CPU time of the recorder's generator in ns, of agents that of those
	// on the subjects' machine.
	Generator time.Duration `json:"generator_cpu_ns"`
}

// Due is how many requests were due.
func (t Trial) Due() int64 { return t.Answered + t.Failed + t.Missed }

// Fitted is the trial as it is fitted. What failed, or was never sent, is later than
// any limit.
func (t Trial) Fitted() ratefit.Trial {
	f := ratefit.Trial{Rate: t.Rate, Requests: float64(t.Due())}
	for _, over := range t.Over {
		f.Crossed = append(f.Crossed, float64(over+t.Unanswered()))
	}
	f.Crossed = append(f.Crossed, float64(t.Unanswered()))
	return f
}

// Unanswered are those that failed or were never sent.
func (t Trial) Unanswered() int64 { return t.Failed + t.Missed }

// CapacityFile is a Capacity in progress.
type CapacityFile struct {
	Capacity
	path string
}

// CreateCapacity makes the file, which says that it is being recorded.
func CreateCapacity(out string, c Capacity) (*CapacityFile, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("creating the folder for capacity files: %w", err)
	}
	c.Format, c.Schema, c.State = capacityFormat, CapacitySchema, StateRecording
	for stamp := c.Start; ; stamp = stamp.Add(time.Second) {
		c.Experiment = stamp.Local().Format("20060102_150405")
		path := filepath.Join(out, c.Experiment+"-capacity.json")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("creating a capacity file: %w", err)
		}
		file := &CapacityFile{Capacity: c, path: path}
		return file, errors.Join(f.Close(), file.Save())
	}
}

// Path is where the file is.
func (f *CapacityFile) Path() string { return f.path }

// Save writes what there is so far.
func (f *CapacityFile) Save() error {
	err := WriteFile(f.path, func(w io.Writer) error { return writeJSON(w, f.Capacity) })
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

// ReadCapacity reads a capacity file. Errors name it.
func ReadCapacity(path string) (*Capacity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a capacity file: %w", err)
	}
	c, err := decodeCapacity(text)
	if err != nil {
		return nil, fmt.Errorf("capacity file %s: %w", path, err)
	}
	return c, nil
}

func decodeCapacity(text []byte) (*Capacity, error) {
	var version struct {
		Format string
		Schema int
	}
	if err := json.Unmarshal(text, &version); err != nil || version.Format != capacityFormat {
		return nil, errors.New("it is not what \"eventobench capacity\" writes")
	}
	if version.Schema != CapacitySchema {
		return nil, fmt.Errorf("it is in format %d, this eventobench reads %d: record it again", version.Schema, CapacitySchema)
	}
	c := &Capacity{}
	if err := strictjson.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	return c, c.check()
}

// check rejects what cannot be fitted.
func (c *Capacity) check() error {
	if len(c.Subjects) == 0 {
		return errors.New("damaged: no subject")
	}
	if a := c.SubjectAgent; a != nil && (a.Name == "" || c.RecorderCPUs < 1) {
		return errors.New("damaged: the agent that started the subjects has no name, or the recorder no CPU")
	}
	for _, s := range c.Subjects {
		if len(s.Blocks) != len(c.Subjects[0].Blocks) {
			return errors.New("damaged: subjects have different numbers of blocks")
		}
		for _, b := range s.Blocks {
			for _, a := range b.Agents {
				if err := checkAgent(a); err != nil {
					return fmt.Errorf("damaged: %w", err)
				}
			}
			if !slices.ContainsFunc(b.Trials, func(t Trial) bool { return t.Counts }) {
				return fmt.Errorf("damaged: a block of %s without a trial that counts", s.Subject.Name)
			}
			for _, t := range b.Trials {
				if !(t.Rate > 0) || t.Due() < 0 || t.Duration <= 0 ||
					len(t.Over) != len(c.Limits.Latencies) || len(t.OverSent) != len(c.Limits.Latencies) {
					return fmt.Errorf("damaged: a trial of %s", s.Subject.Name)
				}
			}
		}
	}
	return nil
}
