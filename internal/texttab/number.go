package texttab

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
)

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

// Decimals prints a figure of any size with about three significant digits.
func Decimals(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 1:
		return Number(v, 3)
	case a < 10:
		return Number(v, 2)
	case a < 100:
		return Number(v, 1)
	}
	return Number(v, 0)
}

func Signed(v float64) string {
	if v > 0 {
		return "+" + Decimals(v)
	}
	return Decimals(v)
}

// Roughly prints the size of v with two significant digits.
func Roughly(v float64) string {
	if v == 0 {
		return "0"
	}
	exponent := int(math.Floor(math.Log10(math.Abs(v)))) - 1
	unit := math.Pow10(exponent)
	return Number(math.Round(math.Abs(v)/unit)*unit, max(0, -exponent))
}

// Count is a number of things, such as "1 block" and "12 blocks".
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// CountIs is Count with its verb: "1 block is", "2 blocks are".
func CountIs(n int, noun string) string {
	if n == 1 {
		return Count(n, noun) + " is"
	}
	return Count(n, noun) + " are"
}
