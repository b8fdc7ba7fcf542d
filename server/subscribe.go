package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pokePage is how many pokes are read from the store and sent at once, unless
// they get longer than a part of an answer: the names of streams may be long.
const pokePage = 1000

// EventWriter takes the frames of a stream of Server-Sent Events. An error
// means that the client is gone, or too slow.
type EventWriter interface {
	// Send writes and flushes.
	Send(frames []byte) error
}

// Subscription tells a client of the messages of a stream, a category or all,
// from a position on: those there are, and then those that come.
type Subscription struct {
	core      *Core
	namespace string
	caller    Caller
	query     Query // what comes next, in the epoch that was read so far
	woken     chan struct{}
	ended     chan struct{} // closed when the namespace is deleted
}

// Subscribe prepares a subscription from the query parameters of a request; an
// absent one is empty. The caller must Run it.
func (c *Core) Subscribe(ctx context.Context, cred Credentials, param func(name string) string) (*Subscription, error) {
	caller, err := c.authenticate(ctx, cred)
	if err != nil {
		return nil, err
	}
	q, live, err := subscriptionQuery(param)
	if err != nil {
		return nil, err
	}
	s := &Subscription{
		core: c, namespace: caller.Namespace, caller: caller, query: q,
		woken: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	c.hub.add(s) // before the first read: what is written from now on wakes it
	if err := s.begin(c.withCaller(ctx, s.caller), live); err != nil {
		c.hub.remove(s)
		return nil, err
	}
	return s, nil
}

// begin finds out which epoch the position is of. live means that only messages to
// come are wanted.
func (s *Subscription) begin(ctx context.Context, live bool) (err error) {
	s.query.Epoch, _, err = s.core.store.Epoch(ctx, s.namespace)
	if err != nil || !live {
		return err
	}
	return s.skipToEnd(ctx)
}

// subscriptionQuery reads the parameters. live means that only messages to come
// are wanted.
func subscriptionQuery(param func(string) string) (q Query, live bool, err error) {
	stream, category, all := param("stream"), param("category"), param("all") == "true"
	chosen := 0
	for _, given := range []bool{stream != "", category != "", all} {
		if given {
			chosen++
		}
	}
	if chosen != 1 {
		return q, false, invalid("Subscribe to exactly one of stream, category and all=true")
	}
	position, err := intParam(param, "position")
	if err != nil {
		return q, false, err
	}
	q.Limit = pokePage
	if stream != "" {
		q.Stream, q.Position = strings.Clone(stream), position // the subscription outlives the request
		return q, false, nil
	}
	q.Category, q.GlobalPosition = new(strings.Clone(category)), position
	if category != "" {
		q.Group, err = groupParams(param)
	}
	return q, all && param("position") == "", err
}

func intParam(param func(string) string, name string) (int64, error) {
	text := param(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, invalid("Parameter %s must be an integer", name)
	}
	return n, nil
}

func groupParams(param func(string) string) (*Group, error) {
	member, err := intParam(param, "consumer")
	if err != nil {
		return nil, err
	}
	size, err := intParam(param, "size")
	if err != nil || param("consumer") == "" && param("size") == "" {
		return nil, err
	}
	if size < 1 || member < 0 || member >= size {
		return nil, invalid("Parameters consumer and size need a size of at least 1 and a consumer from 0 to size-1")
	}
	return &Group{Member: member, Size: size}, nil
}

// skipToEnd moves the subscription behind the messages there are.
func (s *Subscription) skipToEnd(ctx context.Context) error {
	return s.core.store.Read(ctx, s.namespace, Query{Last: true, Limit: 1}, func(m *Message) error {
		s.query.moveBehind(m)
		s.query.Epoch = m.Epoch
		return nil
	})
}

// stepBack is for a subscription whose messages were replaced. If it had read more
// than have replaced them, it goes on with the first message that was written behind
// those, so that none is missed. That depends on what the store says only, and not on
// when the subscription gets to know of it.
func (s *Subscription) stepBack(ctx context.Context) error {
	epoch, end, err := s.core.store.Epoch(ctx, s.namespace)
	if err != nil {
		return err
	}
	if end == 0 {
		return NamespaceNotFound(s.namespace) // deleted; another one has its name
	}
	further, err := s.isFurther(ctx, epoch, end)
	if hasCode(err, CodeNamespaceNotFound) {
		return nil // not of that epoch any more either: the next read finds out
	}
	if err != nil {
		return err
	}
	if further {
		s.query.Position, s.query.GlobalPosition = 0, end
	}
	s.query.Epoch = epoch
	return nil
}

// isFurther reports whether the subscription has read all messages of an epoch
// before the global position end.
func (s *Subscription) isFurther(ctx context.Context, epoch, end int64) (further bool, err error) {
	if s.query.Stream == "" {
		return s.query.GlobalPosition > end, nil
	}
	q := s.query
	q.Epoch, q.Limit = epoch, 1
	further = true
	err = s.core.store.Read(ctx, s.namespace, q, func(m *Message) error {
		further = m.GlobalPosition >= end
		return nil
	})
	return further, err
}

func (s *Subscription) wants(stream string) bool {
	if s.query.Stream != "" {
		return s.query.Stream == stream
	}
	return *s.query.Category == "" || *s.query.Category == Category(stream)
}

func (s *Subscription) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // it is awake already, and has not read yet
	}
}

