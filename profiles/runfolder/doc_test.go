package runfolder

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestFormatIsDocumented holds the page on the format to the code: every field
// of the manifest and every column, source of a subject and file is on it.
func TestFormatIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/run-folder.md")
	if err != nil {
		t.Fatal(err)
	}
	names := append(jsonNames(reflect.TypeFor[Manifest]()), sampleColumns...)
	for _, k := range Kinds {
		names = append(append(names, k.Files()...), k.Name)
	}
	for _, s := range Sources() {
		if !strings.HasSuffix(string(s), "_profile") {
			names = append(names, string(s))
		}
	}
	names = append(names, verdicts...)
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/run-folder.md does not name %s", name)
		}
	}
}

// jsonNames are the JSON names of all fields of a type and of what it holds.
func jsonNames(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer:
		return jsonNames(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if f.Type != reflect.TypeFor[time.Time]() {
			names = append(names, jsonNames(f.Type)...)
		}
	}
	return names
}
