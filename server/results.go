package server

import (
	"time"

	"github.com/eventobench/eventobench/server/wire"
)

// result is the answer to a call that is neither of messages nor of positions:
// encoding/json writes it as it is, with times in UTC.
type result interface {
	answer() *wire.Answer // the same as protobuf
}

type createdNamespace struct {
	Namespace string    `json:"namespace"`
	Token     string    `json:"token"`
	CreatedAt time.Time `json:"createdAt"`
}

func (n createdNamespace) answer() *wire.Answer {
	return &wire.Answer{Created: &wire.CreatedNamespace{
		Namespace: n.Namespace, Token: n.Token, CreatedUnixNano: n.CreatedAt.UnixNano(),
	}}
}

type deletedNamespace struct {
	Namespace       string    `json:"namespace"`
	DeletedAt       time.Time `json:"deletedAt"`
	MessagesDeleted int64     `json:"messagesDeleted"`
}

func (n deletedNamespace) answer() *wire.Answer {
	return &wire.Answer{Deleted: &wire.DeletedNamespace{
		Namespace: n.Namespace, DeletedUnixNano: n.DeletedAt.UnixNano(), MessagesDeleted: n.MessagesDeleted,
	}}
}

// namespaceRow is a namespace in ns.list.
type namespaceRow struct {
	Namespace    string    `json:"namespace"`
	Description  string    `json:"description"`
	CreatedAt    time.Time `json:"createdAt"`
	MessageCount int64     `json:"messageCount"`
}

func (n namespaceRow) wire() *wire.Namespace {
	return &wire.Namespace{
		Namespace: n.Namespace, Description: n.Description,
		CreatedUnixNano: n.CreatedAt.UnixNano(), MessageCount: n.MessageCount,
	}
}

type namespaceList []namespaceRow

func (l namespaceList) answer() *wire.Answer {
	a := &wire.Answer{}
	for _, n := range l {
		a.Namespaces = append(a.Namespaces, n.wire())
	}
	return a
}

// namespaceInfo is the answer to ns.info.
type namespaceInfo struct {
	namespaceRow
	StreamCount  int64      `json:"streamCount"`
	LastActivity *time.Time `json:"lastActivity"`
}

func (n namespaceInfo) answer() *wire.Answer {
	info := n.wire()
	info.StreamCount = &n.StreamCount
	if n.LastActivity != nil {
		info.LastActivityUnixNano = new(n.LastActivity.UnixNano())
	}
	return &wire.Answer{Namespaces: []*wire.Namespace{info}}
}

type streamRow struct {
	Stream       string    `json:"stream"`
	Version      int64     `json:"version"`
	LastActivity time.Time `json:"lastActivity"`
}

type streamList []streamRow

func (l streamList) answer() *wire.Answer {
	a := &wire.Answer{}
	for _, s := range l {
		a.Streams = append(a.Streams, &wire.Stream{
			Stream: s.Stream, Version: s.Version, LastActivityUnixNano: s.LastActivity.UnixNano(),
		})
	}
	return a
}

type categoryList []CategoryInfo

func (l categoryList) answer() *wire.Answer {
	a := &wire.Answer{}
	for _, c := range l {
		a.Categories = append(a.Categories, &wire.Category{
			Category: c.Category, StreamCount: c.StreamCount, MessageCount: c.MessageCount,
		})
	}
	return a
}

type serverVersion string

func (v serverVersion) answer() *wire.Answer { return &wire.Answer{ServerVersion: string(v)} }

type health struct {
	Status      string `json:"status"`
	Backend     string `json:"backend"`
	Connections int    `json:"connections"`
}

func (h health) answer() *wire.Answer {
	return &wire.Answer{Health: &wire.Health{
		Status: h.Status, Backend: h.Backend, Connections: int64(h.Connections),
	}}
}
