// Package runfolder is the run-folder format: what one subject did in one
// experiment, as a folder of files that any tool can read.
//
// Open reads a folder, List finds those there are, and Create begins new ones.
// A Run has the manifest with the exact counters of every block, the slices,
// the latency histograms and, on demand, the pprof profiles; Totals sums it up.
// Kinds is the table of profile kinds. docs/run-folder.md describes the files.
//
// A figure that could not be had is never zero: Manifest.Unavailable gives the
// reason by source, and Totals has nil.
package runfolder
