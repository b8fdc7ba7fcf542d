package workload

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```(http|json|yaml)\n(.*?)^```$")

// Every example of docs/workloads.md is a workload.
func TestExamplesOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/workloads.md")
	if err != nil {
		t.Fatal(err)
	}
	body := func(name string) ([]byte, error) {
		if name != "order.json" {
			return nil, fmt.Errorf("no file %s", name)
		}
		return []byte("{}"), nil
	}
	found := map[string]int{}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		format, example := m[1], m[2]
		found[format]++
		if format == "yaml" {
			_, err = parseMix("example", example, body)
		} else {
			_, err = parseTargets("example", example, body)
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
	if found["http"] < 1 || found["json"] < 2 || found["yaml"] < 1 {
		t.Errorf("the examples found are %v", found)
	}
}

// The docs tell all keys and templates, and how many kinds there may be.
func TestDocsAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/workloads.md")
	if err != nil {
		t.Fatal(err)
	}
	_, err = mix("requests: [{unknown: 1}]")
	keys := strings.Split(regexp.MustCompile(`it may have (.*)`).FindStringSubmatch(err.Error())[1], ", ")
	for _, key := range keys {
		if !strings.Contains(string(text), "| `"+key+"` |") {
			t.Errorf("the key %s is missing", key)
		}
	}
	for name := range placeholders {
		if !strings.Contains(string(text), "| `{{"+name) {
			t.Errorf("the template %s is missing", name)
		}
	}
	if !strings.Contains(string(text), fmt.Sprintf("more than %d kinds", maxKinds)) {
		t.Errorf("the docs do not tell that there are %d kinds at most", maxKinds)
	}
}

// The workloads of the example server are read.
func TestWorkloadsOfTheExample(t *testing.T) {
	m, err := ReadMix("../../docs/examples/shop/visitors.yaml")
	if err != nil || len(m.Kinds()) != 3 || len(m.setup) != 1 {
		t.Errorf("visitors.yaml: %+v, %v", m, err)
	}
	r, err := ReadTargets("../../docs/examples/shop/targets.txt")
	if err != nil || len(r.Kinds()) != 3 {
		t.Errorf("targets.txt: %+v, %v", r, err)
	}
}
