package server

import "context"

// SharedStore is a Store that several servers use at the same time. What a Core
// remembers of its namespaces is a hint then, and the store is the truth: it
// fails a call with NAMESPACE_NOT_FOUND unless the token hash of the Caller in
// its context is still that of the caller's namespace.
type SharedStore interface {
	Store
	// TokenHash returns that of a namespace.
	TokenHash(ctx context.Context, namespace string) (TokenHash, error)
	// Watch tells w what other servers change from now on, until the store is
	// closed. It is called once, and returns when it listens.
	Watch(ctx context.Context, w Watcher) error
}

// Watcher is told of changes after they can be read. Its methods must not block.
type Watcher interface {
	// Written tells of messages in a stream, or in any if it is empty: they were
	// imported, or have replaced all that there were.
	Written(namespace, stream string)
	// Deleted tells of a namespace that was deleted.
	Deleted(namespace string)
	// Lost tells that anything may have happened.
	Lost()
}

// Caller is a namespace that a call was let into. Another namespace that gets its
// name later has another hash.
type Caller struct {
	Namespace string
	TokenHash TokenHash
}

type callerKey struct{}

// CallerOf returns the caller of a call to a SharedStore, if it has one.
func CallerOf(ctx context.Context) (Caller, bool) {
	caller, ok := ctx.Value(callerKey{}).(Caller)
	return caller, ok
}

// WithCaller returns the context of a call by a caller.
func WithCaller(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// withCaller names the caller to a store that is shared.
func (c *Core) withCaller(ctx context.Context, caller Caller) context.Context {
	if c.shared == nil {
		return ctx
	}
	return WithCaller(ctx, caller)
}

// share makes the core one of several that use the store, if it can be shared.
func (c *Core) share(ctx context.Context) error {
	shared, ok := c.store.(SharedStore)
	if !ok {
		return nil
	}
	c.shared = shared
	return shared.Watch(ctx, watcher{c})
}

// lets reports whether a token that the core does not know is that of its
// namespace: a shared store may know better.
func (c *Core) lets(ctx context.Context, namespace, token string) (caller Caller, ok bool, err error) {
	if c.shared == nil {
		return Caller{}, false, nil
	}
	caller, ok, err = c.lookUp(ctx, namespace)
	return caller, caller.TokenHash.Equal(HashToken(token)) && ok, err
}

// knows reports whether there is a namespace.
func (c *Core) knows(ctx context.Context, namespace string) (caller Caller, ok bool, err error) {
	if hash, ok := c.tokens.get(namespace); ok || c.shared == nil {
		return Caller{namespace, hash}, ok, nil
	}
	return c.lookUp(ctx, namespace)
}

// lookUp remembers what a shared store says of a namespace. Without one, the caller
// has no hash.
func (c *Core) lookUp(ctx context.Context, namespace string) (caller Caller, ok bool, err error) {
	hash, err := c.shared.TokenHash(ctx, namespace)
	if hasCode(err, CodeNamespaceNotFound) {
		c.tokens.remove(namespace)
		return Caller{Namespace: namespace}, false, nil
	}
	if err == nil {
		c.tokens.set(namespace, hash)
	}
	return Caller{namespace, hash}, err == nil, err
}

// reconsider looks whether it is the caller's namespace that a shared store does not
// find any more, or another one that the call names. If it is the caller's, the
// error is what it would have been had the core known before.
func (c *Core) reconsider(ctx context.Context, cred Credentials, caller Caller, err error) error {
	if c.shared == nil || !hasCode(err, CodeNamespaceNotFound) {
		return err
	}
	now, _, storeErr := c.lookUp(ctx, caller.Namespace)
	if storeErr != nil {
		return storeErr
	}
	if now == caller || c.testMode {
		return err
	}
	if _, authErr := c.authenticate(ctx, cred); authErr != nil {
		return authErr
	}
	return err
}

// watcher passes on what other servers do.
type watcher struct{ c *Core }

func (w watcher) Written(namespace, stream string) {
	if stream == "" {
		w.c.hub.publishAll(namespace)
		return
	}
	w.c.hub.publish(namespace, stream)
}

func (w watcher) Deleted(namespace string) {
	w.c.tokens.remove(namespace)
	w.c.hub.end(namespace)
}

// Lost forgets all tokens, and ends all subscriptions: where a client had got to
// it knows itself, and goes on from there when it subscribes again.
func (w watcher) Lost() {
	w.c.tokens.clear()
	w.c.hub.endAll()
}
