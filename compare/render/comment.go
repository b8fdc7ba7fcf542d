package render

import (
	"fmt"
	"strings"

	"github.com/eventobench/eventobench/compare/render/view"
)

// gateComment is a comment on a pull request, in Markdown.
func gateComment(c *view.Comment) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s Performance gate: %s\n\n%s", c.Mark, c.Verdict, c.Headline)
	if c.Commits != "" {
		fmt.Fprintf(&b, " (%s)", c.Commits)
	}
	fmt.Fprintf(&b, "\n\n%s", c.Table().Markdown())
	writeRemarks(&b, c.Gate)
	b.WriteString(grownPlaces(c))
	for _, r := range c.Reasons {
		if r.Note != "" { // no function stands out
			writeReason(&b, r)
		}
	}
	if len(c.Explanation) > 0 {
		fmt.Fprintf(&b, "\n**What changed**\n\n- %s\n", strings.Join(c.Explanation, "\n- "))
	}
	if len(c.Unavailable) > 0 {
		fmt.Fprintf(&b, "\n**Unavailable**\n\n- %s\n", strings.Join(c.Unavailable, "\n- "))
	}
	fmt.Fprintf(&b, "\n**How it was measured**\n\n- %s\n", strings.Join(append(c.Machine, c.Reliability), "\n- "))
	if c.Again != "" {
		b.WriteString("\nTo repeat it, in a checkout of the head with the two programs that were kept:\n\n")
		fmt.Fprintf(&b, "```sh\n%s\n```\n", c.Again)
	}
	return b.String()
}

// grownPlaces lists the functions that grew, with links to their lines.
func grownPlaces(c *view.Comment) string {
	if len(c.Places) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n**What grew**\n\n")
	for _, p := range c.Places {
		fmt.Fprintf(&b, "- `%s`%s: %s\n", p.Function, position(p), p.More)
	}
	if c.Others != "" {
		fmt.Fprintf(&b, "- %s\n", c.Others)
	}
	return b.String()
}

// position is where a function stands, as a link if there is one.
func position(p view.Place) string {
	switch {
	case p.URL != "":
		return fmt.Sprintf(" ([%s](%s))", p.At(), p.URL)
	case p.File != "":
		return fmt.Sprintf(" (%s)", p.At())
	}
	return ""
}
