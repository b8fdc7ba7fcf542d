package server

import "fmt"

// Limits of a message. They are the same for every server, however large its
// --max-body: whatever one server exports, any other one imports, and what
// could not be imported is refused when it is written.
const (
	// MaxLine is the size in bytes of the longest line of an export, and so of
	// the largest message.
	MaxLine = 16 << 20
	// MaxDepth is how deep data and metadata may be nested. Go's JSON readers
	// stop at 10000; an answer puts a message into two arrays.
	MaxDepth = 10000 - 2
	// MaxPosition is the highest position and global position: clients read them
	// as floating-point numbers, which are exact up to here.
	MaxPosition = 1<<53 - 1
)

// lineFrame is a line without what differs in size from message to message.
// Numbers and the time are as long as they can be.
const lineFrame = `{"id":"00000000-0000-4000-8000-000000000000","stream":,"type":,` +
	`"pos":9007199254740991,"gpos":9007199254740991,"data":,"meta":,"time":"2000-01-02T03:04:05.123456789Z"}`

// checkSize returns an error if the message would not fit in a line.
func (m *NewMessage) checkSize() error {
	const escaped = 6 // bytes that a byte of a name takes at most
	size := len(lineFrame) + len(m.Data) + max(len(m.Metadata), len("null"))
	if size+escaped*(len(m.Stream)+len(m.Type))+len(`""""`) <= MaxLine {
		return nil
	}
	size += len(appendString(nil, []byte(m.Stream))) + len(appendString(nil, []byte(m.Type)))
	if size > MaxLine {
		return fmt.Errorf("it takes %d bytes as a line of an export; the limit is %d", size, MaxLine)
	}
	return nil
}

// tooDeep reports whether valid JSON is nested deeper than MaxDepth.
func tooDeep(text []byte) bool {
	if len(text) <= 2*MaxDepth { // a level takes two brackets
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
		case '{', '[':
			depth++
			if depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}
