// Package texttab prints aligned tables, and figures for people.
package texttab

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table prints columns of text: the first to the left, the others, which hold
// figures, to the right.
type Table struct{ rows [][]string }

// New begins a table with its header.
func New(header ...string) *Table { return &Table{rows: [][]string{header}} }

// Add adds a row; one shorter than the header ends with empty cells. A cell is a line: one that
// has several is joined.
func (t *Table) Add(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		if strings.Contains(cell, "\n") {
			cell = strings.Join(strings.Fields(cell), " ")
		}
		row[i] = cell
	}
	t.rows = append(t.rows, row)
}

// String is the table with columns two spaces apart, one line per row.
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

// MarkdownCode is the table in Markdown with its first column as code, so that
// the asterisks of Go's names stand as they are.
func (t *Table) MarkdownCode() string {
	code := New(t.rows[0]...)
	for _, row := range t.rows[1:] {
		code.Add(append([]string{"`" + row[0] + "`"}, row[1:]...)...)
	}
	return code.Markdown()
}
