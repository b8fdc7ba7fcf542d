# What is planted into a server to have it do more work: for docs/layout.sh and
# docs/instructions.sh, which read this file.

package_of() { sed -n 's/^package \([a-z]*\).*/\1/p' "$1"/*.go | head -1; }

# plant DIR FILE METHOD TURNS: a method of a package begins with a hash of so many turns.
plant() {
  sed -i "0,/^func .*) $3(.*{\$/s||&\n\tplanted($4)|" "$1/$2"
  cat >"$1/zz_planted.go" <<GO
package $(package_of "$1")

import "sync/atomic"

var plantedSum atomic.Uint64

//go:noinline
func planted(turns int) {
	hash := uint64(14695981039346656037)
	for i := range turns {
		hash = (hash ^ uint64(i&255)) * 1099511628211
	}
	plantedSum.Store(hash)
}
GO
}
