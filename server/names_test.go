package server

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	tests := []struct{ stream, category, cardinal string }{
		{"account-123", "account", "123"},
		{"account-123+retry", "account", "123"},
		{"user-profile-42", "user", "profile-42"},
		{"account", "account", ""},
		{"account-", "account", ""},
		{"-7", "", "7"},
		{"ord:command-7", "ord:command", "7"},
		{"account-+x", "account", ""},
	}
	for _, tt := range tests {
		if got := Category(tt.stream); got != tt.category {
			t.Errorf("category of %q is %q, want %q", tt.stream, got, tt.category)
		}
		if got := CardinalID(tt.stream); got != tt.cardinal {
			t.Errorf("cardinal id of %q is %q, want %q", tt.stream, got, tt.cardinal)
		}
	}
}

// TestGroups holds the assignment against Message DB's, for groups of 2, 3, 4.
func TestGroups(t *testing.T) {
	tests := []struct {
		id   string
		hash uint64
		mod  [3]int64
	}{
		{"123", 2318431741638412123, [3]int64{1, 1, 3}},
		{"456", 2669782135874207551, [3]int64{1, 1, 3}},
		{"1", 4266524885998034046, [3]int64{0, 0, 2}},
		{"2", 4026655064267673757, [3]int64{1, 1, 1}},
		{"3", 1383792015730482434, [3]int64{0, 2, 2}},
		{"4", 6305049951010035939, [3]int64{1, 0, 3}},
		{"alice", 7171105761220348917, [3]int64{1, 0, 1}},
		{"7f3a", 1397621556828968558, [3]int64{0, 2, 2}},
		{"profile-42", 8248758514487680710, [3]int64{0, 0, 2}},
		{"café", 509328852815435076, [3]int64{0, 0, 0}},
	}
	for _, tt := range tests {
		if got := hash64(tt.id); got != tt.hash {
			t.Errorf("hash of %q is %d, want %d", tt.id, got, tt.hash)
		}
		for i, size := range []int64{2, 3, 4} {
			for member := range size {
				g := Group{Member: member, Size: size}
				if got, want := g.Has("account-"+tt.id+"+retry"), member == tt.mod[i]; got != want {
					t.Errorf("member %d of %d has %q: %v", member, size, tt.id, got)
				}
			}
		}
	}
	if (Group{Member: 0, Size: 1}).Has("account") {
		t.Error("a stream without an id belongs to a member")
	}
}

func TestTokens(t *testing.T) {
	secret := strings.Repeat("0a", 32)
	for _, namespace := range []string{"default", "tenant-a", "???", "a_b", "ü", strings.Repeat("x", 300)} {
		got, err := ParseToken(NewToken(namespace))
		if err != nil || got != namespace {
			t.Errorf("token of %q is for %q (%v)", namespace, got, err)
		}
	}
	for _, token := range []string{
		"", "ns_", "ns__" + secret, "xx_ZGVmYXVsdA_" + secret, "ns_ZGVmYXVsdA" + secret, "ns_ZGVmYXVsdA_" + secret[1:],
		"ns_ZGVmYXVsdA_" + secret[1:] + "g", "ns_ZGVmYXVsdA==_" + secret, "ns_Z*_" + secret, " ns_ZGVmYXVsdA_" + secret,
	} {
		if namespace, err := ParseToken(token); err == nil {
			t.Errorf("token %q was taken for one of %q", token, namespace)
		}
	}
}

func TestCorrelates(t *testing.T) {
	tests := []struct {
		metadata, category string
		want               bool
	}{
		{`{"correlationStreamName":"workflow-1"}`, "workflow", true},
		{`{"correlationStreamName":"workflow"}`, "workflow", true},
		{`{"correlationStreamName":"workflows-1"}`, "workflow", false},
		{`{"correlationStreamName":"Workflow-1"}`, "workflow", false},
		{`{"correlationStreamName":"workflow-1"}`, "%", false},
		{`{"correlationStreamName":"workflow-1"}`, "w_rkflow", false},
		{`{"correlationStreamName":5}`, "5", false},
		{`{"deep":{"correlationStreamName":"workflow-1"}}`, "workflow", false},
		{`{}`, "workflow", false},
		{``, "workflow", false},
		{``, "", true},
	}
	for _, tt := range tests {
		if got := Correlates([]byte(tt.metadata), tt.category); got != tt.want {
			t.Errorf("%s correlates with %q: %v", tt.metadata, tt.category, got)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(NewToken("default"))
	f.Add("ns_a_b_c")
	f.Fuzz(func(t *testing.T, token string) {
		if namespace, err := ParseToken(token); err == nil && namespace == "" {
			t.Errorf("%q is a token of no namespace", token)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("account-123+retry")
	f.Fuzz(func(t *testing.T, stream string) {
		if !strings.HasPrefix(stream, Category(stream)) || !strings.Contains(stream, CardinalID(stream)) {
			t.Errorf("%q has category %q and cardinal id %q", stream, Category(stream), CardinalID(stream))
		}
		members := 0
		for m := range int64(3) {
			if (Group{Member: m, Size: 3}).Has(stream) {
				members++
			}
		}
		if want := min(1, len(CardinalID(stream))); members != want {
			t.Errorf("%q belongs to %d members of 3", stream, members)
		}
	})
}
