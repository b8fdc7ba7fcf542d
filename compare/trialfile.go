package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/eventobench/eventobench/docs"
)

// RecordedTrials are those of the documentation.
func RecordedTrials() []Trial {
	trials, _, err := DecodeTrials(docs.Selftest)
	if err != nil {
		panic("docs: selftest.jsonl: " + err.Error())
	}
	return trials
}

// DecodeTrials reads trials, a line each. Lines that are cut off are left out and named:
// whoever wrote one was killed, and what it was of is to be done again. A line of another
// format is an error.
func DecodeTrials(data []byte) (trials []Trial, cut []int, err error) {
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if len(line) == 0 {
			continue
		}
		t, err := decodeTrial(line)
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			cut = append(cut, n)
		case err != nil:
			return nil, nil, fmt.Errorf("line %d: %w", n, err)
		default:
			trials = append(trials, t)
		}
	}
	return trials, cut, nil
}

func decodeTrial(line []byte) (Trial, error) {
	var t Trial
	err := json.Unmarshal(line, &t)
	switch {
	case err != nil:
		return t, err
	case t.Format != TrialFormat || t.Schema < 1:
		return t, fmt.Errorf("it is not in format %q", TrialFormat)
	case t.Schema > trialSchema:
		return t, fmt.Errorf("written in format %d by a newer eventobench; this one reads up to %d: upgrade it",
			t.Schema, trialSchema)
	case t.Case == "" || t.Time.IsZero() || !slices.Contains(byWeight, t.Verdict):
		return t, fmt.Errorf("damaged: a trial of case %q at %v with verdict %q", t.Case, t.Time, t.Verdict)
	}
	return t, nil
}

// ReadTrials reads a file of trials, of which there are none if it does not exist yet.
func ReadTrials(path string) (trials []Trial, cut []int, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err == nil {
		trials, cut, err = DecodeTrials(data)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading trials of %s: %w", path, err)
	}
	return trials, cut, nil
}

// AppendTrials adds those of the trials to a file that it does not have yet, in one write
// that is on disk once it returns, and tells how many they were. The file is made if need
// be; a last line that is cut off is ended first. There must be one writer at a time.
func AppendTrials(path string, trials []Trial) (added int, err error) {
	there, _, err := ReadTrials(path)
	if err != nil {
		return 0, err
	}
	var lines []byte
	for _, t := range trials {
		if slices.ContainsFunc(there, t.same) {
			continue
		}
		line, err := json.Marshal(t)
		if err != nil {
			return 0, fmt.Errorf("trial of %s: %w", t.Case, err)
		}
		lines = append(append(lines, line...), '\n')
		there, added = append(there, t), added+1
	}
	if added == 0 {
		return 0, nil
	}
	if err := appendLines(path, lines); err != nil {
		return 0, fmt.Errorf("adding trials: %w", err)
	}
	return added, nil
}

func appendLines(path string, lines []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		_, err = f.ReadAt(last, info.Size()-1)
	}
	if err == nil {
		if last[0] != '\n' {
			lines = append([]byte{'\n'}, lines...)
		}
		_, err = f.Write(lines)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
