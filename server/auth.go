package server

import (
	"context"
	"strings"
	"sync"
)

// tokenTable holds the token hash of every namespace in memory, so that
// letting a request in asks nothing of the store. The zero value is empty.
type tokenTable struct {
	mu     sync.RWMutex
	hashes map[string]tokenEntry
}

type tokenEntry struct {
	hash      TokenHash
	namespace string // the key, for who has it in memory of somebody else
}

func (t *tokenTable) get(namespace string) (TokenHash, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	entry, ok := t.hashes[namespace]
	return entry.hash, ok
}

// holder returns the namespace of a name, as a caller, if a token is that of it. It
// does the same work whether there is such a namespace or not.
func (t *tokenTable) holder(name []byte, token string) (caller Caller, ok bool) {
	t.mu.RLock()
	entry, ok := t.hashes[string(name)]
	t.mu.RUnlock()
	return Caller{entry.namespace, entry.hash}, entry.hash.Equal(HashToken(token)) && ok
}

func (t *tokenTable) set(namespace string, hash TokenHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hashes == nil {
		t.hashes = map[string]tokenEntry{}
	}
	t.hashes[namespace] = tokenEntry{hash, namespace}
}

func (t *tokenTable) remove(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.hashes, namespace)
}

func (t *tokenTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.hashes)
}

// authenticate returns the namespace that a request may act on, with the hash that
// its token was compared with: the table of tokens may forget it at any time.
func (c *Core) authenticate(ctx context.Context, cred Credentials) (Caller, error) {
	token, err := cred.token()
	if c.testMode {
		return c.admit(ctx, token)
	}
	if err != nil {
		return Caller{}, err
	}
	var room [64]byte // holds most names
	name, malformed := appendNamespace(room[:0], token)
	if malformed == nil {
		if caller, ok := c.tokens.holder(name, token); ok {
			return caller, nil
		}
	}
	namespace := string(name)
	if wait := c.failures.wait(cred.Remote); wait > 0 {
		return Caller{}, tooManyFailures(wait)
	}
	if malformed == nil {
		if caller, ok, err := c.lets(ctx, namespace, token); ok || err != nil {
			return caller, err
		}
	}
	c.failures.add(cred.Remote)
	return Caller{}, refused(namespace, malformed)
}

// refused is the error of a token that is not good. Whether there is such a
// namespace makes no difference to it.
func refused(namespace string, malformed error) *Error {
	if malformed != nil {
		return &Error{
			Code:    CodeAuthInvalidToken,
			Message: "The token is not well formed",
			Details: map[string]any{"error": malformed.Error()},
		}
	}
	return &Error{
		Code:    CodeAuthUnauthorized,
		Message: "The token is not valid for this namespace",
		Details: map[string]any{"namespace": namespace},
	}
}

// token finds the token, or returns an AUTH_REQUIRED Error.
func (cred Credentials) token() (string, error) {
	if cred.Token != "" {
		return cred.Token, nil
	}
	token, ok := strings.CutPrefix(cred.Authorization, "Bearer ")
	if !ok || token == "" {
		return "", &Error{Code: CodeAuthRequired, Message: "A token is required: Authorization: Bearer TOKEN"}
	}
	return token, nil
}

// admit lets everyone in, as test mode does: into the namespace of a well-formed
// token, or else into the default one. It is created if it does not exist.
func (c *Core) admit(ctx context.Context, token string) (Caller, error) {
	namespace, err := ParseToken(token)
	if err != nil {
		namespace, token = DefaultNamespace, ""
	}
	if caller, ok, err := c.knows(ctx, namespace); ok || err != nil {
		return caller, err
	}
	if token == "" {
		token = NewToken(namespace)
	}
	n, err := c.createNamespace(ctx, namespace, "", token)
	if hasCode(err, CodeNamespaceExists) { // by a request at the same time, perhaps of another server
		caller, _, err := c.knows(ctx, namespace)
		return caller, err
	}
	return Caller{namespace, n.TokenHash}, err
}

// mayAdminister returns an error unless the caller's token is good for a
// namespace: that of the default namespace is for all, any other for its own only. The empty
// name stands for all of them.
func (call *call) mayAdminister(namespace string) error {
	if call.core.testMode || call.namespace == DefaultNamespace || call.namespace == namespace {
		return nil
	}
	return &Error{
		Code:    CodeAuthUnauthorized,
		Message: "Only the default namespace's token may do this to other namespaces",
		Details: map[string]any{"namespace": call.namespace},
	}
}
