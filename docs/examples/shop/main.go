// Command shop is a small web shop's API: what docs/tutorial.md measures.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	_ "net/http/pprof"
	"regexp"
	"strconv"
	"sync"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	s := &shop{items: stock(500), carts: map[string][]int{}}
	http.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("GET /items/{id}", s.item)
	http.HandleFunc("GET /search", s.search)
	http.HandleFunc("POST /login", login)
	http.HandleFunc("POST /cart", s.addToCart)
	log.Fatal(http.ListenAndServe(*listen, nil))
}

type item struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}

type shop struct {
	items []item

	mu    sync.Mutex
	carts map[string][]int // ids of items, by customer's token
}

// stock makes n items.
func stock(n int) []item {
	kinds := []string{"lamp", "chair", "table", "shelf", "carpet"}
	var items []item
	for id := range n {
		kind := kinds[id%len(kinds)]
		items = append(items, item{ID: id, Name: fmt.Sprintf("%s no. %d", kind, id), Price: float64(id) + 0.95,
			Tags: []string{kind, "home"}})
	}
	return items
}

func (s *shop) item(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 0 || id >= len(s.items) {
		http.NotFound(w, r)
		return
	}
	answer(w, s.items[id])
}

// search lists the items whose name holds the words asked for, in any letter case.
func (s *shop) search(w http.ResponseWriter, r *http.Request) {
	found := []item{}
	for _, it := range s.items {
		words := regexp.MustCompile("(?i)" + regexp.QuoteMeta(r.FormValue("q")))
		if words.MatchString(it.Name) && len(found) < 10 {
			found = append(found, it)
		}
	}
	answer(w, found)
}

// login gives a token to everybody who has a name.
func login(w http.ResponseWriter, r *http.Request) {
	var who struct{ Name string }
	if err := json.NewDecoder(r.Body).Decode(&who); err != nil || who.Name == "" {
		http.Error(w, "who are you?", http.StatusBadRequest)
		return
	}
	answer(w, map[string]string{"token": "t-" + who.Name})
}

func (s *shop) addToCart(w http.ResponseWriter, r *http.Request) {
	count, err := s.add(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, map[string]int{"items": count})
}

// add puts an item into the customer's cart, which holds the last hundred.
func (s *shop) add(r *http.Request) (int, error) {
	var what struct{ Item int }
	if err := json.NewDecoder(r.Body).Decode(&what); err != nil {
		return 0, err
	}
	token := r.Header.Get("Authorization")
	if token == "" {
		return 0, errors.New("log in first")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cart := append(s.carts[token], what.Item)
	s.carts[token] = cart[max(0, len(cart)-100):]
	return len(s.carts[token]), nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Print(err)
	}
}
