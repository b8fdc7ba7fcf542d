package sqlite

import (
	"errors"
	"reflect"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"
)

// room is memory outside of Go's, in which SQLite finds what statements are bound to.
// zombiezen.com/go/sqlite takes memory for each value anew, and fills it byte by byte:
// a twentieth of the work of a write. What is in the room must not be executed any more
// when it is emptied.
type room struct {
	tls  *libc.TLS
	at   uintptr
	used int
}

// roomSize holds what most messages have; the rest is bound as the library does it.
const roomSize = 64 << 10

func newRoom() (room, error) {
	r := room{tls: libc.NewTLS()}
	if r.at = libc.Xmalloc(r.tls, roomSize); r.at == 0 {
		r.tls.Close()
		return room{}, errors.New("out of memory")
	}
	return r, nil
}

func (r *room) free() {
	if r.tls != nil {
		libc.Xfree(r.tls, r.at)
		r.tls.Close()
	}
	*r = room{}
}

func (r *room) empty() { r.used = 0 }

// put copies a value into the room, and returns its address, or 0 if it does not fit.
func (r *room) put(value []byte) uintptr {
	if len(value) > roomSize-r.used {
		return 0
	}
	p := r.at + uintptr(r.used)
	copy(unsafe.Slice(at[byte](p), len(value)), value)
	r.used += len(value)
	return p
}

func (r *room) bindBytes(stmt *sqlite.Stmt, param int, value []byte) {
	p := r.put(value)
	if p == 0 || lib.Xsqlite3_bind_blob(r.tls, handle(stmt), int32(param), p, int32(len(value)), lib.SQLITE_STATIC) != lib.SQLITE_OK {
		stmt.BindBytes(param, value) // which keeps the error, too
	}
}

func (r *room) bindText(stmt *sqlite.Stmt, param int, value string) {
	p := r.put(unsafe.Slice(unsafe.StringData(value), len(value)))
	if p == 0 || lib.Xsqlite3_bind_text(r.tls, handle(stmt), int32(param), p, int32(len(value)), lib.SQLITE_STATIC) != lib.SQLITE_OK {
		stmt.BindText(param, value)
	}
}

// handle is what SQLite knows a statement by, which its package does not tell.
func handle(stmt *sqlite.Stmt) uintptr {
	return *(*uintptr)(unsafe.Add(unsafe.Pointer(stmt), handleOffset))
}

var handleOffset = func() uintptr {
	field, ok := reflect.TypeFor[sqlite.Stmt]().FieldByName("stmt")
	if !ok || field.Type.Kind() != reflect.Uintptr {
		panic("a statement of zombiezen.com/go/sqlite has its handle elsewhere")
	}
	return field.Offset
}()
