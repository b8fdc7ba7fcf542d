package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

// partSize is how long an answer gets before it is handed over in parts.
const partSize = 64 << 10

var (
	errPartFull = errors.New("the part is full")
	errAllRead  = errors.New("all is read")
)

// A long answer is read from the store in parts, each by a query of its own. A
// part ends with the first row that makes it partSize long, and the next query
// begins behind that row: at the position after it for a stream, at the global
// position after it otherwise. Two things make the parts one answer. All are of
// the epoch of the first, so that messages that replace those that were begun
// with end the answer with an error. And when the first part is full, the place
// of the last message there is becomes the end: a client that is slower than the
// writers would never see one otherwise.

// pager makes the answer to a query, part by part. Nothing of the store is held
// between two parts: however long a client takes, no writer and no other reader
// waits for it.
type pager struct {
	core      *Core
	encoder   encoder
	namespace string
	query     Query // what comes next
	out       []byte
	begun     bool  // out has, or had, a row
	bounded   bool  // there are parts: last counts
	last      int64 // place of the last row that belongs to the answer
}

// appendRows appends the answer to a query, or its first part; then call.tail
// is what follows.
func (call *call) appendRows(ctx context.Context, dst []byte, q Query) ([]byte, error) {
	p := &call.pager
	*p = pager{core: call.core, encoder: call.encoder, namespace: call.namespace, query: q}
	p.out = p.encoder.beginRows(dst)
	whole, err := p.part(ctx, call.addRow)
	if err == nil && !whole {
		err = p.bound(ctx)
	}
	if err != nil {
		return nil, err
	}
	if !whole {
		call.tail = &Tail{pager: *p}
		call.tail.out = nil                      // it is the caller's
		call.tail.query = p.query.cloneStrings() // they are the request's
	}
	return p.out, nil
}

// part appends rows, with its method add, until the part is full, or all of them
// and the end.
func (p *pager) part(ctx context.Context, add func(*Message) error) (whole bool, err error) {
	defer recovered(&err)
	switch err := p.core.store.Read(ctx, p.namespace, p.query, add); err {
	case nil, errAllRead:
		p.out = p.encoder.endRows(p.out)
		return true, nil
	case errPartFull:
		return false, nil
	default:
		return false, err
	}
}

func (p *pager) add(m *Message) (err error) {
	if p.bounded && p.place(m.Position) > p.last {
		return errAllRead
	}
	shape := rowShape{stream: p.query.Stream == "", first: !p.begun}
	if p.out, err = p.encoder.row(p.out, m, shape); err != nil {
		return err
	}
	p.begun = true
	p.query.moveBehind(m)
	p.query.Epoch = m.Epoch
	if p.query.Limit > 0 {
		p.query.Limit--
	}
	if len(p.out) >= partSize {
		return errPartFull
	}
	return nil
}

// place is what the rows of the query are ordered by.
func (p *pager) place(at Position) int64 {
	if p.query.Stream != "" {
		return at.Position
	}
	return at.GlobalPosition
}

// bound ends the answer with the messages that there are now: a client that is
// slower than the writers would never see its end.
func (p *pager) bound(ctx context.Context) error {
	p.bounded = true
	q := Query{Stream: p.query.Stream, Last: true, Limit: 1, Epoch: p.query.Epoch}
	return p.core.store.Read(ctx, p.namespace, q, func(m *Message) error {
		p.last = p.place(m.Position)
		return nil
	})
}

// Tail is what follows the first part of an answer: an io.Reader, and an
// io.WriterTo that writes a part at a time. It holds nothing that must be
// closed. An error in the middle of it leaves the client without the end of
// the answer; the transport must not end it as if it were whole.
type Tail struct {
	pager
	whole  bool
	unread []byte // of out
}

// next makes the next part, in the memory of the one before.
func (t *Tail) next() (err error) {
	if t.whole {
		return io.EOF
	}
	if t.out == nil {
		t.out = make([]byte, 0, partSize+partSize/8)
	}
	t.out = t.out[:0]
	if t.whole, err = t.part(context.Background(), t.add); err != nil { // its client is gone when it takes nothing
		slog.Error("an answer was cut short", "namespace", t.namespace, "error", err)
		return err
	}
	t.unread = t.out
	return nil
}

// Read reads from the tail.
func (t *Tail) Read(p []byte) (n int, err error) {
	if len(t.unread) == 0 {
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, t.unread)
	t.unread = t.unread[n:]
	return n, nil
}

// WriteTo writes the whole tail.
func (t *Tail) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(t.unread) == 0 {
			if err := t.next(); err != nil {
				if err == io.EOF {
					err = nil
				}
				return n, err
			}
		}
		written, err := w.Write(t.unread)
		n += int64(written)
		t.unread = t.unread[written:]
		if err != nil {
			return n, err
		}
	}
}
