package remote

import "testing"

// TestServer holds that an agent leads a recorder to loopback only, unless it may go
// elsewhere.
func TestServer(t *testing.T) {
	for _, tt := range []struct {
		url, pages string
		loopback   bool
	}{
		{"http://127.0.0.1:8080", "", true},
		{"http://127.0.0.1:8080", "http://127.0.0.1:6060/debug/pprof", true},
		{"http://10.0.0.2:8080", "", false},
		{"http://127.0.0.1:8080", "http://10.0.0.2:6060/debug/pprof", false},
	} {
		r := running{URL: tt.url, Pages: tt.pages}
		if _, _, err := r.server(false); (err == nil) != tt.loopback {
			t.Errorf("%+v: %v", tt, err)
		}
		if _, _, err := r.server(true); err != nil {
			t.Errorf("%+v, elsewhere: %v", tt, err)
		}
	}
	for _, bad := range []running{{URL: ""}, {URL: "http://127.0.0.1:8080", Pages: "http://"}} {
		if _, _, err := bad.server(true); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
