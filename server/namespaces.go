package server

import (
	"context"
	"fmt"
	"time"
)

func nsCreate(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	name, err := call.name(0, "namespace")
	if err != nil {
		return nil, err
	}
	if err := call.mayAdminister(""); err != nil {
		return nil, err
	}
	var description string
	var given *string
	err = call.options(1,
		field{"description", into(&description, value.string)},
		field{"token", intoNew(&given, value.string)},
		field{"metadata", value.checkObject})
	if err != nil {
		return nil, err
	}
	token, err := tokenFor(name, given)
	if err != nil {
		return nil, err
	}
	n, err := call.core.createNamespace(ctx, name, description, token)
	if err != nil {
		return nil, err
	}
	return call.encoder.result(dst, createdNamespace{name, token, n.Created.UTC()})
}

// tokenFor returns the token that is given for a new namespace, or draws one.
func tokenFor(namespace string, given *string) (string, error) {
	if given == nil {
		return NewToken(namespace), nil
	}
	of, err := ParseToken(*given)
	if err != nil {
		return "", invalidText("The token is not well formed", err)
	}
	if of != namespace {
		return "", invalid("The token is for namespace %q, not %q", of, namespace)
	}
	return *given, nil
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
	return call.encoder.result(dst, deletedNamespace{name, time.Now().UTC(), messages})
}

func nsList(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	if err := call.mayAdminister(""); err != nil {
		return nil, err
	}
	namespaces, err := call.core.store.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	rows := namespaceList{}
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
	return call.encoder.result(dst, rows)
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
	return call.encoder.result(dst, info)
}

func (call *call) namespaceInfo(ctx context.Context, name string) (namespaceInfo, error) {
	n, stats, err := call.core.store.Namespace(ctx, name)
	if err != nil {
		return namespaceInfo{}, err
	}
	info := namespaceInfo{
		namespaceRow: namespaceRow{
			Namespace: n.Name, Description: n.Description,
			CreatedAt: n.Created.UTC(), MessageCount: stats.Messages,
		},
		StreamCount: stats.Streams,
	}
	if !stats.LastActivity.IsZero() {
		info.LastActivity = new(stats.LastActivity.UTC())
	}
	return info, nil
}

const (
	defaultStreams = 100
	maxStreams     = 1000
)

// listLimit reads how many streams are wanted.
func (v value) listLimit() (int64, error) {
	n, err := v.integer()
	if err == nil && (n < 1 || n > maxStreams) {
		err = fmt.Errorf("must be from 1 to %d", maxStreams)
	}
	return n, err
}

func nsStreams(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	q := StreamQuery{Limit: defaultStreams}
	err := call.options(0,
		field{"prefix", into(&q.Prefix, value.string)},
		field{"cursor", into(&q.After, value.string)},
		field{"limit", into(&q.Limit, value.listLimit)})
	if err != nil {
		return nil, err
	}
	streams, err := call.core.store.Streams(ctx, call.namespace, q)
	if err != nil {
		return nil, err
	}
	rows := make(streamList, len(streams))
	for i, s := range streams {
		rows[i] = streamRow{s.Name, s.Version, s.LastActivity.UTC()}
	}
	return call.encoder.result(dst, rows)
}

func nsCategories(ctx context.Context, call *call, dst []byte) ([]byte, error) {
	categories, err := call.core.store.Categories(ctx, call.namespace)
	if err != nil {
		return nil, err
	}
	return call.encoder.result(dst, append(categoryList{}, categories...))
}
