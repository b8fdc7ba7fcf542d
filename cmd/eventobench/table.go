package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// table prints columns of text: the first to the left, the others, which hold
// figures, to the right.
type table struct{ rows [][]string }

func newTable(header ...string) *table { return &table{rows: [][]string{header}} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		fmt.Fprintf(&b, "%-*s", width[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(&b, "  %*s", width[i+1], cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// number prints a figure with thousands separators and a fixed number of
// decimals.
func number(v float64, decimals int) string {
	return humanize.FormatFloat("#,###."+strings.Repeat("#", decimals), v)
}

// optional prints a figure that the run may not have.
func optional(v *float64, decimals int) string {
	if v == nil {
		return "unavailable"
	}
	return number(*v, decimals)
}
