package workload

import (
	"fmt"
	"net/http"
	"strings"
)

// Get returns a workload that asks for paths in turn. Each is a path with a query
// if there is one, or a URL, whose host is left out.
func Get(paths []string) (*Requests, error) {
	var targets []Target
	for _, path := range paths {
		t := Target{Method: http.MethodGet, URL: path}
		if _, err := t.request(); err != nil {
			return nil, fmt.Errorf("--get: %w", err)
		}
		targets = append(targets, t)
	}
	r, err := newRequests("", targets)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, req := range r.all {
		names = append(names, req.Target)
	}
	r.name = "GET " + strings.Join(names, ", ")
	return r, nil
}
