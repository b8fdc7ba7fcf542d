package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// method answers one kind of call by appending to dst.
type method func(ctx context.Context, call *call, dst []byte) ([]byte, error)

// methods are all calls there are.
var methods = map[string]method{
	"stream.write":   streamWrite,
	"stream.get":     streamGet,
	"stream.last":    streamLast,
	"stream.version": streamVersion,
	"category.get":   categoryGet,
	"ns.create":      nsCreate,
	"ns.delete":      nsDelete,
	"ns.list":        nsList,
	"ns.info":        nsInfo,
	"ns.streams":     nsStreams,
	"ns.categories":  nsCategories,
	"sys.version":    sysVersion,
	"sys.health":     sysHealth,
}

// name reads an argument that must be a non-empty string. It is the request's.
func (call *call) name(arg int, what string) (string, error) {
	s, err := call.arg(arg).view()
	if err != nil {
		return "", invalid("Argument %s %v", what, err)
	}
	if s == "" {
		return "", invalid("Argument %s must not be empty", what)
	}
	return s, nil
}

// options reads the known fields of an optional argument that must be an object.
// null counts as absent, for the object and for each of its fields.
func (call *call) options(arg int, known ...field) error {
	v := call.arg(arg)
	if v.null() {
		return nil
	}
	if err := v.fields(lookup{nullable: true}, known...); err != nil {
		return invalid("Options: %v", err)
	}
	return nil
}

// The random part of a message id is drawn for several at once: drawing it costs a
// call to the system, and an id is no secret.
func init() { uuid.EnableRandPool() }

func streamWrite(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	stream, err := call.name(0, "stream")
	if err != nil {
		return nil, err
	}
	m := NewMessage{Stream: stream}
	if err := readMessage(call.arg(1), &m); err != nil {
		return nil, err
	}
	var expected *int64
	err = call.options(2,
		field{"id", into(&m.ID, value.uuid)},
		field{"expectedVersion", intoNew(&expected, value.integer)})
	if err != nil {
		return nil, err
	}
	if m.ID == uuid.Nil {
		m.ID, err = uuid.NewV7()
	}
	if err != nil {
		return nil, &Error{Code: CodeInternalError, Message: "Drawing a message id: " + err.Error()}
	}
	m.Time = time.Now()
	position, err := call.core.store.Write(ctx, call.namespace, m, expected)
	if mayBeStored(err) {
		call.core.hub.publish(call.namespace, stream)
	}
	if err != nil {
		return nil, err
	}
	return call.encoder.position(dst, position)
}

// mayBeStored reports whether what was written may be there: it is, or the store failed with
// no answer. To wake who waits for nothing does no harm.
func mayBeStored(err error) bool {
	if err == nil {
		return true
	}
	var refused *Error
	return !errors.As(err, &refused)
}

// readMessage reads the message argument of a write.
func readMessage(v value, m *NewMessage) error {
	err := v.fields(lookup{},
		field{"type", into(&m.Type, value.view)},
		field{"data", into(&m.Data, value.object)},
		field{"metadata", into(&m.Metadata, value.optionalObject)})
	switch {
	case err != nil:
		return invalid("Message: %v", err)
	case m.Type == "":
		return invalid("Message: type must not be empty")
	case m.Data == nil:
		return invalid("Message: data must be an object")
	}
	if err := m.checkSize(); err != nil {
		return invalid("Message: %v", err)
	}
	return nil
}

// uuid reads a message id; an empty one is none. The nil UUID, which stands for none here,
// is refused.
func (v value) uuid() (id uuid.UUID, err error) {
	if field, ok := v.tree.(*[]byte); ok {
		id, err = uuid.FromBytes(*field)
	} else {
		var text string
		if text, err = v.view(); err != nil || text == "" {
			return uuid.Nil, err
		}
		if err = uuid.Validate(text); err == nil { // Parse takes any two characters for braces
			id, err = uuid.Parse(text)
		}
	}
	if err == nil && id == uuid.Nil {
		err = errors.New("it is the nil UUID")
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("must be a UUID: %w", err)
	}
	return id, nil
}

