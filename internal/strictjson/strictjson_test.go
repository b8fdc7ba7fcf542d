package strictjson

import "testing"

func TestUnmarshal(t *testing.T) {
	for text, good := range map[string]bool{
		`{"a":1}`:         true,
		" {\"a\":1}\n":    true,
		`{"a":1,"b":2}`:   false,
		`{"a":1} {"a":1}`: false,
		`{"a":1}}`:        false,
		`{"a":`:           false,
		``:                false,
	} {
		var v struct{ A int }
		if err := Unmarshal([]byte(text), &v); (err == nil) != good || good && v.A != 1 {
			t.Errorf("%q: %+v, %v", text, v, err)
		}
	}
}
