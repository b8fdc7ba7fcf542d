package stat

import "math"

// Percent turns a logarithm of a ratio into a change in percent.
func Percent(d float64) float64 { return math.Expm1(d) * 100 }

// LogRatio turns a change in percent into the logarithm of a ratio.
func LogRatio(percent float64) float64 { return math.Log1p(percent / 100) }

// Finite reports whether x is a number, and not an infinite one.
func Finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
