package perf

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	bytes := func(words ...uint64) (b []byte) {
		for _, w := range words {
			b = binary.NativeEndian.AppendUint64(b, w)
		}
		return b
	}
	for _, tt := range []struct {
		read []byte
		want int64
		err  string
	}{
		{bytes(1000, 50, 50), 1000, ""},
		{bytes(1000, 90, 30), 3000, ""},
		{bytes(0, 0, 0), 0, ""},
		{bytes(0, 90, 0), 0, "others use all hardware counters"},
		{bytes(1000), 0, "gave 8 bytes, not 24"},
		{nil, 0, "gave 0 bytes"},
	} {
		r, err := decode(tt.read)
		var got int64
		if err == nil {
			got, err = r.estimate()
		}
		if got != tt.want || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%v: %d, %v, want %d, %q", tt.read, got, err, tt.want, tt.err)
		}
	}
}
