package profdiff

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// File is a pprof file of any kind, on its own.
type File struct {
	Path    string
	Profile *profile.Profile
}

// ReadFile reads a pprof file, gzip-compressed or not. One that holds no sample
// is an error, as is whatever else cannot be compared; errors name the file.
func ReadFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("reading a profile: %w", err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return File{}, fmt.Errorf("%s is not a pprof file: %w", path, err)
	}
	if len(p.Sample) == 0 {
		return File{}, fmt.Errorf("%s is a profile without a sample (%s): there is nothing to compare", path,
			typesOf(p))
	}
	for _, s := range p.Sample {
		s.NumLabel = nil // the blocks of a run folder mean nothing to a lone file
	}
	return File{Path: path, Profile: p}, nil
}

// typesOf lists the sample types of a profile, such as "samples/count, cpu/nanoseconds".
func typesOf(p *profile.Profile) string {
	var names []string
	for _, t := range p.SampleType {
		names = append(names, t.Type+"/"+t.Unit)
	}
	return strings.Join(names, ", ")
}

// CommonType is the sample type that two profiles are compared by: the named one
// or, without a name, pprof's default of the base. Both must have it in one unit.
func CommonType(base, head File, name string) (profile.ValueType, error) {
	common := commonTypes(base.Profile, head.Profile)
	if len(common) == 0 {
		return profile.ValueType{}, fmt.Errorf("%s (%s) and %s (%s) are different kinds of profiles "+
			"and cannot be compared",
			base.Path, typesOf(base.Profile), head.Path, typesOf(head.Profile))
	}
	wanted := name
	if name == "" {
		i, err := base.Profile.SampleIndexByName("")
		if err != nil {
			return profile.ValueType{}, fmt.Errorf("%s: %w", base.Path, err)
		}
		wanted = base.Profile.SampleType[i].Type
	}
	i := slices.IndexFunc(common, func(t profile.ValueType) bool { return t.Type == wanted })
	if i < 0 {
		return profile.ValueType{}, fmt.Errorf("%s (%s) and %s (%s) do not both have the sample type %s; name "+
			"one that both have with --sample: %s",
			base.Path, typesOf(base.Profile), head.Path, typesOf(head.Profile), wanted, namesOf(common))
	}
	return common[i], nil
}

func commonTypes(base, head *profile.Profile) []profile.ValueType {
	var common []profile.ValueType
	for _, b := range base.SampleType {
		same := func(h *profile.ValueType) bool { return b.Type == h.Type && b.Unit == h.Unit }
		if slices.ContainsFunc(head.SampleType, same) {
			common = append(common, *b)
		}
	}
	return common
}

func namesOf(types []profile.ValueType) string {
	var names []string
	for _, t := range types {
		names = append(names, t.Type)
	}
	return strings.Join(names, ", ")
}

// FileKind describes values of a sample type as a kind of profile: per operation,
// or as they are, in a unit that suits the largest total. Of the types that run
// folders know it has their title, and their counts where both files have them.
func FileKind(t profile.ValueType, base, head File, perOp bool) (runfolder.ProfileKind, error) {
	k := runfolder.ProfileKind{Name: t.Type, Title: t.Type, Value: t.Type}
	largest := 0.0
	for _, f := range []File{base, head} {
		total, err := totalOf(f, t.Type)
		if err != nil {
			return k, err
		}
		largest = max(largest, total)
	}
	k.Unit, k.Scale = unitOf(t, largest, perOp)
	known, found := kindOfValue(t.Type)
	if !found {
		return k, nil
	}
	k.Title = known.Title
	counted := func(c profile.ValueType) bool { return c.Type == known.Count && known.CountUnit != "" }
	if slices.ContainsFunc(commonTypes(base.Profile, head.Profile), counted) {
		k.Count, k.CountUnit = known.Count, strings.TrimSuffix(known.CountUnit, "/op")+perOperationSuffix(perOp)
	}
	return k, nil
}

