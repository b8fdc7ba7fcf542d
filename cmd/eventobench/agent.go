package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles/remote"
)

// loginOptions are the flags that say where NATS is.
type loginOptions struct{ agent.Login }

// tokenVariable holds the token for NATS, which no list of processes shall show.
const tokenVariable = "EVENTOBENCH_NATS_TOKEN"

func (o *loginOptions) addFlags(f *pflag.FlagSet, usage string) {
	f.StringVar(&o.URL, "nats", "", usage)
	f.StringVar(&o.Token, "nats-token", "", "token for NATS; default $"+tokenVariable)
	f.StringVar(&o.Creds, "nats-creds", "", "file of credentials for NATS, or of the seed of an nkey")
	f.StringVar(&o.CA, "nats-ca", "", "file of PEM certificates: the authorities that NATS with TLS is verified by")
}

// login is what the flags and the environment say.
func (o *loginOptions) login() agent.Login {
	l := o.Login
	if l.Token == "" {
		l.Token = os.Getenv(tokenVariable)
	}
	return l
}

type agentOptions struct {
	login          loginOptions
	name           string
	allow          []string
	maxRate        float64
	maxConnections int
	maxTime        time.Duration
	withParent     bool
	host           hostOptions
}

func newAgentCmd() *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Make load for a recorder on this or another machine, or start its subjects",
		Long: `Agent serves load: a recorder ("run --agents", "gate --agents") finds it over NATS
and has it make a part of the load. It keeps its own bounds whatever a recorder says:
it loads only what --allow names, with at most so many connections and requests per
second, and for at most --max-time. It ends what it does within two seconds after its
recorder fell silent, and waits for the next one; when NATS is gone it waits for that,
too. It writes nothing to disk.

With --subjects it makes no load, but starts and measures the servers of a recorder
("run", "gate" and "capacity" with --subject-agent): the built-in store, and beyond that
only what its own flags allow. They end with the recorder, and with the agent.
docs/agents.md has more.

Exit codes: 0 ended by Ctrl-C or SIGTERM; 2 bad input.`,
		Example: `  # on the second machine, with the line that "run --agents" prints on the first
  EVENTOBENCH_NATS_TOKEN=… eventobench agent --nats=nats://10.0.0.1:4222 --allow=10.0.0.1

  # for good, at a NATS of your own
  eventobench agent --nats=tls://nats.example:4222 --nats-creds=agent.creds --allow=10.1.0.0/16 --max-rate=20000

  # on the machine where the servers shall run: the built-in store, and one of your own
  eventobench agent --name=box --subjects --subject-host=10.0.0.2 --allow-exec=/opt/shop/server --nats=nats://10.0.0.1:4222`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.ErrOrStderr()) },
	}
	o.addFlags(cmd.Flags())
	for _, ofLoad := range []string{"allow", "max-rate", "max-connections"} {
		cmd.MarkFlagsMutuallyExclusive("subjects", ofLoad)
	}
	return cmd
}

func (o *agentOptions) addFlags(f *pflag.FlagSet) {
	o.login.addFlags(f, "URL of the NATS server to be found at, such as nats://10.0.0.1:4222")
	f.StringVar(&o.name, "name", "", "name in reports; default the host's")
	f.StringSliceVar(&o.allow, "allow", agent.Loopback,
		"what may be loaded: HOST:PORT, an IP address or a CIDR; repeatable")
	f.Float64Var(&o.maxRate, "max-rate", 100_000, "requests per second, at most")
	f.IntVar(&o.maxConnections, "max-connections", 1000, "connections at a time, at most")
	f.DurationVar(&o.maxTime, "max-time", time.Hour, "time for which one recorder is served, at most")
	o.host.addFlags(f)
	f.BoolVar(&o.withParent, "with-parent", false, "end when stdin is closed")
	_ = f.MarkHidden("with-parent") // it exists
}

func (o *agentOptions) run(ctx context.Context, log io.Writer) error {
	options, err := o.options(log)
	if err != nil {
		return err
	}
	if o.withParent {
		ctx = untilClosed(ctx, os.Stdin)
	}
	nc, err := o.login.login().Connect("eventobench agent "+options.Name, true, options.Log)
	if err != nil {
		return err
	}
	defer nc.Close()
	if options.Host != nil {
		options.Log(fmt.Sprintf("starts subjects at %s: %s; for at most %v", o.login.URL, options.Offers, options.MaxTime))
	} else {
		options.Log(fmt.Sprintf("serves load at %s: to %s; at most %.0f requests per second, %d connections, %v",
			o.login.URL, options.Allow, options.MaxRate, options.MaxConnections, options.MaxTime))
	}
	return agent.Serve(ctx, nc, options)
}

// options are what the flags ask for.
func (o *agentOptions) options(log io.Writer) (agent.Options, error) {
	allow, err := agent.ParseAllow(o.allow)
	policy, bad := o.host.policy()
	switch {
	case bad != nil:
		err = bad
	case o.login.URL == "":
		err = fmt.Errorf("an agent needs --nats, the server at which recorders find it")
	case err != nil:
		err = fmt.Errorf("--allow: %w", err)
	case !(o.maxRate > 0 && o.maxRate <= loadgen.MaxRate) || o.maxConnections < 1 || o.maxTime <= 0:
		err = fmt.Errorf("--max-rate (up to %.0f), --max-connections and --max-time must be above 0", loadgen.MaxRate)
	case o.name == "":
		o.name, err = os.Hostname()
	}
	options := agent.Options{
		Name: o.name, Version: version(), Allow: allow,
		MaxRate: o.maxRate, MaxConnections: o.maxConnections, MaxTime: o.maxTime,
		Log: func(text string) { fmt.Fprintf(log, "agent %s: %s\n", o.name, text) },
	}
	if o.host.on {
		options.Offers = policy.String()
		options.Host = func() agent.Host { return remote.NewHost(policy) }
	}
	return options, err
}

// untilClosed ends a context when nobody holds the other end of a pipe any more.
func untilClosed(ctx context.Context, pipe io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		cancel()
	}()
	return ctx
}
