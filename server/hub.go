package server

import "sync"

// hub wakes subscriptions. It carries no messages: a subscription that is woken
// reads the store from where it left off, so that it can neither miss a message
// nor see one twice, and no writer ever waits for it. The zero value is ready.
type hub struct {
	mu   sync.Mutex
	subs map[string]map[*Subscription]struct{} // by namespace
}

func (h *hub) add(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[string]map[*Subscription]struct{}{}
	}
	if h.subs[s.namespace] == nil {
		h.subs[s.namespace] = map[*Subscription]struct{}{}
	}
	h.subs[s.namespace][s] = struct{}{}
}

func (h *hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs[s.namespace], s)
	if len(h.subs[s.namespace]) == 0 {
		delete(h.subs, s.namespace)
	}
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, subs := range h.subs {
		n += len(subs)
	}
	return n
}

// publish wakes the subscriptions that a new message of the stream is for.
func (h *hub) publish(namespace, stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[namespace] {
		if s.wants(stream) {
			s.wake()
		}
	}
}

// publishAll wakes every subscription of a namespace.
func (h *hub) publishAll(namespace string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[namespace] {
		s.wake()
	}
}

// endAll ends every subscription.
func (h *hub) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, subs := range h.subs {
		for s := range subs {
			close(s.ended)
		}
	}
	clear(h.subs)
}

// end ends every subscription of a namespace that was deleted.
func (h *hub) end(namespace string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[namespace] {
		close(s.ended)
	}
	delete(h.subs, namespace)
}
