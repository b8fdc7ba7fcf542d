// Package docs is the documentation, with what programs read of it.
package docs

import _ "embed"

// Selftest holds the experiments of known truth that count how often a verdict is wrong,
// a line each (compare.DecodeTrials). "make selftest" adds to them.
//
//go:embed selftest.jsonl
var Selftest []byte
