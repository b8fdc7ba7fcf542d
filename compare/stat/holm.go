package stat

import (
	"cmp"
	"slices"
)

// Holm returns the level that each p-value is compared with in Holm's step-down
// procedure (Scandinavian Journal of Statistics 6 (1979) 65-70): the smallest
// against alpha shared among all, every further one against alpha shared among
// those that are left after what has been rejected.
func Holm(p []float64, alpha float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	levels := make([]float64, len(p))
	left := len(p)
	for _, i := range order {
		levels[i] = alpha / float64(left)
		if p[i] <= levels[i] {
			left--
		}
	}
	return levels
}
