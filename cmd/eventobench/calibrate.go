package main

import (
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/server/handicap"
)

// calibrating is the handicap that the gain is measured with, and calibrationBlocks are how
// many blocks have it: the larger the share, the less the noise of the machine counts.
var calibrating = handicap.Handicap{CPU: 10}

const calibrationBlocks = 16

// withGain is a planted handicap with the gain of this machine, if it has a share of CPU
// time. The gain is measured once, and that of earlier experiments is taken over.
func (o *selftestOptions) withGain(cmd *cobra.Command, planted string, test *selftest) (string, error) {
	h, err := handicap.Parse(planted)
	if err != nil || h.CPU == 0 {
		return planted, err
	}
	if test.gain == 0 {
		if test.gain, err = o.calibrate(cmd); err != nil {
			return "", fmt.Errorf("calibrating cpu=: %w", err)
		}
	}
	h.Gain = test.gain
	return h.String(), nil
}

// calibrate measures what a percentage of CPU time that calls spin becomes of the server's:
// more, since a server whose calls take longer is preempted and waits more often. It is
// the CPU time of whole processes by their own clocks that is compared, and no estimate of
// the verdicts that are to be tested.
func (o *selftestOptions) calibrate(cmd *cobra.Command) (gain float64, err error) {
	fmt.Fprintf(cmd.ErrOrStderr(), "calibrating: %d blocks with %v\n", calibrationBlocks, calibrating)
	dirs, remove, err := o.recordCalibration(cmd)
	if err != nil {
		return 0, err
	}
	defer remove()
	runs, err := openPair(dirs)
	if err != nil {
		return 0, err
	}
	var perCall []float64 // microseconds of CPU time
	for _, run := range runs {
		used := run.Totals().CPUPerOp
		if used == nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "not calibrated: the CPU time of a process is not known here; calls spin the share that is planted")
			return 1, nil
		}
		perCall = append(perCall, float64(*used))
	}
	if gain, err = gainOf(perCall[0], perCall[1]); err != nil {
		return 0, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(),
		"calibrated: with %v the server's CPU time rose from %.2f to %.2f us/op; shares are divided by %v\n",
		calibrating, perCall[0], perCall[1], gain)
	return gain, nil
}

// recordCalibration records the experiment in a folder of its own, so that nobody takes it for
// one of the self-test's.
func (o *selftestOptions) recordCalibration(cmd *cobra.Command) (dirs []string, remove func(), err error) {
	if remove, err = o.passingFolder(); err != nil {
		return nil, nil, err
	}
	plan := o.record.plan
	o.record.plan.exactly, o.record.plan.Blocks, o.record.plan.maxTime = true, calibrationBlocks, 0
	dirs, err = o.recordOne(cmd, calibrating.String())
	o.record.plan = plan
	if err != nil {
		remove()
	}
	return dirs, remove, err
}

// gainOf is the gain with which the calibrating handicap made a call cost head instead of
// base, to two decimals.
func gainOf(base, head float64) (float64, error) {
	rise := (head/base - 1) * 100
	gain := math.Round(rise/calibrating.CPU*100) / 100
	if err := handicap.CheckGain(gain); err != nil {
		return 0, fmt.Errorf("with %v the server's CPU time rose by %.1f%%: %w; measure longer, or plant alloc= instead",
			calibrating, rise, err)
	}
	return gain, nil
}

// cutGain are what a handicap plants, and the gain that it was given with; 0 if with none.
func cutGain(text string) (planted string, gain float64) {
	h, err := handicap.Parse(text)
	if err != nil {
		return text, 0
	}
	gain, h.Gain = h.Gain, 0
	return h.String(), gain
}
