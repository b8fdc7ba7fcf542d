package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// DefaultNamespace exists from the start. Its token administers all others.
const DefaultNamespace = "default"

const (
	tokenPrefix  = "ns_"
	secretDigits = 64
)

// TokenHash is what the store keeps of a token: the SHA-256 of its text.
type TokenHash [sha256.Size]byte

// HashToken hashes the text of a token.
func HashToken(token string) TokenHash {
	var text [128]byte // holds most tokens, so that hashing one needs no memory
	return sha256.Sum256(append(text[:0], token...))
}

// Equal compares in constant time.
func (h TokenHash) Equal(other TokenHash) bool {
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}

// NewToken draws a token for a namespace.
func NewToken(namespace string) string {
	var secret [secretDigits / 2]byte
	_, _ = rand.Read(secret[:]) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(namespace)) + "_" + hex.EncodeToString(secret[:])
}

// ParseToken returns the namespace a token is for, if it is well formed.
func ParseToken(token string) (namespace string, err error) {
	name, err := appendNamespace(nil, token)
	return string(name), err
}

var nameEncoding = base64.RawURLEncoding.Strict()

// appendNamespace is ParseToken into memory there is already. The encoded
// namespace may hold "_" itself, so the last one divides.
func appendNamespace(dst []byte, token string) ([]byte, error) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return nil, errors.New("a token begins with ns_")
	}
	divide := strings.LastIndexByte(rest, '_')
	if divide < 0 {
		return nil, errors.New("a token has a namespace and a secret, divided by _")
	}
	encoded, secret := rest[:divide], rest[divide+1:]
	if len(secret) != secretDigits || !isHex(secret) {
		return nil, errors.New("a token ends with 64 hexadecimal digits")
	}
	name, err := nameEncoding.AppendDecode(dst, []byte(encoded))
	if err != nil {
		return nil, errors.New("a token's namespace is base64url without padding")
	}
	if len(name) == 0 {
		return nil, errors.New("a token's namespace is not empty")
	}
	return name, nil
}

func isHex(s string) bool {
	for i := range len(s) {
		if !hexDigits[s[i]] {
			return false
		}
	}
	return true
}

// hexDigits has true at those.
var hexDigits = func() (is [256]bool) {
	for _, c := range []byte("0123456789abcdefABCDEF") {
		is[c] = true
	}
	return is
}()
