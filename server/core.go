package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	defaultBody      = 1 << 20
	defaultMaxBatch  = 10000
	defaultHeartbeat = 15 * time.Second
)

// Options say how a Core behaves.
type Options struct {
	Codec    Codec
	TestMode bool   // let requests in without a valid token; for loopback only
	Token    string // of the default namespace, if that is new; drawn if empty
	Version  string // what sys.version says

	MaxBody   int           // bytes of a request's body; 0 for 1 MiB
	MaxBatch  int64         // messages in an answer, unless it is without limit; 0 for 10000
	Failures  int           // wrong tokens a second from one address; 0 for 10
	Heartbeat time.Duration // within which a subscriber that is gone is noticed; 0 for 15 s
}

// Core answers calls, the same way for every transport.
type Core struct {
	store    Store
	shared   SharedStore // the store, if it is one; else nil
	library  *library    // of the codec; nil for raw
	testMode bool
	version  string

	maxBody   int
	maxBatch  int64
	heartbeat time.Duration

	tokens   tokenTable
	failures *failures
	hub      hub
	admin    sync.Mutex // held while a namespace is created or deleted, in the store and here
}

// NewCore opens the core of a store and makes sure of the default namespace.
// It returns the default namespace's token if it has just drawn it, else "".
func NewCore(ctx context.Context, store Store, o Options) (core *Core, drawn string, err error) {
	if err := o.Codec.check(); err != nil {
		return nil, "", err
	}
	c := &Core{
		store: store, library: libraries[o.Codec], testMode: o.TestMode, version: o.Version,
		maxBody:   cmp.Or(o.MaxBody, defaultBody),
		maxBatch:  cmp.Or(o.MaxBatch, defaultMaxBatch),
		heartbeat: cmp.Or(o.Heartbeat, defaultHeartbeat),
		failures:  newFailures(cmp.Or(o.Failures, defaultFailures)),
	}
	if err := c.share(ctx); err != nil {
		return nil, "", fmt.Errorf("listening to other servers on the store: %w", err)
	}
	namespaces, err := store.Namespaces(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("reading the namespaces: %w", err)
	}
	for _, n := range namespaces {
		c.tokens.set(n.Name, n.TokenHash)
	}
	drawn, err = c.ensureDefault(ctx, o.Token)
	return c, drawn, err
}

// ensureDefault creates the default namespace if it does not exist. A token
// that is given must fit the one that is stored.
func (c *Core) ensureDefault(ctx context.Context, token string) (drawn string, err error) {
	if token != "" {
		if namespace, err := ParseToken(token); err != nil || namespace != DefaultNamespace {
			return "", fmt.Errorf("the token given is not one of namespace %q: "+
				"it must be ns_ZGVmYXVsdA_ and 64 hexadecimal digits", DefaultNamespace)
		}
	}
	if stored, ok := c.tokens.get(DefaultNamespace); ok {
		if token != "" && !stored.Equal(HashToken(token)) {
			return "", errors.New("the store has another token for its default namespace; " +
				"start without --token to keep that one")
		}
		return "", nil
	}
	if token == "" {
		token = NewToken(DefaultNamespace)
		drawn = token
	}
	_, err = c.createNamespace(ctx, DefaultNamespace, "Default namespace", token)
	if c.shared != nil && hasCode(err, CodeNamespaceExists) { // by another server, at the same time
		if _, _, err = c.lookUp(ctx, DefaultNamespace); err == nil && drawn == "" {
			return c.ensureDefault(ctx, token)
		}
		return "", err
	}
	return drawn, err
}

// createNamespace stores a new namespace and lets its token in.
func (c *Core) createNamespace(ctx context.Context, name, description, token string) (Namespace, error) {
	c.admin.Lock()
	defer c.admin.Unlock()
	name = strings.Clone(name) // it may be a request's, and is kept
	n := Namespace{Name: name, Description: description, TokenHash: HashToken(token), Created: time.Now().UTC()}
	if err := c.store.CreateNamespace(ctx, n); err != nil {
		return Namespace{}, err
	}
	c.tokens.set(name, n.TokenHash)
	return n, nil
}

// deleteNamespace removes a namespace, its token and its subscriptions.
func (c *Core) deleteNamespace(ctx context.Context, name string) (messages int64, err error) {
	c.admin.Lock()
	defer c.admin.Unlock()
	if messages, err = c.store.DeleteNamespace(ctx, name); err != nil {
		return 0, err
	}
	c.tokens.remove(name)
	c.hub.end(name)
	return messages, nil
}

// Credentials are what a request shows to be let in.
type Credentials struct {
	Authorization string   // the header
	Token         string   // the token parameter of the query, which wins if not empty
	Remote        net.Addr // of the client
}

// Call answers one call in JSON and appends the answer, a JSON value, to dst. A
// long answer of rows is only begun: what follows it is its Tail. Neither the
// credentials nor the body are kept.
func (c *Core) Call(ctx context.Context, cred Credentials, body, dst []byte) Answer {
	return c.call(ctx, Request{Credentials: cred, Body: body}, dst)
}

// call is Call in the protocol of the request.
func (c *Core) call(ctx context.Context, r Request, dst []byte) Answer {
	call := calls.Get().(*call)
	defer call.release()
	call.core, call.encoder = c, c.encoder(r.Protocol)
	answer, err := call.answer(ctx, r, dst)
	if err != nil {
		return r.Protocol.AppendError(dst, err)
	}
	return Answer{Status: 200, Protocol: r.Protocol, Body: answer, Tail: call.tail}
}

var calls = sync.Pool{New: func() any {
	call := new(call)
	call.addRow = call.pager.add
	return call
}}

// call is one call while it is answered.
type call struct {
	request
	core      *Core
	encoder   encoder
	namespace string
	category  string               // of a query
	pager     pager                // of an answer of rows
	addRow    func(*Message) error // the pager's, made once
	tail      *Tail                // of an answer that is long
}

func (call *call) release() {
	clear(call.elements)
	clear(call.members)
	call.elements, call.members = call.elements[:0], call.members[:0]
	call.message.Call = nil
	call.core, call.encoder, call.namespace, call.category, call.pager, call.tail = nil, nil, "", "", pager{}, nil
	calls.Put(call)
}

func (call *call) answer(ctx context.Context, r Request, dst []byte) (answer []byte, err error) {
	defer recovered(&err)
	caller, err := call.core.authenticate(ctx, r.Credentials)
	if err != nil {
		return nil, err
	}
	call.namespace = caller.Namespace
	method, err := call.core.decodeCall(r.Protocol, r.Body, &call.request)
	if err != nil {
		return nil, err
	}
	answer, err = method(call.core.withCaller(ctx, caller), call, dst)
	return answer, call.core.reconsider(ctx, r.Credentials, caller, err)
}
