package stat

import (
	"cmp"
	"slices"
)

// Holm returns among how many tests each p-value shares an error rate in Holm's step-down
// procedure (Scandinavian Journal of Statistics 6 (1979) 65-70): the smallest
// against the level that each of all has, every further one
// against that of those that are left after what has been rejected.
func Holm(p []float64, level func(among int) float64) []int {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	among := make([]int, len(p))
	left := len(p)
	for _, i := range order {
		among[i] = left
		if p[i] <= level(left) {
			left--
		}
	}
	return among
}
