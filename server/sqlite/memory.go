package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	lib "modernc.org/sqlite/lib"
)

// SQLite keeps a page and what it knows of it in one piece of memory, of a little
// more than 4 or 8 KiB, and modernc.org/libc's allocator would give it twice that, a power
// of two. So SQLite's memory is taken from there by way of the functions below, which cut
// pieces of these sizes from large ones. All others are libc's.
//
// As in SQLite's own functions for systems whose allocator does not tell, the length
// of a piece is in front of it.

const (
	lengthSize = 8
	slabSize   = 1<<20 - 64 // with libc's header within a power of two

	filePage   = 4096 // SQLite's default
	memoryPage = 8192 // of a store in memory: pages are split less often, and have fewer headers
)

// pieces are the pieces of memory that hold a page of some size each. Those that were
// used go from one page to the next, and are not given back.
type pieces struct {
	mu     sync.Mutex
	length int32   // of a page with its header; no other piece has it
	free   uintptr // the first of a list; each has the address of the next
	slab   uintptr // what is left of the last large piece
	left   types.Size_t
}

var filePieces, memoryPieces pieces

// piecesOf are those of a length, if it is that of a page.
func piecesOf(length int32) *pieces {
	switch length {
	case filePieces.length:
		return &filePieces
	case memoryPieces.length:
		return &memoryPieces
	}
	return nil
}

// memoryError is why SQLite could not be told. It is told before anybody in the program
// can have opened a connection: later it refuses.
var memoryError = useMemory()

// useMemory has SQLite take its memory by the functions below.
func useMemory() error {
	tls := libc.NewTLS()
	defer tls.Close()
	// What SQLite reads and writes is outside of Go's memory.
	space := libc.Xcalloc(tls, 1, types.Size_t(unsafe.Sizeof(lib.Tsqlite3_mem_methods{})))
	if space == 0 {
		return errors.New("out of memory")
	}
	defer libc.Xfree(tls, space)
	if err := configure(tls, lib.SQLITE_CONFIG_PCACHE_HDRSZ, space); err != nil {
		return err
	}
	filePieces.length = filePage + *at[int32](space)
	memoryPieces.length = memoryPage + *at[int32](space)
	if err := configure(tls, lib.SQLITE_CONFIG_GETMALLOC, space); err != nil {
		return err
	}
	methods := at[lib.Tsqlite3_mem_methods](space)
	methods.FxMalloc, methods.FxFree = function(allocate), function(release)
	methods.FxRealloc, methods.FxSize = function(reallocate), function(length)
	return configure(tls, lib.SQLITE_CONFIG_MALLOC, space)
}

func configure(tls *libc.TLS, option int32, argument uintptr) error {
	list := libc.NewVaList(argument)
	defer libc.Xfree(tls, list)
	if code := lib.Xsqlite3_config(tls, option, list); code != lib.SQLITE_OK {
		return fmt.Errorf("sqlite3_config(%d): result code %d", option, code)
	}
	return nil
}

// function is a Go function as SQLite calls it: the address of its closure.
func function[T any](f T) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// at is what SQLite has at an address.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

func length(_ *libc.TLS, p uintptr) int32 {
	if p == 0 {
		return 0
	}
	return int32(*at[int64](p - lengthSize))
}

func allocate(tls *libc.TLS, n int32) uintptr {
	var p uintptr
	if pieces := piecesOf(n); pieces != nil {
		p = pieces.take(tls)
	} else {
		p = libc.Xmalloc(tls, types.Size_t(n)+lengthSize)
	}
	if p == 0 {
		return 0
	}
	*at[int64](p) = int64(n)
	return p + lengthSize
}

func release(tls *libc.TLS, p uintptr) {
	if p == 0 {
		return
	}
	if pieces := piecesOf(length(tls, p)); pieces != nil {
		pieces.put(p - lengthSize)
		return
	}
	libc.Xfree(tls, p-lengthSize)
}

func reallocate(tls *libc.TLS, p uintptr, n int32) uintptr {
	old := length(tls, p)
	if old == n {
		return p
	}
	if piecesOf(old) == nil && piecesOf(n) == nil {
		if p = libc.Xrealloc(tls, p-lengthSize, types.Size_t(n)+lengthSize); p == 0 {
			return 0
		}
		*at[int64](p) = int64(n)
		return p + lengthSize
	}
	fresh := allocate(tls, n)
	if fresh != 0 {
		libc.Xmemcpy(tls, fresh, p, types.Size_t(min(old, n)))
		release(tls, p)
	}
	return fresh
}

func (p *pieces) take(tls *libc.TLS) uintptr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if piece := p.free; piece != 0 {
		p.free = *at[uintptr](piece)
		return piece
	}
	size := types.Size_t(p.length) + lengthSize
	if p.left < size {
		slab := libc.Xmalloc(tls, slabSize)
		if slab == 0 {
			return 0
		}
		p.slab, p.left = slab, slabSize
	}
	piece := p.slab
	p.slab += uintptr(size)
	p.left -= size
	return piece
}

func (p *pieces) put(piece uintptr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*at[uintptr](piece) = p.free
	p.free = piece
}
