package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/server/handicap"
	"github.com/eventobench/eventobench/server/sqlite"
	"github.com/eventobench/eventobench/server/transport"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// benchToken is the default namespace's token while the built-in store is
// measured: clients authenticate, so what that costs is part of the figures.
// The store it opens lives on loopback for the time of a block.
const benchToken = "ns_ZGVmYXVsdA_" + "e7e27b0be27b0bec0de0123456789abcdeffedcba9876543210edceb0b72eb7e"

// storeWorkload is what the built-in store is loaded with.
func storeWorkload() loadgen.Workload {
	return loadgen.EventMix{Token: benchToken, Streams: loadgen.DefaultStreams}
}

// profilingFlags make "eventobench serve" sample what it does not sample by
// itself: every tenth wait for a lock, and one wait per 10 us of waiting. Other
// subjects set that themselves.
var profilingFlags = map[string]string{
	"mutex": "--mutex-profile-fraction=10",
	"block": "--block-profile-rate=10000",
}

// targets are the subjects, set to give the kinds of profiles.
func targets(subjects []subject.Target, kinds []runfolder.ProfileKind) []subject.Target {
	var all []subject.Target
	for _, t := range subjects {
		if s, ok := t.(subject.Exec); ok && isStore(s) {
			t = withProfiling(s, kinds)
		}
		all = append(all, t)
	}
	return all
}

func withProfiling(s subject.Exec, kinds []runfolder.ProfileKind) subject.Exec {
	s.Command = slices.Clone(s.Command)
	for _, k := range kinds {
		if flag, needed := profilingFlags[k.Name]; needed {
			s.Command = append(s.Command, flag)
		}
	}
	return s
}

// memoryStore is the store that leaves nothing behind.
const memoryStore = "sqlite:" + sqlite.Memory

// builtIn is the kind of subject that storeSpec makes.
const builtIn = "built-in"

// isStore reports whether a subject is our store, of this build or another.
func isStore(s subject.Exec) bool { return s.Options["transport"] != "" }

// storeSpec says how to run the built-in event store as a subject. Empty fields
// are the defaults of "eventobench serve".
type storeSpec struct {
	binary    string // the eventobench program to start; this one if empty
	transport string
	codec     string
	sync      string
	batch     string
	pool      string
	handicap  string
	store     string
	protocol  string // of the calls; the server takes both
}

// parseStoreSpec reads "fasthttp", or "fasthttp,codec=std,binary=./old", or
// "transport=fasthttp,codec=std".
func parseStoreSpec(text string) (storeSpec, error) {
	var s storeSpec
	for n, part := range strings.Split(text, ",") {
		name, value, named := strings.Cut(part, "=")
		if n == 0 && !named {
			name, value = "transport", part
		}
		if err := s.set(name, value); err != nil {
			return s, fmt.Errorf("subject %q: %w", text, err)
		}
	}
	return s, nil
}

// set sets an option.
func (s *storeSpec) set(name, value string) error {
	option := map[string]*string{
		"transport": &s.transport, "codec": &s.codec, "sync": &s.sync, "batch": &s.batch, "pool": &s.pool,
		"handicap": &s.handicap, "store": &s.store, "binary": &s.binary, protocolOption: &s.protocol,
	}[name]
	if option == nil || value == "" {
		return fmt.Errorf("%q is none of transport=, protocol=, codec=, sync=, batch=, pool=, handicap=, "+
			"store= and binary=", name+"="+value)
	}
	*option = value
	return nil
}

// subject makes the subject that starts the store.
func (s storeSpec) subject() (subject.Exec, error) {
	kind, err := transport.Parse(s.transport)
	if err != nil {
		return subject.Exec{}, err
	}
	if _, err := handicap.Parse(s.handicap); err != nil {
		return subject.Exec{}, err
	}
	if s.binary == "" && s.codec != "" && !slices.Contains(codecNames(), s.codec) {
		return subject.Exec{}, fmt.Errorf("unknown codec %q; use %s", s.codec, strings.Join(codecNames(), ", "))
	}
	if err := checkProtocol(s.protocol); err != nil {
		return subject.Exec{}, err
	}
	store := cmp.Or(s.store, memoryStore)
	fresh, scratch, err := freshStore(store)
	if err == nil {
		err = s.checkStore(store)
	}
	if err != nil {
		return subject.Exec{}, err
	}
	program := s.binary
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return subject.Exec{}, fmt.Errorf("finding the program to start subjects with: %w", err)
		}
	}
	subject := subject.Exec{
		Name: string(kind),
		Kind: builtIn,
		Command: []string{
			program, "serve", "--addr=" + subject.ChosenHost + ":0", "--store=" + fresh, "--token=" + benchToken,
			"--log-level=warn", "--transport=" + string(kind),
		},
		Options:  map[string]string{"store": storeName(store), "transport": string(kind)},
		Ready:    "/health",
		Scratch:  scratch,
		Database: database(store),
	}
	options := [][2]string{
		{"codec", s.codec}, {"sync", s.sync}, {"batch", s.batch}, {"pool", s.pool}, {"handicap", s.handicap},
	}
	for _, option := range options {
		if name, value := option[0], option[1]; value != "" {
			subject.Command = append(subject.Command, "--"+name+"="+value)
			subject.Options[name] = value
		}
	}
	if s.protocol != "" {
		subject.Options[protocolOption] = s.protocol
	}
	return subject, nil
}

