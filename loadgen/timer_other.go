//go:build !linux

package loadgen

// newTimer returns the most precise timer there is.
func newTimer() timer { return runtimeTimer{} }
