package server

import (
	"crypto/md5"
	"encoding/binary"
	"strings"
)

// Category is the part of a stream name before its first "-", or all of it.
func Category(stream string) string {
	category, _, _ := strings.Cut(stream, "-")
	return category
}

// CardinalID is the part of a stream name after its first "-" and before the
// next "+", or "" if there is none.
func CardinalID(stream string) string {
	_, id, _ := strings.Cut(stream, "-")
	cardinal, _, _ := strings.Cut(id, "+")
	return cardinal
}

// Group is one member of a consumer group of Size members, counted from 0.
type Group struct{ Member, Size int64 }

// Has reports whether the messages of a stream belong to the member: the first
// eight bytes of the cardinal id's MD5, as a signed number, without sign,
// modulo Size. Streams without a cardinal id belong to no member. It is the
// assignment of Message DB's hash_64 function.
func (g Group) Has(stream string) bool {
	id := CardinalID(stream)
	return id != "" && hash64(id)%uint64(g.Size) == uint64(g.Member)
}

// hash64 is the absolute value of Message DB's 64-bit hash; that of -2^63 is
// 2^63.
func hash64(id string) uint64 {
	sum := md5.Sum([]byte(id))
	h := int64(binary.BigEndian.Uint64(sum[:8]))
	if h < 0 {
		return -uint64(h)
	}
	return uint64(h)
}
