package compare

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// Table prints columns of text: the first to the left, the others, which hold
// figures, to the right.
type Table struct{ rows [][]string }

// NewTable begins a table with its header.
func NewTable(header ...string) *Table { return &Table{rows: [][]string{header}} }

// Add adds a row; one shorter than the header ends with empty cells.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// String is the table with columns two spaces apart, a line a row.
func (t *Table) String() string {
	width := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		fmt.Fprintf(&line, "%-*s", width[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(&line, "  %*s", width[i+1], cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

func (t *Table) widths() []int {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	return width
}

// Markdown is the table in Markdown.
func (t *Table) Markdown() string {
	var b strings.Builder
	for i, row := range t.rows {
		b.WriteString("|")
		for col := range t.rows[0] {
			cell := ""
			if col < len(row) {
				cell = strings.ReplaceAll(row[col], "|", `\|`)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("---:|", len(row)-1) + "\n")
		}
	}
	return b.String()
}

// Number prints a figure with thousands separators and the given decimals.
func Number(v float64, decimals int) string {
	return humanize.FormatFloat("#,###."+strings.Repeat("#", decimals), v)
}

// Optional prints a figure that a run may not have.
func Optional(v *float64, decimals int) string {
	if v == nil {
		return "unavailable"
	}
	return Number(*v, decimals)
}
