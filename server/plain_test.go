package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// FuzzPlain holds that what is read as plain is read alike, and is valid, for jsontext.
func FuzzPlain(f *testing.F) {
	for _, text := range plainTexts {
		f.Add([]byte(text))
	}
	for _, text := range strangeTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want request
		if !(&plain{text: text}).split(&got) {
			return
		}
		if err := want.splitStrictly(text); err != nil {
			t.Fatalf("%q was taken for plain: %v", text, err)
		}
		if got, want := texts(got.elements), texts(want.elements); !slices.Equal(got, want) {
			t.Fatalf("%q has the elements %q, not %q", text, got, want)
		}
		for i, element := range got.elements {
			if got, want := membersOf(element), scanned(want.elements[i]); !slices.Equal(got, want) {
				t.Errorf("%q has the members %q, not %q", element.text, got, want)
			}
		}
	})
}

func texts(values []value) (texts []string) {
	for _, v := range values {
		texts = append(texts, string(v.text))
	}
	return texts
}

func membersOf(v value) (texts []string) {
	for _, m := range v.members {
		texts = append(texts, fmt.Sprintf("%s:%s %v", m.name, m.value.text, m.value.compact))
	}
	return texts
}

// scanned is membersOf, by the scanner.
func scanned(v value) (texts []string) {
	if v.kind() != '{' {
		return nil
	}
	for s := (scanner{text: v.text[1:]}); s.more(); {
		name, v := s.value(), s.value()
		texts = append(texts, fmt.Sprintf("%s:%s %v", name.text, v.text, v.compact))
	}
	return texts
}

var plainTexts = []string{
	`[]`, ` [ ] `, `["a",{},[],{"a":1 , "b" : [ 1 ,2]},null,true , false]` + "\r\n\t",
	`[0,-0,1,-10.50,1e5,1E-5,0.1e+30]`, `["\"\\\/\b\f\n\r\t","ä` + "\u2028\x7f" + `",{"ü":"€"}]`,
	strings.Repeat("[", plainDepth) + strings.Repeat("]", plainDepth),
	`["a",{"b":{"c":[1, 2]},"":"x y" , "d":{}},{"e":null},{"f": [{}] }]`,
}

// strangeTexts are not valid, or jsontext's.
var strangeTexts = []string{
	``, ` `, `null`, `{}`, `[`, `[,]`, `[1,]`, `[1 2]`, `[1]]`, `[1] 2`, `[1}`, "[1]\x00", "\x00[1]", "\ufeff[1]",
	`[{]`, `[{"a"}]`, `[{"a":}]`, `[{"a":1,}]`, `[{"a":1]`, `[{a:1}]`, `[{1:1}]`, `[{,}]`, `[{"a" 1}]`, `[{"a":1 "b":2}]`,
	`["`, `["a]`, `["\`, `["\"`, `["\x"]`, `["\u0041"]`, `["\ud800"]`, "[\"\n\"]", "[\"\x00\"]", "[\"\xff\"]", "[\"\xed\xa0\x80\"]",
	`[01]`, `[-]`, `[-01]`, `[1.]`, `[.5]`, `[+1]`, `[1e]`, `[1e+]`, `[0x1]`, `[1_0]`, `[NaN]`, `[tru]`, `[truex]`, `[nul`, `['a']`,
	strings.Repeat("[", plainDepth+2) + strings.Repeat("]", plainDepth+2),
	`[{"a":1` + strings.Repeat(`,"a":1`, plainMembers) + `}]`,
}

// TestPlain: most requests are plain, and what is strange is not.
func TestPlain(t *testing.T) {
	for want, texts := range map[bool][]string{true: plainTexts, false: strangeTexts} {
		for _, text := range texts {
			if ok := (&plain{text: []byte(text)}).split(new(request)); ok != want {
				t.Errorf("%.40q is plain: %v", text, ok)
			}
		}
	}
}
