package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// capacityPrefix begins the metric of a gate on capacity, and its limits follow.
const capacityPrefix = string(compare.CapacityRate) + "@"

func isCapacity(metric string) bool { return strings.HasPrefix(metric, string(compare.CapacityRate)) }

// parseCapacity reads a metric such as capacity@p99=5ms,errors=0.1%, behind which a
// tolerance may stand: capacity@p99=5ms=10%.
func parseCapacity(text string) (limits runfolder.Limits, tolerance string, err error) {
	list, found := strings.CutPrefix(text, capacityPrefix)
	o := limitOptions{errors: "0%"}
	for part := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(part, "=")
		value, more, _ := strings.Cut(value, "=")
		if more != "" {
			found, tolerance = found && tolerance == "", more
		}
		switch name {
		case "p99":
			o.p99, err = time.ParseDuration(value)
		case "p999":
			o.p999, err = time.ParseDuration(value)
		case "errors":
			o.errors = value
		default:
			found = false
		}
		if !found || err != nil {
			return limits, "", fmt.Errorf("metric %q: write capacity@ and the limits p99, p999 and errors, "+
				"such as capacity@p99=5ms or capacity@p99=5ms,errors=0.1%%", text)
		}
	}
	limits, err = o.limits()
	return limits, tolerance, err
}

// takeCapacity takes the capacity out of the metrics to gate: those of flags or, if these
// name none, of the configuration. The limits are nil if it is not among them.
func (o *gateOptions) takeCapacity(config *gateConfig) (*runfolder.Limits, string, error) {
	metrics := o.metrics
	if len(metrics) == 0 && o.metricSet == "" {
		for _, name := range slices.Sorted(maps.Keys(config.Metrics)) {
			metrics = append(metrics, strings.TrimSuffix(name+"="+config.Metrics[name], "="))
		}
	}
	i := slices.IndexFunc(metrics, isCapacity)
	if i < 0 { // by flags, which may gate something else than the configuration
		maps.DeleteFunc(config.Metrics, func(name, _ string) bool { return isCapacity(name) })
		return nil, "", nil
	}
	if len(metrics) > 1 || o.metricSet != "" {
		return nil, "", fmt.Errorf(
			"%s is what a search finds, not a run: gate it alone, and other metrics by a gate of their own",
			metrics[i])
	}
	limits, tolerance, err := parseCapacity(metrics[i])
	o.metrics, config.Metrics = nil, nil
	return &limits, tolerance, err
}

// checkSearchFlags is an error if flags were given that mean nothing to what is gated: a
// search, or runs.
func (o *gateOptions) checkSearchFlags(f *pflag.FlagSet, search bool) error {
	if !search && f.Changed(maxRateFlag) {
		return fmt.Errorf("--%s is for a gate on capacity; give --metric=capacity@p99=5ms or the like", maxRateFlag)
	}
	if !search {
		return nil
	}
	isOfRuns := flagsOfRuns()
	for _, given := range givenFlags(f) {
		if isOfRuns(given.name) {
			return fmt.Errorf("--%s is for run folders; a gate on capacity searches (docs/capacity.md)", given.name)
		}
	}
	return nil
}

// gateRunFlags are the gate's own flags that are about run folders.
var gateRunFlags = []string{"layouts", "null-control", "probe", "baseline", "update-baseline"}

// search are the options that the gate's flags of the same names say.
func (o *gateOptions) search(f *pflag.FlagSet) (*searchOptions, error) {
	var s searchOptions
	own := s.flags()
	for _, given := range givenFlags(f) {
		for _, value := range given.values {
			if own.Lookup(given.name) == nil {
				continue
			}
			if err := own.Set(given.name, value); err != nil {
				return nil, err
			}
		}
	}
	s.agents.flags = f
	return &s, nil
}

// gateCapacity gates the ratio of two capacities: of a search that is recorded now, or of
// the file of an earlier one.
func (o *gateOptions) gateCapacity(cmd *cobra.Command, args []string, in gateInput, given []givenFlag) error {
	path, again, err := o.capacityFile(cmd, args, in, given)
	if err != nil {
		return err
	}
	report, err := capacityReport(path, in.options.Criteria)
	if err != nil {
		return err
	}
	switch {
	case len(report.Subjects) != 2:
		return fmt.Errorf("capacity file %s: a gate judges two subjects, not %d", path, len(report.Subjects))
	case !report.Limits.Equal(*in.capacity):
		return fmt.Errorf("capacity file %s was searched for %s, not for %s", path, report.Limits, in.capacity)
	}
	found := outcome{Gate: compare.NewCapacityGate(report, in.options)}
	found.Again, found.records = again, []history.Record{history.FromCapacity(found.Gate)}
	found.page = func(w io.Writer) error { return render.Capacity(w, report, reportFormat) }
	if err := o.result.write(cmd, found); err != nil {
		return err
	}
	return verdictError(found.Gate, in.inconclusive)
}

// capacityFile is the file to judge, recorded first if need be, and the command that
// records it again if the programs were kept.
func (o *gateOptions) capacityFile(
	cmd *cobra.Command, args []string, in gateInput, given []givenFlag,
) (path, again string, err error) {
	recorded := o.base != "" || o.head != ""
	switch {
	case o.result.programs != "" && (o.base == "" || o.head == ""):
		return "", "", errProgramsOfBoth
	case len(args) == 1 && !recorded:
		return args[0], "", checkUseless(given, "on what is recorded already", func(name string) bool { return name != maxRateFlag })
	case len(args) > 0 || o.base == "" || o.head == "":
		return "", "", errors.New(
			"a gate on capacity judges two subjects, --base and --head, or the one file of an earlier search")
	}
	subjects, again, err := o.targets(cmd, given, o.base, o.head)
	if err != nil {
		return "", "", err
	}
	search, err := o.search(cmd.Flags())
	if err != nil {
		return "", "", err
	}
	path, err = search.record(cmd, subjects, *in.capacity, false)
	return path, again, err
}
