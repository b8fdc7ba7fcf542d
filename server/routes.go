package server

import (
	"context"
	"slices"
	"strings"
)

// Kind says who answers the requests of a route, and how.
type Kind int

// The kinds of routes.
const (
	Short         Kind = iota // Core.Serve, with one value
	Subscriptions             // Core.Subscribe, with events for as long as it takes
	Imports                   // Core.Import, with events while the body is read
	Debug                     // the transport, with Go's own pages, if it serves them at all
)

// Route is a path that is answered.
type Route struct {
	Path    string   // one that ends in a slash stands for all below it, too
	Kind    Kind     // of its answers
	Methods []string // that are allowed; nil for all. The first is the usual one

	answer func(ctx context.Context, c *Core, r Request, dst []byte) Answer // of a Short one
}

// Paths that are asked for outside the table of routes.
const (
	CallPath   = "/rpc"
	ImportPath = "/import"
)

// routes are all paths that are answered, the busiest first.
var routes = []Route{
	{Path: CallPath, Methods: []string{"POST"}, answer: answerCall},
	{Path: "/subscribe", Kind: Subscriptions, Methods: []string{"GET", "POST"}},
	{Path: ImportPath, Kind: Imports, Methods: []string{"POST"}},
	{Path: "/health", answer: answerHealth},
	{Path: "/version", answer: answerVersion},
	{Path: "/debug/pprof/", Kind: Debug},
	{Path: "/debug/vars", Kind: Debug},
}

var notFound = Route{answer: answerNotFound}

// FindRoute returns the route of a path. A path that has none is answered with
// an error.
func FindRoute(path string) *Route {
	for i := range routes {
		if routes[i].matches(path) {
			return &routes[i]
		}
	}
	return &notFound
}

func (r *Route) matches(path string) bool {
	return path == r.Path || strings.HasSuffix(r.Path, "/") && strings.HasPrefix(path, r.Path)
}

// Allows reports whether requests may have a method.
func (r *Route) Allows(method string) bool {
	return r.Methods == nil || slices.Contains(r.Methods, method)
}

func answerCall(ctx context.Context, c *Core, r Request, dst []byte) Answer {
	return c.call(ctx, r, dst)
}

func answerHealth(_ context.Context, _ *Core, _ Request, dst []byte) Answer {
	return Answer{Status: 200, Body: append(dst, `{"status":"ok"}`...)}
}

func answerVersion(_ context.Context, c *Core, _ Request, dst []byte) Answer {
	body, err := appendJSON(dst, map[string]string{"version": c.version})
	if err != nil {
		return JSON.AppendError(dst, err)
	}
	return Answer{Status: 200, Body: body}
}

func answerNotFound(_ context.Context, _ *Core, _ Request, dst []byte) Answer {
	return JSON.AppendError(dst, &Error{Code: CodeNotFound, Message: "Endpoint not found"})
}
