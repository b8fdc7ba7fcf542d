package server

import (
	"context"
	"fmt"
	"time"
)

// stamp prints a time as answers show it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func nsCreate(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	name, err := call.name(0, "namespace")
	if err != nil {
		return nil, err
	}
	var description string
	var token *string
	if err := call.options(1, createOptions, func(field string, v value) (err error) {
		switch field {
		case "description":
			description, err = v.string()
		case "token":
			var text string
			text, err = v.string()
			token = &text
		case "metadata":
			if v.kind() != '{' {
				err = errNotObject
			}
		}
		return err
	}); err != nil {
		return nil, err
	}
	if token == nil {
		token = new(NewToken(name))
	} else if of, err := ParseToken(*token); err != nil {
		return nil, invalidText("The token is not well formed", err)
	} else if of != name {
		return nil, invalid("The token is for namespace %q, not %q", of, name)
	}
	if err := call.mayAdminister(""); err != nil {
		return nil, err
	}
	n, err := call.core.createNamespace(ctx, name, description, *token)
	if err != nil {
		return nil, err
	}
	return appendJSON(dst, struct {
		Namespace string `json:"namespace"`
		Token     string `json:"token"`
		CreatedAt string `json:"createdAt"`
	}{name, *token, stamp(n.Created)})
}

func nsDelete(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	name, err := call.name(0, "namespace")
	if err != nil {
		return nil, err
	}
	if err := call.mayAdminister(name); err != nil {
		return nil, err
	}
	messages, err := call.core.deleteNamespace(ctx, name)
	if err != nil {
		return nil, err
	}
	return appendJSON(dst, struct {
		Namespace       string `json:"namespace"`
		DeletedAt       string `json:"deletedAt"`
		MessagesDeleted int64  `json:"messagesDeleted"`
	}{name, stamp(time.Now()), messages})
}

// namespaceRow is a namespace in ns.list.
type namespaceRow struct {
	Namespace    string `json:"namespace"`
	Description  string `json:"description"`
	CreatedAt    string `json:"createdAt"`
	MessageCount int64  `json:"messageCount"`
}

// namespaceInfo is the answer to ns.info.
type namespaceInfo struct {
	namespaceRow
	StreamCount  int64   `json:"streamCount"`
	LastActivity *string `json:"lastActivity"`
}

func nsList(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	if err := call.mayAdminister(""); err != nil {
		return nil, err
	}
	namespaces, err := call.core.store.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	rows := []namespaceRow{}
	for _, n := range namespaces {
		info, err := call.namespaceInfo(ctx, n.Name)
		if hasCode(err, CodeNamespaceNotFound) {
			continue // deleted a moment ago
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, info.namespaceRow)
	}
	return appendJSON(dst, rows)
}

func nsInfo(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	name, err := call.name(0, "namespace")
	if err != nil {
		return nil, err
	}
	if err := call.mayAdminister(name); err != nil {
		return nil, err
	}
	info, err := call.namespaceInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	return appendJSON(dst, info)
}

func (call *call) namespaceInfo(ctx context.Context, name string) (namespaceInfo, error) {
	n, stats, err := call.core.store.Namespace(ctx, name)
	if err != nil {
		return namespaceInfo{}, err
	}
	info := namespaceInfo{
		namespaceRow: namespaceRow{Namespace: n.Name, Description: n.Description, CreatedAt: stamp(n.Created), MessageCount: stats.Messages},
		StreamCount:  stats.Streams,
	}
	if !stats.LastActivity.IsZero() {
		info.LastActivity = new(stamp(stats.LastActivity))
	}
	return info, nil
}

const (
	defaultStreams = 100
	maxStreams     = 1000
)

func nsStreams(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	q := StreamQuery{Limit: defaultStreams}
	if err := call.options(0, listOptions, func(name string, field value) (err error) {
		switch name {
		case "prefix":
			q.Prefix, err = field.string()
		case "cursor":
			q.After, err = field.string()
		case "limit":
			if q.Limit, err = field.integer(); err == nil && (q.Limit < 1 || q.Limit > maxStreams) {
				err = fmt.Errorf("must be from 1 to %d", maxStreams)
			}
		}
		return err
	}); err != nil {
		return nil, err
	}
	streams, err := call.core.store.Streams(ctx, call.namespace, q)
	if err != nil {
		return nil, err
	}
	type row struct {
		Stream       string `json:"stream"`
		Version      int64  `json:"version"`
		LastActivity string `json:"lastActivity"`
	}
	rows := make([]row, len(streams))
	for i, s := range streams {
		rows[i] = row{s.Name, s.Version, stamp(s.LastActivity)}
	}
	return appendJSON(dst, rows)
}

func nsCategories(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	categories, err := call.core.store.Categories(ctx, call.namespace)
	if err != nil {
		return nil, err
	}
	return appendJSON(dst, append([]CategoryInfo{}, categories...))
}
