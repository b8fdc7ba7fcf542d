package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Allow is what an agent may load.
type Allow struct {
	nets  []netip.Prefix // any port of these
	hosts []string       // HOST:PORT, in lower case
}

// Loopback is what an agent may load if nobody says anything else.
var Loopback = []string{"127.0.0.0/8", "::1/128"}

// ParseAllow reads what may be loaded: HOST:PORT, an IP address or a CIDR.
func ParseAllow(texts []string) (a Allow, err error) {
	for _, text := range texts {
		if err := a.add(text); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *Allow) add(text string) error {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		a.nets = append(a.nets, prefix.Masked())
		return nil
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		a.nets = append(a.nets, netip.PrefixFrom(ip, ip.BitLen()))
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("%q: use HOST:PORT, an IP address, or a CIDR such as 10.0.0.0/8", text)
	}
	a.hosts = append(a.hosts, strings.ToLower(text))
	return nil
}

// String lists what may be loaded.
func (a Allow) String() string {
	var all []string
	for _, n := range a.nets {
		all = append(all, n.String())
	}
	return strings.Join(slices.Concat(all, a.hosts), ", ")
}

// address refuses an IP and port that may not be loaded.
func (a Allow) address(address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	ip := target.Addr().Unmap().WithZone("")
	inside := func(n netip.Prefix) bool { return n.Contains(ip) }
	if slices.ContainsFunc(a.nets, inside) || slices.Contains(a.hosts, address) {
		return nil
	}
	return fmt.Errorf("%s is not among what the agent may load (--allow): %s", address, a)
}

// connect is how the server at a URL is connected to, if it may be loaded: a host
// that is named may have any address; of others each address counts, when it is known
// and whenever a connection is made.
func (a Allow) connect(ctx context.Context, server *url.URL) (loadgen.Connect, error) {
	port := cmp.Or(server.Port(), map[string]string{"http": "80", "https": "443"}[server.Scheme])
	if port == "" || server.Hostname() == "" {
		return loadgen.Connect{}, fmt.Errorf("%s is not the URL of a server", server)
	}
	if slices.Contains(a.hosts, strings.ToLower(net.JoinHostPort(server.Hostname(), port))) {
		return loadgen.Connect{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupHost(ctx, server.Hostname())
	for _, ip := range ips {
		err = errors.Join(err, a.address(net.JoinHostPort(ip, port)))
	}
	return loadgen.Connect{Allow: a.address}, err
}
