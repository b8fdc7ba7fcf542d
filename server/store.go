// Package server is an event store that speaks the EventoDB wire protocol:
// names, tokens, calls and their answers, whatever carries or keeps them.
package server

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
)

// NoStream is the version of a stream that has no messages.
const NoStream int64 = -1

// Store keeps messages and namespaces. Its methods may be called at the same
// time; each acts on one namespace and can see no other. A namespace that does
// not exist is a NAMESPACE_NOT_FOUND Error.
type Store interface {
	MessageStore
	NamespaceStore
	// Backend names the kind of store, as sys.health tells it.
	Backend() string
	// Close waits for the writes in progress; what comes later is an error.
	Close() error
}

// MessageStore keeps the messages of namespaces.
type MessageStore interface {
	// Write appends a message to its stream, if expected is nil or is the
	// stream's version; otherwise it returns a STREAM_VERSION_CONFLICT Error. An
	// id that the namespace has already is a MESSAGE_EXISTS Error. Neither of its
	// positions is above MaxPosition: a write that would be is refused with
	// PositionsUsedUp. What the message points to is not kept after Write has returned.
	Write(ctx context.Context, namespace string, m NewMessage, expected *int64) (Position, error)
	// Read yields the messages of a query in its order and stops at the first
	// error of yield, which it returns. A Message and what it points to are valid
	// until yield returns. What it yields is all of one epoch: tables that are
	// replaced or dropped meanwhile serve until it returns. Yield must not use the
	// store. What the query points to is not kept.
	Read(ctx context.Context, namespace string, q Query, yield func(*Message) error) error
	// Import adds records at the places they had, all or none. A place or an id
	// that is taken is a POSITION_EXISTS RecordError.
	Import(ctx context.Context, namespace string, records []Record) error
	// Replace puts the records that next returns, batch after batch until io.EOF,
	// in place of all messages of the namespace, in one step at the end. Any
	// other error leaves the namespace as it was. Close does not wait for next.
	Replace(ctx context.Context, namespace string, next func() ([]Record, error)) error
	// Epoch returns the epoch of the messages. If Replace has begun it, and the store
	// has not been opened since, what was written later is from the global position end
	// on; else end may be 0.
	Epoch(ctx context.Context, namespace string) (epoch, end int64, err error)
	// Version returns the position of a stream's last message, or NoStream.
	Version(ctx context.Context, namespace, stream string) (int64, error)
}

// NamespaceStore keeps the namespaces.
type NamespaceStore interface {
	// CreateNamespace adds a namespace, or returns a NAMESPACE_EXISTS Error.
	CreateNamespace(ctx context.Context, n Namespace) error
	// DeleteNamespace removes a namespace and returns how many messages it had.
	DeleteNamespace(ctx context.Context, name string) (messages int64, err error)
	// Namespaces returns all namespaces by name.
	Namespaces(ctx context.Context) ([]Namespace, error)
	// Namespace returns one namespace and counts what it holds.
	Namespace(ctx context.Context, name string) (Namespace, NamespaceStats, error)
	// Streams lists streams of a namespace by name, bytewise.
	Streams(ctx context.Context, namespace string, q StreamQuery) ([]StreamInfo, error)
	// Categories lists the categories of a namespace by name, bytewise.
	Categories(ctx context.Context, namespace string) ([]CategoryInfo, error)
}

// Namespace is a tenant of the store.
type Namespace struct {
	Name        string
	Description string
	TokenHash   TokenHash
	Created     time.Time
}

// NamespaceStats are true counts of what a namespace holds.
type NamespaceStats struct {
	Messages, Streams int64
	LastActivity      time.Time // of the last message; zero if there is none
}

// NewMessage is a message to be written. Data and Metadata are compact JSON.
type NewMessage struct {
	ID       uuid.UUID
	Stream   string
	Type     string
	Data     []byte
	Metadata []byte // nil if there is none
	Time     time.Time
}

// Message is a message as it was written, with its place.
type Message struct {
	ID       uuid.UUID
	Stream   []byte
	Type     []byte
	Data     []byte
	Metadata []byte // nil if there is none
	Time     time.Time
	Position
	Epoch int64 // of the namespace's messages: another one after each Replace; never 0
}

// Position is the place of a message: in its stream, from 0, without gaps, and
// in its namespace, from 1, rising.
type Position struct {
	Position       int64 `json:"position"`
	GlobalPosition int64 `json:"globalPosition"`
}

// Query selects messages: of one stream, by position, or of one category or
// all, by global position.
type Query struct {
	Stream   string  // if not empty, of this stream only
	Category *string // else of this category; nil or empty for all

	Position       int64  // of a stream: the first position
	GlobalPosition int64  // the first global position
	Limit          int64  // at most so many; negative for no limit
	Last           bool   // of a stream or all: from the end backwards
	Type           string // with Last: of this type only
	Correlation    string // of a category: metadata.correlationStreamName is in this category
	Group          *Group // of a category: those of one member
	Epoch          int64  // if not 0: an error unless the messages are still those of this epoch
}

// moveBehind makes the query go on behind a message it has found.
func (q *Query) moveBehind(m *Message) {
	if q.Stream != "" {
		q.Position = m.Position.Position + 1
	} else {
		q.GlobalPosition = m.GlobalPosition + 1
	}
}

// cloneStrings returns the query with strings in memory of their own.
func (q Query) cloneStrings() Query {
	q.Stream, q.Type, q.Correlation = strings.Clone(q.Stream), strings.Clone(q.Type), strings.Clone(q.Correlation)
	if q.Category != nil {
		q.Category = new(strings.Clone(*q.Category))
	}
	return q
}

// StreamQuery selects streams by name.
type StreamQuery struct {
	Prefix string // literal
	After  string // only names above this one
	Limit  int64  // at most so many
}

// StreamInfo is a stream in a listing.
type StreamInfo struct {
	Name         string
	Version      int64
	LastActivity time.Time
}

// CategoryInfo is a category in a listing.
type CategoryInfo struct {
	Category     string `json:"category"`
	StreamCount  int64  `json:"streamCount"`
	MessageCount int64  `json:"messageCount"`
}
