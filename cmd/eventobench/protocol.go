package main

import (
	"fmt"
	"net/url"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// protocolOption is the option of a subject that names the protocol it is loaded
// in. The server takes both: the option is for the generator alone.
const protocolOption = "protocol"

// checkProtocol returns an error unless a protocol is known. None is JSON.
func checkProtocol(name string) error {
	switch loadgen.Protocol(name) {
	case "", loadgen.JSON, loadgen.Protobuf:
		return nil
	}
	return fmt.Errorf("unknown protocol %q; use %s or %s", name, loadgen.JSON, loadgen.Protobuf)
}

// drive is profiles.Drive, but that each built-in store is spoken to in the
// protocol that its options name. The calls are the same in all.
func drive(t traffic) func(s runfolder.SubjectInfo, server *url.URL, seed uint64) profiles.Generator {
	return func(s runfolder.SubjectInfo, server *url.URL, seed uint64) profiles.Generator {
		return loadgen.NewDriver(server, inProtocol(t.workload, s.Options[protocolOption]), t.load, t.connect, seed)
	}
}

// checkWorkload returns an error if a subject is to be spoken to in a protocol
// that the workload does not know.
func checkWorkload(w loadgen.Workload, subjects []subject.Target) error {
	if _, ok := w.(loadgen.EventMix); ok {
		return nil
	}
	for _, t := range subjects {
		s, started := t.(subject.Exec)
		if started && s.Options[protocolOption] == string(loadgen.Protobuf) {
			return fmt.Errorf("subject %s: a workload of your own says itself what it sends; "+
				"leave out the protocol", s.Name)
		}
	}
	return nil
}

func inProtocol(w loadgen.Workload, protocol string) loadgen.Workload {
	mix, ok := w.(loadgen.EventMix)
	if !ok {
		return w
	}
	mix.Protocol = loadgen.Protocol(protocol)
	return mix
}
