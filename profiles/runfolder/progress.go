package runfolder

// SubjectProgress sums up what one subject did so far; before the first block
// is complete its figures are zero.
type SubjectProgress struct {
	Name      string
	OpsPerSec float64
	P99Ms     float64
}
