package render

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/eventobench/eventobench/compare"
)

var csvColumns = []string{
	"base", "head", "paired", "blocks", "kind", "metric", "unit", "better", "base_value", "head_value",
	"change_percent", "low_percent", "high_percent", "level", "gated", "verdict", "overall_verdict",
	"unavailable", "doubt",
}

// writeCSV writes the metrics of all comparisons as one table (RFC 4180), one row
// per comparison and metric, and those of each kind of request. Figures have all their digits; what is missing is an
// empty cell, and the last column says why.
func writeCSV(w io.Writer, r *compare.Report) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvColumns) // a csv.Writer keeps its first error until Error is called
	for _, c := range r.Comparisons {
		for _, m := range c.Metrics {
			_ = out.Write(csvRow(c, "", m))
		}
		if c.Requests == nil {
			continue
		}
		for _, k := range c.Requests.Kinds {
			for _, m := range k.Metrics {
				_ = out.Write(csvRow(c, k.Kind, m))
			}
		}
	}
	out.Flush()
	return out.Error()
}

// csvRow is one metric, of all requests or of a kind.
func csvRow(c compare.Comparison, kind string, m compare.MetricChange) []string {
	row := []string{
		c.Base, c.Head, strconv.FormatBool(c.Paired), strconv.Itoa(c.Blocks), kind, string(m.ID), m.Unit,
		string(m.Better),
		exactNumber(m.Base), exactNumber(m.Head),
	}
	if d := m.Change; d != nil {
		row = append(row, exactNumber(&d.Percent), exactNumber(&d.Low), exactNumber(&d.High), exactNumber(&d.Level))
	} else {
		row = append(row, "", "", "", "")
	}
	return append(row, strconv.FormatBool(m.Gated), string(m.Verdict), string(c.Verdict), m.Unavailable, m.Doubt)
}

// exactNumber prints a figure with as many digits as it takes to read the
// same one back.
func exactNumber(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
