package server

import (
	"net"
	"testing"
)

func TestNetworks(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::1:2:3": "2001:db8::/64",
	} {
		if got := network(&net.TCPAddr{IP: net.ParseIP(ip), Port: 1}).String(); got != want {
			t.Errorf("%s counts as %s, want %s", ip, got, want)
		}
	}
	if got := network(nil); got.IsValid() {
		t.Errorf("no address counts as %s", got)
	}
}

func TestFailures(t *testing.T) {
	f := newFailures(1)
	from := &net.TCPAddr{IP: net.ParseIP("192.0.2.1")}
	if wait := f.wait(from); wait != 0 {
		t.Errorf("before the first failure: wait %v", wait)
	}
	for range failureBurst {
		f.add(from)
	}
	if wait := f.wait(from); wait <= 0 || wait > f.interval {
		t.Errorf("after the burst: wait %v", wait)
	}
}
