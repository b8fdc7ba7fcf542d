package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
)

// MaxPiece is how many bytes one message has of what is too large for one: NATS takes
// messages of 1 MiB.
const MaxPiece = 512 << 10

// Piece is a part of something. Pieces come in order.
type Piece struct {
	Hash string `json:"sha256"` // of the whole, see HashOf
	Data []byte `json:"data"`
	Last bool   `json:"last"`
}

// HashOf is the SHA-256 of data, in hexadecimal.
func HashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Pieces cuts data, of a hash, into pieces: one at least.
func Pieces(hash string, data []byte) iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		for rest := data; ; {
			now := rest[:min(len(rest), MaxPiece)]
			rest = rest[len(now):]
			if !yield(Piece{Hash: hash, Data: now, Last: len(rest) == 0}) || len(rest) == 0 {
				return
			}
		}
	}
}

// What may be wrong with pieces.
var (
	ErrTooLarge   = errors.New("too large")
	ErrIncomplete = errors.New("incomplete")
)

// Assembly puts pieces together.
type Assembly struct{ received []byte }

// Add takes in a piece of something of at most so many bytes. With the last it is
// complete, and the next piece is of something else, as it is after an error.
func (a *Assembly) Add(p Piece, most int) (data []byte, complete bool, err error) {
	if len(a.received)+len(p.Data) > most {
		a.received = nil
		return nil, false, ErrTooLarge
	}
	a.received = append(a.received, p.Data...)
	if !p.Last {
		return nil, false, nil
	}
	data, a.received = a.received, nil
	if HashOf(data) != p.Hash {
		return nil, false, ErrIncomplete
	}
	return data, true, nil
}
