//go:build !linux

package loadgen

// newTimer returns the most precise timer available.
func newTimer() timer { return runtimeTimer{} }
