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
func targets(subjects []subject.Exec, kinds []runfolder.ProfileKind) []subject.Target {
	var all []subject.Target
	for _, s := range subjects {
		for _, k := range kinds {
			flag, needed := profilingFlags[k.Name]
			if needed && s.Kind == builtIn {
				s.Command = append(slices.Clone(s.Command), flag)
			}
		}
		all = append(all, s)
	}
	return all
}

// builtIn is the kind of subject that storeSpec makes.
const builtIn = "built-in"

// storeSpec says how to run the built-in event store as a subject. Empty fields
// are the defaults of "eventobench serve".
type storeSpec struct {
	binary    string // the eventobench program to start; this one if empty
	transport string
	codec     string
	sync      string
	batch     string
	handicap  string
	store     string
	protocol  string // of the calls; the server takes both
}

// parseStoreSpec reads "fasthttp", or "fasthttp,codec=std,binary=./old": a
// transport and any of the options codec, sync, batch, handicap, store, binary
// and protocol.
func parseStoreSpec(text string) (storeSpec, error) {
	parts := strings.Split(text, ",")
	s := storeSpec{transport: parts[0]}
	options := map[string]*string{
		"codec": &s.codec, "sync": &s.sync, "batch": &s.batch,
		"handicap": &s.handicap, "store": &s.store, "binary": &s.binary, protocolOption: &s.protocol,
	}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		option := options[name]
		if option == nil || value == "" {
			return s, fmt.Errorf("subject %q: %q is none of codec=, sync=, batch=, handicap=, store=, protocol= and binary=",
				text, part)
		}
		*option = value
	}
	return s, nil
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
	if err := checkProtocol(s.protocol); err != nil {
		return subject.Exec{}, err
	}
	store := cmp.Or(s.store, "sqlite::memory:")
	fresh, scratch, err := freshStore(store)
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
			program, "serve", "--addr=127.0.0.1:0", "--store=" + fresh, "--token=" + benchToken,
			"--log-level=warn", "--transport=" + string(kind),
		},
		Options: map[string]string{"store": store, "transport": string(kind)},
		Ready:   "/health",
		Scratch: scratch,
	}
	options := [][2]string{{"codec", s.codec}, {"sync", s.sync}, {"batch", s.batch}, {"handicap", s.handicap}}
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

// freshStore turns a store that is a file into one of the same name in a
// scratch folder of each process, on the same file system.
func freshStore(store string) (fresh, scratch string, err error) {
	file, err := storePath(store)
	if err != nil || file == sqlite.Memory {
		return store, "", err
	}
	scratch, err = filepath.Abs(filepath.Dir(file))
	return "sqlite:" + filepath.Join(subject.ScratchFolder, filepath.Base(file)), scratch, err
}

// factorOptions are the flags of run: a subject for each combination of values.
type factorOptions struct {
	transports, protocols, codecs, syncs, batches []string
	store                                         string
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
		"whether writes to a file share commits: on or off; several are measured side by side")
	f.StringVar(&o.store, "store", "sqlite::memory:",
		"sqlite::memory:, or sqlite:FILE for fresh files beside FILE, removed after each block")
}

// subjects makes a subject of each combination of transport, protocol, codec, sync
// and batch. A choice that has several values is part of the names, and a subject
// that is asked for again gets a number.
func (o *factorOptions) subjects() ([]subject.Exec, error) {
	var subjects []subject.Exec
	for _, values := range combinations(o.transports, o.protocols, o.codecs, o.syncs, o.batches) {
		spec := storeSpec{
			transport: values[0], protocol: values[1], codec: values[2], sync: values[3], batch: values[4], store: o.store,
		}
		s, err := spec.subject()
		if err != nil {
			return nil, err
		}
		for i, choice := range [][]string{o.protocols, o.codecs, o.syncs, o.batches} {
			if len(choice) > 1 {
				s.Name += "-" + []string{protocolOption, "codec", "sync", "batch"}[i] + "-" + values[i+1]
			}
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		return nil, errors.New("there is nothing to measure; name a transport, protocol, codec, sync and batch")
	}
	numberNames(subjects)
	return subjects, nil
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

// numberNames makes the names of subjects distinct: the second fasthttp is
// fasthttp-2.
func numberNames(subjects []subject.Exec) {
	count := map[string]int{}
	for i := range subjects {
		s := &subjects[i]
		if count[s.Name]++; count[s.Name] > 1 {
			s.Name += "-" + strconv.Itoa(count[s.Name])
		}
	}
}
