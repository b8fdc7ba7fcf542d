package powercut

import (
	"maps"
	"slices"
)

// State is what is on a disk after a power cut: the files of the directory by
// name.
type State map[string][]byte

// Disk follows a trace and knows at each moment what is on it for certain and
// what may be. A file is there for certain as it was when it was last synced,
// under the name it had when the directory was. The zero value is empty.
type Disk struct {
	files map[int]*file
	names map[string]int // in the directory when it was synced
	moves []Op           // creations and removals since
}

// file is one file: what it was, and what was done to it since.
type file struct {
	content []byte
	since   []change
}

// change is a call whose effect may be on the disk, or is there for certain but
// follows one that may be.
type change struct {
	Op
	certain bool
	doomed  bool // a sync of it failed: later ones do not bring it to the disk
}

// Do takes the next call.
func (d *Disk) Do(op Op) {
	switch op.Kind {
	case Create, Remove:
		d.moves = append(d.moves, op)
	case SyncDir:
		if !op.Failed {
			d.names = move(d.names, d.moves, func(Op) bool { return true })
			d.moves = nil
		}
	case Write, Truncate:
		f := d.file(op.File)
		f.since = append(f.since, change{Op: op})
	case Sync:
		d.file(op.File).sync(op.Failed)
	}
}

func (d *Disk) file(number int) *file {
	if d.files == nil {
		d.files = map[int]*file{}
	}
	if d.files[number] == nil {
		d.files[number] = &file{}
	}
	return d.files[number]
}

// sync brings to the disk what can be brought there. After a failed sync Linux
// takes the pages for clean, whether they were written or not, so that the next
// one succeeds without writing them (Rebello et al., "Can Applications Recover
// from fsync Failures?", USENIX ATC 2020).
func (f *file) sync(failed bool) {
	for i := range f.since {
		c := &f.since[i]
		c.certain = c.certain || !failed && !c.doomed
		c.doomed = c.doomed || failed && !c.certain
	}
	n := slices.IndexFunc(f.since, func(c change) bool { return !c.certain })
	if n < 0 {
		n = len(f.since)
	}
	for _, c := range f.since[:n] {
		f.content = c.apply(f.content)
	}
	f.since = f.since[n:]
}

// Fate decides what becomes of what is not certain.
type Fate struct {
	// Sector is the length in bytes that reaches the disk wholly or not at all,
	// wherever a write begins; 0 if that is the write.
	Sector int64
	// Kept tells of a call, and of a write's sector by number, whether it reached
	// the disk. It is asked in order.
	Kept func(op Op, sector int64) bool
}

// Pending is the number of calls whose effect is not certain.
func (d *Disk) Pending() int {
	n := len(d.moves)
	for _, f := range d.files {
		n += len(f.since)
	}
	return n
}

// Cut is the state that a power cut leaves now.
func (d *Disk) Cut(fate Fate) State {
	state := State{}
	names := move(d.names, d.moves, func(op Op) bool { return fate.Kept(op, 0) })
	for _, name := range slices.Sorted(maps.Keys(names)) {
		state[name] = d.file(names[name]).cut(fate)
	}
	return state
}

// cut is what a power cut leaves of a file. That a later call is kept and an
// earlier one is not is all that their order can matter.
func (f *file) cut(fate Fate) []byte {
	content := slices.Clone(f.content)
	for _, c := range f.since {
		for sector, part := range c.parts(fate.Sector) {
			if c.certain || fate.Kept(part, int64(sector)) {
				content = part.apply(content)
			}
		}
	}
	return content
}

// parts are a write in sectors of a length, or any call whole.
func (op Op) parts(sector int64) []Op {
	if op.Kind != Write || sector == 0 {
		return []Op{op}
	}
	var parts []Op
	for done := int64(0); done < int64(len(op.Data)); {
		part := op
		part.Offset += done
		part.Data = op.Data[done:min(done+sector-part.Offset%sector, int64(len(op.Data)))]
		done += int64(len(part.Data))
		parts = append(parts, part)
	}
	return parts
}

// apply is a file after a write or a truncation. What lies between its end and a
// write reads as zeros.
func (op Op) apply(content []byte) []byte {
	end := op.Offset + int64(len(op.Data))
	if grown := end - int64(len(content)); grown > 0 {
		content = append(content, make([]byte, grown)...)
	}
	if op.Kind == Truncate {
		return content[:op.Offset:op.Offset]
	}
	copy(content[op.Offset:], op.Data)
	return content
}

// move applies the changes of a directory that are kept.
func move(names map[string]int, moves []Op, kept func(Op) bool) map[string]int {
	moved := maps.Clone(names)
	if moved == nil {
		moved = map[string]int{}
	}
	for _, op := range moves {
		switch {
		case !kept(op):
		case op.Kind == Create:
			moved[op.Name] = op.File
		default:
			delete(moved, op.Name)
		}
	}
	return moved
}