// kindOfValue is the kind of profile in run folders that alone has a sample type.
func kindOfValue(sampleType string) (runfolder.ProfileKind, bool) {
	has := func(k runfolder.ProfileKind) bool { return k.Value == sampleType }
	i := slices.IndexFunc(runfolder.Kinds, has)
	if i < 0 || slices.ContainsFunc(runfolder.Kinds[i+1:], has) {
		return runfolder.ProfileKind{}, false
	}
	return runfolder.Kinds[i], true
}

// totalOf is the sum of a sample type's values, by size. That no sample has any
// is an error.
func totalOf(f File, sampleType string) (float64, error) {
	i, err := sampleIndex(f.Profile, sampleType)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path, err)
	}
	total := 0.0
	for _, s := range f.Profile.Sample {
		total += math.Abs(float64(s.Value[i]))
	}
	if total == 0 {
		return 0, fmt.Errorf("%s has no sample with any %s: there is nothing to compare", f.Path, sampleType)
	}
	return total, nil
}

// nanoseconds are those of pprof's units of time.
var nanoseconds = map[string]float64{
	"nanoseconds": 1, "nanosecond": 1, "ns": 1, "microseconds": 1e3, "microsecond": 1e3, "us": 1e3,
	"milliseconds": 1e6, "millisecond": 1e6, "ms": 1e6, "seconds": 1e9, "second": 1e9, "s": 1e9,
}

// unitOf is how values of a pprof unit are shown, and what they are multiplied by
// for that. Times are in us per operation, else in us, ms or s; bytes in B per
// operation, else in B, kB or MB (decimal). What is counted has the name of its
// sample type, and any other unit its own.
func unitOf(t profile.ValueType, largest float64, perOp bool) (unit string, scale float64) {
	suffix := perOperationSuffix(perOp)
	if ns := nanoseconds[t.Unit]; ns > 0 {
		if perOp {
			return "us" + suffix, ns / 1e3
		}
		return suited(largest*ns, ns, []sizedUnit{{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}})
	}
	switch t.Unit {
	case "bytes", "byte", "B":
		if perOp {
			return "B" + suffix, 1
		}
		return suited(largest, 1, []sizedUnit{{"B", 1}, {"kB", 1e3}, {"MB", 1e6}})
	case "count", "":
		return t.Type + suffix, 1
	}
	return t.Unit + suffix, 1
}

func perOperationSuffix(perOp bool) string {
	if perOp {
		return "/op"
	}
	return ""
}

type sizedUnit struct {
	name string
	size float64
}

// suited is the largest unit in which a total has at least two digits before the
// point, and what values are multiplied by for it.
func suited(total, each float64, units []sizedUnit) (unit string, scale float64) {
	chosen := units[0]
	for _, u := range units {
		if total >= 10*u.size {
			chosen = u
		}
	}
	return chosen.name, each / chosen.size
}

// FileFlames are the flame graphs of two files, each divided by its divisor.
func FileFlames(kind runfolder.ProfileKind, base, head File, baseDivisor, headDivisor float64) (Flames, error) {
	files, divisors := []File{base, head}, []float64{baseDivisor, headDivisor}
	b := newFlameBuilder(len(files))
	for _, value := range flameValues(kind) {
		err := b.graph(value, func(column int) (*profile.Profile, float64, error) {
			return files[column].Profile, divisors[column], nil
		})
		if err != nil {
			return Flames{}, err
		}
	}
	return b.Flames, nil
}

// AttributeFile attributes the samples of a file and divides them by divisor,
// which is above 0. Own code is that of package main.
func AttributeFile(f File, kind runfolder.ProfileKind, divisor float64, o Options) (*Attribution, error) {
	if o.Groups == nil {
		o.Groups = DefaultGroups()
	}
	o.Groups = o.Groups.of("")
	a, err := Attribute(f.Profile, kind, []float64{divisor}, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return a, nil
}
