package runfolder

import (
	"strings"
	"testing"
)

// TestDamagedCapacity holds that a file that cannot be fitted is refused, and not taken for
// one that can.
func TestDamagedCapacity(t *testing.T) {
	const trial = `{"rate_per_s":100,"counts":true,"met":true,"start_ns":0,"duration_ns":1,"answered":1,"failed":0,"missed":0,
		"over":[],"over_sent":[]}`
	file := func(blocks string) string {
		return `{"format":"` + capacityFormat + `","schema":1,"subjects":[{"subject":{"name":"a"},"blocks":[` + blocks + `]}]}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"sound", file(`{"trials":[` + trial + `]}`), ""},
		{"no subject", strings.Replace(file(""), `"subjects"`, `"others"`, 1), "damaged"},
		{"no trial", file(`{"trials":[]}`), "without a trial that counts"},
		{"none that counts", file(`{"trials":[` + strings.Replace(trial, `"counts":true`, `"counts":false`, 1) + `]}`),
			"without a trial that counts"},
		{"no rate", file(`{"trials":[` + strings.Replace(trial, "100", "0", 1) + `]}`), "a trial of a"},
	} {
		_, err := decodeCapacity([]byte(tt.text))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
