package compare

import (
	_ "embed"
	"encoding/json"
)

// Selftest is how often experiments of a program with itself called something
// improved or regressed, as they were recorded for a page of the documentation.
type Selftest struct {
	Page             string `json:"page"`
	Command          string `json:"command"`     // that printed it
	Experiments      int    `json:"experiments"` // that were recorded
	FalseAlarms      int    `json:"false_alarms"`
	Drawn            int    `json:"drawn"` // experiments that were drawn from the blocks of those
	DrawnFromBlocks  int    `json:"drawn_from_blocks"`
	DrawnFalseAlarms int    `json:"drawn_false_alarms"`
}

//go:embed selftest.json
var selftestFile []byte

// RecordedSelftest is what selftest.json holds: the one place of these figures
// outside of the page.
func RecordedSelftest() Selftest {
	var s Selftest
	if err := json.Unmarshal(selftestFile, &s); err != nil {
		panic("compare: selftest.json: " + err.Error())
	}
	return s
}
