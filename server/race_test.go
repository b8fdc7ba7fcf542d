//go:build race

package server_test

// raced says that the race detector is on, under which copying megabytes takes
// minutes.
const raced = true
