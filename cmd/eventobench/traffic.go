package main

import (
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles/subject"
)

// traffic is what is sent to subjects, and how.
type traffic struct {
	workload loadgen.Workload
	load     loadgen.Load
	connect  loadgen.Connect
	trust    agent.Trust // of agents; that of connect is made of it
}

// reach completes the traffic with how it gets to the subjects, or says why it cannot.
func (t *traffic) reach(subjects []subject.Target, c *connectOptions, a *agentsOptions) (err error) {
	if err := checkWorkload(t.workload, subjects); err != nil {
		return err
	}
	if err := a.validate(t.load.Workers); err != nil {
		return err
	}
	if err := a.checkSubjects(subjects); err != nil {
		return err
	}
	if t.trust, err = c.trust(); err != nil {
		return err
	}
	t.connect.TLS, err = t.trust.Config()
	return err
}
