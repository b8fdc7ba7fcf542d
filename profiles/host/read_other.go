//go:build unix && !linux

package host

import (
	"errors"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

var errElsewhere = errors.New("read on Linux only")

func describe(string, *runfolder.Host) {}

func readCPU(string, *reading) error         { return errElsewhere }
func readRunQueue(string, *reading) error    { return errElsewhere }
func readPressure(string, *reading) error    { return errElsewhere }
func readThrottling(string, *reading) error  { return errElsewhere }
func readThermal(string, *reading) error     { return errElsewhere }
func readFrequency(string, *reading) error   { return errElsewhere }
func readClocksource(string, *reading) error { return errElsewhere }
