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
// more than 4 KiB, and modernc.org/libc's allocator would give it 8 KiB, a power of two.
// So SQLite's memory is taken from there by way of the functions below, which cut
// pieces of that size from large ones. All others are libc's.
//
// As in SQLite's own functions for systems whose allocator does not tell, the length
// of a piece is in front of it.

const (
	lengthSize = 8
	pageSize   = 4096       // SQLite's default
	slabSize   = 1<<20 - 64 // with libc's header within a power of two
)

// pieces are the pieces of memory that hold a page each. Those that were used go from
// one page to the next, and are not given back.
var pieces struct {
	mu     sync.Mutex
	length int32   // of a page with its header; no other piece has it
	free   uintptr // the first of a list; each has the address of the next
	slab   uintptr // what is left of the last large piece
	left   types.Size_t
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
	pieces.length = pageSize + *at[int32](space)
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
	if n == pieces.length {
		p = takePiece(tls)
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
	switch {
	case p == 0:
	case length(tls, p) == pieces.length:
		putPiece(p - lengthSize)
	default:
		libc.Xfree(tls, p-lengthSize)
	}
}

func reallocate(tls *libc.TLS, p uintptr, n int32) uintptr {
	old := length(tls, p)
	if old == n {
		return p
	}
	if old != pieces.length && n != pieces.length {
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

func takePiece(tls *libc.TLS) uintptr {
	pieces.mu.Lock()
	defer pieces.mu.Unlock()
	if p := pieces.free; p != 0 {
		pieces.free = *at[uintptr](p)
		return p
	}
	size := types.Size_t(pieces.length) + lengthSize
	if pieces.left < size {
		slab := libc.Xmalloc(tls, slabSize)
		if slab == 0 {
			return 0
		}
		pieces.slab, pieces.left = slab, slabSize
	}
	p := pieces.slab
	pieces.slab += uintptr(size)
	pieces.left -= size
	return p
}

func putPiece(p uintptr) {
	pieces.mu.Lock()
	defer pieces.mu.Unlock()
	*at[uintptr](p) = pieces.free
	pieces.free = p
}
