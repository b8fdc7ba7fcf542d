package profdiff

import "testing"

func TestSourceFile(t *testing.T) {
	shop := Source{Module: "example.com/shop", Main: "example.com/shop/cmd/server", Dir: "backend"}
	tests := []struct {
		source               Source
		function, name, file string
	}{
		{shop, "main.(*shop).search.func1", "/gone/worktree/backend/cmd/server/main.go", "backend/cmd/server/main.go"},
		{shop, "example.com/shop.New", "/gone/worktree/backend/shop.go", "backend/shop.go"},
		{shop, "example.com/shop/cart.(*Cart[...]).Add", "example.com/shop/cart/cart.go", // -trimpath
			"backend/cart/cart.go"},
		{shop, "example.com/shopping.Go", "/go/pkg/mod/example.com/shopping@v1.0.0/go.go", ""},
		{shop, "example.com/shop/api.Get", "/go/pkg/mod/example.com/shop/api@v1.9.0/client.go", ""}, // another module
		{shop, "encoding/json.Marshal", "/usr/lib/go/src/encoding/json/encode.go", ""},
		{shop, "example.com/shop.New", "", ""},
		{Source{Module: "example.com/shop"}, "main.main", "/src/main.go", ""},
		{Source{Module: "example.com/shop", Main: "example.com/shop"}, "main.main", "/src/main.go", "main.go"},
		{Source{}, "main.main", "/src/main.go", ""},
	}
	for _, tt := range tests {
		if got := tt.source.file(tt.function, tt.name); got != tt.file {
			t.Errorf("%s of %+v is in %q, want %q", tt.function, tt.source, got, tt.file)
		}
	}
}

// TestPlace holds that a function's line is the one where the head spends most, and
// that of the base if the head has none.
func TestPlace(t *testing.T) {
	attributed := func(lines ...int64) *Attribution {
		var stacks []stack
		for range lines {
			stacks = append(stacks, stack{0, "runtime.mallocgc main.search"})
		}
		p := testProfile(stacks...)
		for i, line := range lines {
			at := p.Sample[i].Location[1].Line
			at[0].Line, at[0].Function.Filename = line, "/src/main.go"
		}
		o := Options{Groups: DefaultGroups(), Source: Source{Module: "m.org/m", Main: "m.org/m"}}
		a, err := Attribute(p, kindNamed(t, "allocs"), []float64{1}, o)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tt := range []struct {
		base, head *Attribution
		line       int
	}{
		{attributed(7), attributed(9, 12, 12, 9, 12), 12},
		{attributed(7), attributed(12, 9), 9},
		{attributed(7), attributed(), 7},
	} {
		f := Diff{Base: tt.base, Head: tt.head}.Table().Functions[0]
		if f.Name != "main.search" || f.File != "main.go" || f.Line != tt.line {
			t.Errorf("%s in %s:%d, want line %d", f.Name, f.File, f.Line, tt.line)
		}
	}
}