// Heartbeat is the time within which a client that is gone shall be noticed.
func (s *Subscription) Heartbeat() time.Duration { return s.core.heartbeat }

// Run sends pokes, and a comment after each silence, which shows the client that
// the server is alive and shows the server whether the client is. It returns when
// ctx is cancelled, the namespace is deleted or the client is gone. Its error is
// that of the store.
func (s *Subscription) Run(ctx context.Context, w EventWriter) (err error) {
	defer s.core.hub.remove(s)
	defer recovered(&err)
	if err := w.Send([]byte(": ready\n\n")); err != nil {
		return nil // the client has left, which it may
	}
	ctx = s.core.withCaller(ctx, s.caller)
	longest := s.core.heartbeat * 3 / 5 // the rest is for the client's system to acknowledge the comment
	silence := time.NewTimer(longest)
	defer silence.Stop()
	for {
		sent, alive, err := s.sendAll(ctx, w)
		if err != nil || !alive {
			return err
		}
		if sent {
			silence.Reset(longest)
		}
		select {
		case <-s.woken:
		case <-silence.C:
			if w.Send([]byte(": heartbeat\n\n")) != nil {
				return nil
			}
			silence.Reset(longest)
		case <-s.ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// sendAll sends pokes for all messages there are, page by page. It reports whether there
// were any, and whether the client and the namespace are still there.
func (s *Subscription) sendAll(ctx context.Context, w EventWriter) (sent, alive bool, err error) {
	buffer := pokeBuffers.Get().(*[]byte)
	defer pokeBuffers.Put(buffer)
	for more := true; more; {
		var err error
		*buffer, more, err = s.page(ctx, (*buffer)[:0])
		if hasCode(err, CodeNamespaceNotFound) {
			return sent, false, nil // deleted a moment ago
		}
		if err != nil {
			return sent, false, fmt.Errorf("reading for a subscription: %w", err)
		}
		if len(*buffer) == 0 {
			continue
		}
		if w.Send(*buffer) != nil || ctx.Err() != nil {
			return true, false, nil
		}
		sent = true
	}
	return sent, true, nil
}

// pokeBuffers are for pokes that are being sent: subscriptions have none while they
// sleep.
var pokeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// page appends the next pokes to frames and moves on behind them. There are more
// only if the page is full: what is written after it was read wakes the subscription.
// Nothing is sent while the store is being read: a slow client must not hold it. Messages
// of the group's other members are read here, so that they count for the page, and are not
// read again.
func (s *Subscription) page(ctx context.Context, frames []byte) (_ []byte, more bool, err error) {
	n, all := int64(0), s.query
	all.Group = nil
	err = s.core.store.Read(ctx, s.namespace, all, func(m *Message) error {
		n++
		s.query.moveBehind(m)
		if s.query.Group != nil && !s.query.Group.Has(string(m.Stream)) {
			return nil
		}
		frames = appendPoke(frames, m)
		if len(frames) >= partSize {
			return errPartFull
		}
		return nil
	})
	switch {
	case err == errPartFull:
		return frames, true, nil
	case hasCode(err, CodeNamespaceNotFound): // or only the epoch was not
		return frames, true, s.stepBack(ctx)
	}
	return frames, n == s.query.Limit, err
}

func appendPoke(dst []byte, m *Message) []byte {
	dst = append(dst, "event: poke\ndata: {\"stream\":"...)
	dst = appendString(dst, m.Stream)
	dst = append(dst, `,"position":`...)
	dst = strconv.AppendInt(dst, m.Position.Position, 10)
	dst = append(dst, `,"globalPosition":`...)
	dst = strconv.AppendInt(dst, m.GlobalPosition, 10)
	return append(dst, "}\n\n"...)
}
