package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"unsafe"

	"modernc.org/libc"
)

// TestReallocate moves memory between pieces that hold a page and others. What they hold
// must go with them, as far as there is room.
func TestReallocate(t *testing.T) {
	tls := libc.NewTLS()
	defer tls.Close()
	page, other := filePieces.length, memoryPieces.length
	for _, sizes := range [][]int32{
		{1, 8, 100, page, 100}, {page, page, page + 1, page - 1, page, 1}, {page - 1, page, 3 * page, page},
		{page, other, other - 1, other, page}, {other, 1, other, other + 1, page, other},
	} {
		p, kept := allocate(tls, sizes[0]), sizes[0]
		fill(p, kept)
		for _, n := range sizes[1:] {
			p = reallocate(tls, p, n)
			if got := length(tls, p); got != n {
				t.Errorf("%v: %d bytes are %d long", sizes, n, got)
			}
			if kept = min(kept, n); !bytes.Equal(memory(p, kept), pattern(kept)) {
				t.Errorf("%v: memory of %d bytes is not what it was", sizes, n)
			}
		}
		release(tls, p)
	}
	if length(tls, 0) != 0 {
		t.Error("nothing has a length")
	}
	release(tls, 0)
}

func memory(p uintptr, n int32) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), n)
}

func pattern(n int32) []byte { return bytes.Repeat([]byte("store"), int(n))[:n] }

func fill(p uintptr, n int32) { copy(memory(p, n), pattern(n)) }

// TestPagesArePieces fills a store in memory. Each page must be such a piece, and a next
// store must take those of a closed one.
func TestPagesArePieces(t *testing.T) {
	const atOnce = 20 // the first pages of a store: SQLite takes them in one piece
	pages := fillAndClose(t)
	left := freePieces()
	if left < pages-atOnce {
		t.Errorf("%d pieces are left by a store of %d pages", left, pages)
	}
	fillAndClose(t)
	if again := freePieces(); again > left+pages/10 {
		t.Errorf("a second store left %d pieces, the first %d", again, left)
	}
}

func fillAndClose(t *testing.T) (pages int) {
	t.Helper()
	s := inMemory(t)
	for range 500 {
		m := message("a-1")
		m.Data = fmt.Appendf(nil, "%q", pattern(1000))
		if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := strconv.Atoi(pragma(t, s, "PRAGMA page_count"))
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return pages
}

func freePieces() (n int) {
	memoryPieces.mu.Lock()
	defer memoryPieces.mu.Unlock()
	for p := memoryPieces.free; p != 0; p = *at[uintptr](p) {
		n++
	}
	return n
}
