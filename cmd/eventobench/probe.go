package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/valyala/fasthttp"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/subject"
)

func (o *recordOptions) addProbe(f *pflag.FlagSet) {
	f.BoolVar(&o.probe, "probe", false,
		"before the first block, measure what holds the throughput: with twice the workers, and by a server that does nothing")
}

// probing is the probe that was asked for, or nil.
func (o *recordOptions) probing(t traffic) (*profiles.Probing, error) {
	if !o.probe {
		return nil, nil
	}
	if t.load.Open() {
		return nil, errors.New("--probe looks for what holds a closed loop; under a rate, that does")
	}
	if o.agents.subjectAgent != "" {
		return nil, errors.New("--probe starts a server that does nothing on this machine; " +
			"with --subject-agent it would tell of another network")
	}
	more, unchecked := t, t
	more.load.Workers *= 2
	unchecked.load.Unchecked = true
	p := &profiles.Probing{Workers: more.load.Workers, More: o.agents.drive(more)}
	if !o.agents.allHere() {
		p.NoNull = "agents on other machines do not reach a server that does nothing"
		return p, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program to start a server with that does nothing: %w", err)
	}
	null := subject.Exec{Name: "null", Command: []string{program, "null"}}
	if t.load.Protocol == loadgen.ProtocolH2 {
		null.Command = append(null.Command, "--h2")
	}
	p.Null, p.Ceiling = null, o.agents.drive(unchecked)
	return p, nil
}

// newNullCmd is the server that does nothing, which probes start.
func newNullCmd() *cobra.Command {
	var h2 bool
	cmd := &cobra.Command{
		Use:     "null",
		Short:   "Answer every request with nothing",
		Long:    "Null is the server that --probe measures the load generator with.",
		Example: "  eventobench null",
		Args:    cobra.NoArgs,
		Hidden:  true, // a recorder starts it
		RunE: func(cmd *cobra.Command, _ []string) error {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "listening on http://%s\n", listener.Addr())
			go func() {
				<-cmd.Context().Done()
				_ = listener.Close()
			}()
			if err := serveNull(listener, h2); cmd.Context().Err() == nil {
				return err
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&h2, "h2", false, "speak HTTP/2 without TLS")
	return cmd
}

// serveNull is as lean as a server in Go is: its cost is what no server can save.
func serveNull(listener net.Listener, h2 bool) error {
	if !h2 {
		server := fasthttp.Server{
			Handler: func(*fasthttp.RequestCtx) {}, NoDefaultDate: true, NoDefaultServerHeader: true, NoDefaultContentType: true,
		}
		return server.Serve(listener)
	}
	server := http.Server{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Protocols: new(http.Protocols),
	}
	server.Protocols.SetUnencryptedHTTP2(true)
	return server.Serve(listener)
}