// checkStore returns an error if the store has no use for an option.
func (s storeSpec) checkStore(store string) error {
	pool, err := strconv.Atoi(cmp.Or(s.pool, "0"))
	if err != nil || pool < 0 {
		return fmt.Errorf("pool %q is not a number of connections", s.pool)
	}
	if database(store) != nil {
		return checkPostgresSync(s.sync)
	}
	return checkMemoryPool(strings.TrimPrefix(store, "sqlite:"), pool)
}

// freshStore turns a store that is a file into one of the same name in a
// scratch folder of each process, on the same file system, and one in PostgreSQL
// into a database of each process.
func freshStore(store string) (fresh, scratch string, err error) {
	if database(store) != nil {
		return subject.FreshDatabase, "", nil
	}
	file, err := storePath(store)
	if err != nil {
		return "", "", fmt.Errorf("%w, or %s", err, throwaway)
	}
	if file == sqlite.Memory {
		return store, "", nil
	}
	scratch, err = filepath.Abs(filepath.Dir(file))
	return "sqlite:" + filepath.Join(subject.ScratchFolder, filepath.Base(file)), scratch, err
}

// factorOptions are the flags of run: a subject for each combination of values.
type factorOptions struct {
	transports, protocols, codecs, syncs, batches, pools, stores []string
}

func (o *factorOptions) addFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.transports, "transport", []string{"nethttp"},
		"transport to measure, one subject each: nethttp, fasthttp or fasthttp-adapter; one named twice shows the noise")
	f.StringSliceVar(&o.protocols, protocolOption, []string{string(loadgen.JSON)},
		"protocol of the calls: json or protobuf; several are measured side by side")
	f.StringSliceVar(&o.codecs, "codec", []string{"raw"},
		"codec of the store: raw, std, jsonv2 or segmentio; several are measured side by side")
	f.StringSliceVar(&o.syncs, "sync", []string{"full"},
		"when a store in a file waits for the disk: full, normal or off; several are measured side by side")
	f.StringSliceVar(&o.batches, "batch", []string{"on"},
		"whether writes to a file or PostgreSQL share commits: on or off; several are measured side by side")
	f.StringSliceVar(&o.pools, "pool", []string{"0"},
		"connections to PostgreSQL, or that read a file; 0 for one per CPU, at least 4; several are measured side by side")
	f.StringSliceVar(&o.stores, "store", []string{"sqlite::memory:"},
		"sqlite::memory:; sqlite:FILE for fresh files beside FILE; postgres for a server that lives as long as the run, or "+
			"postgres:DIR for one with its data in DIR; postgres://USER@HOST/DATABASE for fresh databases on yours")
}

// factorFlags are the flags that addFlags adds, in the order of the choices of subjects.
var factorFlags = []string{"transport", "protocol", "codec", "sync", "batch", "pool", "store"}

// subjects makes a subject of each combination of transport, protocol, codec, sync,
// batch, pool and store. A choice that has several values is part of the names.
func (o *factorOptions) subjects() ([]subject.Exec, error) {
	var subjects []subject.Exec
	choices := [][]string{o.transports, o.protocols, o.codecs, o.syncs, o.batches, o.pools, o.stores}
	for _, values := range combinations(choices...) {
		spec := storeSpec{
			transport: values[0], protocol: values[1], codec: values[2], sync: values[3], batch: values[4],
			pool: values[5], store: values[6],
		}
		s, err := spec.subject()
		if err != nil {
			return nil, err
		}
		values[6] = shortStore(values[6])
		for i, choice := range choices {
			if i > 0 && len(choice) > 1 { // the transport is the name already
				s.Name += "-" + factorFlags[i] + "-" + values[i]
			}
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		return nil, errors.New("there is nothing to measure; name a transport, protocol, codec, sync, batch, pool and store")
	}
	return subjects, nil
}

// shortStore is a store as part of a name.
func shortStore(store string) string {
	switch {
	case database(store) != nil:
		return "postgres"
	case store == memoryStore:
		return "memory"
	}
	return "file"
}

// combinations returns all choices of one value from each list, the last list
// changing fastest.
func combinations(lists ...[]string) [][]string {
	all := [][]string{{}}
	for _, values := range lists {
		var longer [][]string
		for _, chosen := range all {
			for _, value := range values {
				longer = append(longer, append(slices.Clone(chosen), value))
			}
		}
		all = longer
	}
	return all
}

func execNames(subjects []subject.Exec) (names []string) {
	for _, s := range subjects {
		names = append(names, s.Name)
	}
	return names
}

// distinct makes names distinct: the second fasthttp is fasthttp-2.
func distinct(names []string) []string {
	count := map[string]int{}
	var all []string
	for _, name := range names {
		if count[name]++; count[name] > 1 {
			name += "-" + strconv.Itoa(count[name])
		}
		all = append(all, name)
	}
	return all
}
