package texttab

import "testing"

func TestCountIs(t *testing.T) {
	for n, want := range map[int]string{0: "0 blocks are", 1: "1 block is", 2: "2 blocks are"} {
		if got := CountIs(n, "block"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
