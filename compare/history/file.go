package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/strictjson"
)

// Read reads a history. A line that is cut off, damaged, of a newer version or
// there twice is an error that names it.
func Read(path string) ([]Record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	records, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", path, err)
	}
	return records, nil
}

// Check is an error if records cannot be appended to a history. One that does not exist yet
// is fine; its folder is made.
func Check(path string) error {
	_, err := existing(path)
	return err
}

// existing are the records of a history, none if it does not exist yet. There is a folder for
// it then.
func existing(path string) ([]Record, error) {
	records, err := Read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return records, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of history %s: %w", path, err)
	}
	return nil, nil
}

// Append adds records at the end of a history in one write, and makes the file
// if need be. Records that are there already are left out; the number of those
// that were added is returned. There must be one writer at a time. A file that
// is damaged is an error, and stays as it is.
func Append(path string, records []Record) (int, error) {
	before, err := existing(path)
	if err != nil {
		return 0, err
	}
	var lines bytes.Buffer
	added := 0
	for _, r := range records {
		if there(before, r) {
			continue
		}
		line, err := encode(r)
		if err != nil {
			return 0, fmt.Errorf("record of %s: %w", r.key(), err)
		}
		lines.Write(line)
		before = append(before, r)
		added++
	}
	if added == 0 {
		return 0, nil
	}
	if err := appendTo(path, lines.Bytes()); err != nil {
		return 0, fmt.Errorf("appending to the history: %w", err)
	}
	return added, nil
}

func there(records []Record, r Record) bool {
	return slices.ContainsFunc(records, func(old Record) bool { return old.key() == r.key() })
}

func appendTo(path string, lines []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Sync(), f.Close())
}

// encode is a record as a line that Decode accepts.
func encode(r Record) ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	_, err = decodeLine(line)
	return append(line, '\n'), err
}

// Decode reads the lines of a history, oldest first. It is strict; see Read.
func Decode(data []byte) ([]Record, error) {
	var records []Record
	seen := map[string]int{}
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return nil, fmt.Errorf("line %d is cut off; remove it, and add its run folders again", n)
		}
		data = rest
		r, err := decodeLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first, twice := seen[r.key()]; twice {
			return nil, fmt.Errorf("lines %d and %d both are of %s; remove one", first, n, r.key())
		}
		seen[r.key()] = n
		records = append(records, r)
	}
	return records, nil
}

func decodeLine(line []byte) (Record, error) {
	var version struct {
		Format string
		Schema int
	}
	err := json.Unmarshal(line, &version)
	switch {
	case err != nil:
		return Record{}, fmt.Errorf("not a record: %w", err)
	case version.Format != Format || version.Schema < 1:
		return Record{}, fmt.Errorf("not a record: it is not in format %q", Format)
	case version.Schema > Schema:
		return Record{}, fmt.Errorf("written in format %d by a newer eventobench; this one reads up to %d: upgrade it",
			version.Schema, Schema)
	}
	var r Record
	if err = strictjson.Unmarshal(line, &r); err == nil {
		err = r.check()
	}
	if err != nil {
		return Record{}, fmt.Errorf("damaged: %w", err)
	}
	return r, nil
}

// check returns what is wrong with a record that has the right fields.
func (r Record) check() error {
	switch {
	case r.Time.IsZero():
		return errors.New("no time")
	case r.Experiment == "" || r.Curve == "" || r.Load == "":
		return errors.New("no experiment, curve or load")
	case r.Blocks < 1:
		return fmt.Errorf("%d blocks", r.Blocks)
	case r.Base == nil && (r.Paired || r.Verdict != compare.NotJudged):
		return errors.New("a verdict, or a pair, without a base")
	case !known(r.Verdict):
		return fmt.Errorf("verdict %q is none", r.Verdict)
	}
	for _, b := range []*Build{&r.Head, r.Base} {
		if b != nil && b.Subject == "" {
			return errors.New("a build without a subject")
		}
	}
	return r.checkMetrics()
}

func (r Record) checkMetrics() error {
	seen := map[compare.MetricID]bool{}
	for _, m := range r.Metrics {
		row, there := compare.FindMetric(m.ID)
		switch {
		case !there || row.Better == compare.Neutral:
			return fmt.Errorf("metric %q is none that has a better direction; a newer eventobench may know it", m.ID)
		case seen[m.ID]:
			return fmt.Errorf("metric %q is there twice", m.ID)
		case m.Value != nil && *m.Value < 0:
			return fmt.Errorf("metric %q is %v", m.ID, *m.Value)
		case !known(m.Verdict):
			return fmt.Errorf("verdict %q on %s is none", m.Verdict, m.ID)
		case m.Change != nil && (r.Base == nil || row.Timing && !r.Paired):
			return fmt.Errorf("a change of %s without a base that was recorded with it", m.ID)
		}
		seen[m.ID] = true
		if m.Change != nil && !sound(*m.Change) {
			return fmt.Errorf("the change of %s is %v at level %v", m.ID, m.Change, m.Change.Level)
		}
	}
	return nil
}

// sound reports whether a change is one that a comparison can find: -100% has no
// logarithm.
func sound(c compare.Change) bool {
	const least = -100
	ordered := least < c.Low && c.Low <= c.Percent && c.Percent <= c.High && stat.Finite(c.High)
	return ordered && 0 <= c.Level && c.Level <= 1
}

func known(v compare.Verdict) bool {
	return slices.Contains([]compare.Verdict{
		compare.Improved, compare.Regressed, compare.Equivalent, compare.Inconclusive, compare.NotJudged,
	}, v)
}