// defaultBatch is how many messages an answer has unless told.
const defaultBatch = 1000

// batchSize reads a limit: 0 and -1 mean none.
func (c *Core) batchSize(v value) (int64, error) {
	n, err := v.integer()
	switch {
	case err != nil:
		return 0, err
	case n > c.maxBatch:
		return 0, fmt.Errorf("must be at most %d, or -1 for no limit", c.maxBatch)
	case n <= 0:
		return -1, nil
	}
	return n, nil
}

func streamGet(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	stream, err := call.name(0, "stream")
	if err != nil {
		return nil, err
	}
	q := Query{Stream: stream, Limit: min(defaultBatch, call.core.maxBatch)}
	err = call.options(1,
		field{"position", into(&q.Position, value.integer)},
		field{"globalPosition", into(&q.GlobalPosition, value.integer)},
		field{"batchSize", into(&q.Limit, call.core.batchSize)})
	if err != nil {
		return nil, err
	}
	if q.GlobalPosition > 0 {
		q.Position = 0
	}
	return call.appendRows(ctx, dst, q)
}

func categoryGet(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	var err error
	if call.category, err = call.arg(0).view(); err != nil {
		return nil, invalid("Argument category %v", err)
	}
	q := Query{Category: &call.category, Limit: min(defaultBatch, call.core.maxBatch)}
	err = call.options(1,
		field{"position", into(&q.GlobalPosition, value.integer)},
		field{"globalPosition", into(&q.GlobalPosition, value.integer)}, // another name for it, which wins
		field{"batchSize", into(&q.Limit, call.core.batchSize)},
		field{"correlation", into(&q.Correlation, value.view)},
		field{"consumerGroup", into(&q.Group, value.group)})
	if err != nil {
		return nil, err
	}
	return call.appendRows(ctx, dst, q)
}

// group reads a consumer group; an empty object is none.
func (v value) group() (*Group, error) {
	var member, size *int64
	err := v.fields(lookup{},
		field{"member", intoNew(&member, value.integer)},
		field{"size", intoNew(&size, value.integer)})
	switch {
	case err != nil:
		return nil, err
	case member == nil && size == nil:
		return nil, nil
	case member == nil || size == nil:
		return nil, fmt.Errorf("needs both member and size")
	case *size < 1 || *member < 0 || *member >= *size:
		return nil, fmt.Errorf("needs a size of at least 1 and a member from 0 to size-1")
	}
	return &Group{Member: *member, Size: *size}, nil
}

func streamLast(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	stream, err := call.name(0, "stream")
	if err != nil {
		return nil, err
	}
	q := Query{Stream: stream, Last: true, Limit: 1}
	if err := call.options(1, field{"type", into(&q.Type, value.view)}); err != nil {
		return nil, err
	}
	before := len(dst)
	err = call.core.store.Read(ctx, call.namespace, q, func(m *Message) (err error) {
		dst, err = call.encoder.lastRow(dst, m)
		return err
	})
	if err == nil && len(dst) == before {
		dst = call.encoder.noRow(dst)
	}
	return dst, err
}

func streamVersion(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	stream, err := call.name(0, "stream")
	if err != nil {
		return nil, err
	}
	version, err := call.core.store.Version(ctx, call.namespace, stream)
	if err != nil {
		return nil, err
	}
	return call.encoder.version(dst, version), nil
}

func sysVersion(_ context.Context, call *call, dst []byte) ([]byte, error) {
	return call.encoder.result(dst, serverVersion(call.core.version))
}

// sysHealth counts open subscriptions as connections.
func sysHealth(_ context.Context, call *call, dst []byte) ([]byte, error) {
	return call.encoder.result(dst, health{"ok", call.core.store.Backend(), call.core.hub.count()})
}
