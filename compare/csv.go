package compare

import (
	"encoding/csv"
	"io"
	"strconv"
)

var csvColumns = []string{
	"base", "head", "paired", "blocks", "metric", "unit", "better", "base_value", "head_value",
	"change_percent", "low_percent", "high_percent", "level", "gated", "verdict", "overall_verdict", "unavailable",
}

// csv writes the metrics of all comparisons as one table (RFC 4180), a row a
// comparison and metric. Figures have all their digits; what is missing is an
// empty cell, and the last column says why.
func (r *Report) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvColumns) // a csv.Writer keeps its first error until Error is called
	for _, c := range r.Comparisons {
		for _, m := range c.Metrics {
			_ = out.Write(c.csvRow(m))
		}
	}
	out.Flush()
	return out.Error()
}

func (c Comparison) csvRow(m MetricChange) []string {
	row := []string{
		c.Base, c.Head, strconv.FormatBool(c.Paired), strconv.Itoa(c.Blocks), m.Name, m.Unit, string(m.Better),
		exactNumber(m.Base), exactNumber(m.Head),
	}
	if d := m.Change; d != nil {
		row = append(row, exactNumber(&d.Percent), exactNumber(&d.Low), exactNumber(&d.High), exactNumber(&d.Level))
	} else {
		row = append(row, "", "", "", "")
	}
	return append(row, strconv.FormatBool(m.Gated), string(m.Verdict), string(c.Verdict), m.Unavailable)
}

// exactNumber prints a figure with as many digits as it takes to read the
// same one back.
func exactNumber(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
