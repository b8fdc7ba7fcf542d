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

// reading is the answer to a query while it is made, part by part. Nothing of
// the store is held between two parts: however long a client takes, no writer
// and no other reader waits for it.
type reading struct {
	core      *Core
	namespace string
	query     Query // what comes next
	out       []byte
	begun     bool  // out has, or had, a row
	bounded   bool  // there are parts: last counts
	last      int64 // place of the last row that belongs to the answer
}

// appendRows appends the answer to a query, or its first part; then call.rest
// is what follows.
func (call *call) appendRows(ctx context.Context, dst []byte, q Query) ([]byte, error) {
	r := &call.reading
	*r = reading{core: call.core, namespace: call.namespace, query: q, out: append(dst, '[')}
	whole, err := r.part(ctx)
	if err == nil && !whole {
		err = r.bound(ctx)
	}
	if err != nil {
		return nil, err
	}
	if !whole {
		call.rest = &Rest{reading: *r}
		call.rest.out = nil // it is the caller's
	}
	return r.out, nil
}

// part appends rows until the part is full, or all of them and the end.
func (r *reading) part(ctx context.Context) (whole bool, err error) {
	defer recovered(&err)
	switch err := r.core.store.Read(ctx, r.namespace, r.query, r.add); err {
	case nil, errAllRead:
		r.out = append(r.out, ']')
		return true, nil
	case errPartFull:
		return false, nil
	default:
		return false, err
	}
}

func (r *reading) add(m *Message) (err error) {
	if r.bounded && r.place(m.Position) > r.last {
		return errAllRead
	}
	if r.begun {
		r.out = append(r.out, ',')
	}
	r.begun = true
	if r.out, err = r.core.appendRow(r.out, m, r.query.Stream == ""); err != nil {
		return err
	}
	r.query.moveBehind(m)
	r.query.Epoch = m.Epoch
	if r.query.Limit > 0 {
		r.query.Limit--
	}
	if len(r.out) >= partSize {
		return errPartFull
	}
	return nil
}

// place is what the rows of the query are ordered by.
func (r *reading) place(p Position) int64 {
	if r.query.Stream != "" {
		return p.Position
	}
	return p.GlobalPosition
}

// bound ends the answer with the messages that there are now: a client that is
// slower than the writers would never see its end.
func (r *reading) bound(ctx context.Context) error {
	r.bounded = true
	q := Query{Stream: r.query.Stream, Last: true, Limit: 1, Epoch: r.query.Epoch}
	return r.core.store.Read(ctx, r.namespace, q, func(m *Message) error {
		r.last = r.place(m.Position)
		return nil
	})
}

// Rest is what follows the first part of an answer: an io.Reader, and an
// io.WriterTo that writes a part at a time. It holds nothing that must be
// closed. An error in the middle of it leaves the client without the end of
// the answer; the transport must not end it as if it were whole.
type Rest struct {
	reading
	whole  bool
	unread []byte // of out
}

// next makes the next part, in the memory of the one before.
func (r *Rest) next() (err error) {
	if r.whole {
		return io.EOF
	}
	if r.out == nil {
		r.out = make([]byte, 0, partSize+partSize/8)
	}
	r.out = r.out[:0]
	if r.whole, err = r.part(context.Background()); err != nil { // its client is gone when it takes nothing
		slog.Error("an answer was cut short", "namespace", r.namespace, "error", err)
		return err
	}
	r.unread = r.out
	return nil
}

// Read reads of the rest.
func (r *Rest) Read(p []byte) (n int, err error) {
	if len(r.unread) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// WriteTo writes all of the rest.
func (r *Rest) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(r.unread) == 0 {
			if err := r.next(); err != nil {
				if err == io.EOF {
					err = nil
				}
				return n, err
			}
		}
		written, err := w.Write(r.unread)
		n += int64(written)
		r.unread = r.unread[written:]
		if err != nil {
			return n, err
		}
	}
}
