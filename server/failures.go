package server

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// defaultFailures is how many tokens a second from one address may be wrong.
const defaultFailures = 10

// failureBurst is how many seconds' worth of wrong tokens may come at once.
const failureBurst = 10

// failures limits the tokens from an address that are not good, by the generic
// cell rate algorithm (ITU-T I.371): of each address it keeps the time at which
// what it did is forgiven. Addresses share a table of fixed size, at places that
// nobody outside can foretell, so that no number of them takes more memory.
type failures struct {
	begin    time.Time
	interval time.Duration // in which one failure is forgiven
	seed     maphash.Seed
	forgiven [1 << 12]atomic.Int64 // nanoseconds since begin
}

func newFailures(perSecond int) *failures {
	return &failures{begin: time.Now(), interval: time.Second / time.Duration(perSecond), seed: maphash.MakeSeed()}
}

// wait is how long an address must wait before it may fail again; 0 if it may now.
func (f *failures) wait(from net.Addr) time.Duration {
	debt := time.Duration(f.place(from).Load()) - time.Since(f.begin)
	return max(0, debt+f.interval-failureBurst*time.Second)
}

// add counts a failure.
func (f *failures) add(from net.Addr) {
	place := f.place(from)
	for {
		old := place.Load()
		next := max(old, int64(time.Since(f.begin))) + int64(f.interval)
		if place.CompareAndSwap(old, next) {
			return
		}
	}
}

func (f *failures) place(from net.Addr) *atomic.Int64 {
	return &f.forgiven[maphash.Comparable(f.seed, network(from))%uint64(len(f.forgiven))]
}

// network is what counts as one address: an IPv4 address, or the /64 of an IPv6
// address, which one customer has whole.
func network(from net.Addr) netip.Prefix {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap()
	bits := min(addr.BitLen(), 64)
	prefix, _ := addr.WithZone("").Prefix(bits) // fails only with more bits than there are
	return prefix
}
