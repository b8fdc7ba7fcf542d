package action

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// comments is GitHub, as far as it keeps comments.
type comments struct {
	mu     sync.Mutex
	all    []comment
	writes int
}

type comment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
	URL  string `json:"html_url"`
	User struct {
		Type string `json:"type"`
	} `json:"user"`
}

const (
	goodToken = "may write"
	forkToken = "may read" // what a pull request from a fork gets
)

// serve serves the comments until the test ends, and returns the address.
func (c *comments) serve(t *testing.T) string {
	const issues = "/repos/shop/shop/issues/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+issues+"{pull}/comments", c.list)
	mux.HandleFunc("POST "+issues+"{pull}/comments", c.write)
	mux.HandleFunc("PATCH "+issues+"comments/{id}", c.write)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func (c *comments) list(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size, _ := strconv.Atoi(r.FormValue("per_page"))
	page, _ := strconv.Atoi(r.FormValue("page"))
	from := min((page-1)*size, len(c.all))
	answer(w, append([]comment{}, c.all[from:min(from+size, len(c.all))]...)) // never null
}

// write makes a comment, or changes one.
func (c *comments) write(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sent comment
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"message": err.Error()})
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+goodToken {
		w.WriteHeader(http.StatusForbidden)
		answer(w, map[string]string{"message": "Resource not accessible by integration"})
		return
	}
	c.writes++
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		id = c.add("Bot", "")
	}
	c.all[id-1].Body = sent.Body
	answer(w, c.all[id-1])
}

// add adds a comment and returns its id, which counts from 1.
func (c *comments) add(userType, body string) int {
	n := comment{ID: len(c.all) + 1, Body: body, URL: fmt.Sprintf("https://github.example/comment/%d", len(c.all)+1)}
	n.User.Type = userType
	c.all = append(c.all, n)
	return n.ID
}

func answer(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) // a client that went away misses it
}

// ours are the bodies of the comments of the gate.
func (c *comments) ours() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var bodies []string
	for _, n := range c.all {
		if n.User.Type == "Bot" && strings.HasPrefix(n.Body, "<!-- eventobench gate: eventobench -->\n") {
			bodies = append(bodies, n.Body)
		}
	}
	return bodies
}
