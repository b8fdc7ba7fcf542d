package server

import "unicode/utf8"

// plain reads JSON that is plainly valid, in one pass. Whatever takes a second look, as
// \u, which may stand for half a character, and every mistake, it leaves to jsontext,
// which does more for each token.
type plain struct {
	text    []byte
	at      int
	foreign bool // there is more than ASCII
	spaced  bool // there was white space
}

// member is a name, in its quotes, and a value of an object.
type member struct {
	name  []byte
	value value
}

const (
	plainDepth   = 100 // how deep plain goes
	plainMembers = 64  // how many members it keeps, at most
)

// split finds the elements of the array that the text must be, and the members of those
// that are objects. It reports whether the text is plain.
func (p *plain) split(r *request) bool {
	if p.next() != '[' {
		return false
	}
	p.at++
	for more := p.next() != ']'; more; {
		p.next()
		begin, first := p.at, len(r.members)
		if !p.element(r) {
			return false
		}
		r.elements = append(r.elements, value{text: p.text[begin:p.at], members: r.members[first:]})
		var ok bool
		if more, ok = p.comma(']'); !ok {
			return false
		}
	}
	p.at++
	atEnd := p.next() == 0 && p.at == len(p.text)
	return atEnd && (!p.foreign || utf8.Valid(p.text))
}

// element moves behind a value of the array, and keeps its members.
func (p *plain) element(r *request) bool {
	if p.next() != '{' {
		return p.value(plainDepth)
	}
	p.at++
	for more := p.next() != '}'; more; {
		m, ok := p.member(plainDepth)
		if !ok || len(r.members) == plainMembers {
			return false
		}
		r.members = append(r.members, m)
		if more, ok = p.comma('}'); !ok {
			return false
		}
	}
	p.at++
	return true
}

// member returns the next name with its value.
func (p *plain) member(depth int) (m member, ok bool) {
	if m.name, ok = p.name(); !ok {
		return m, false
	}
	p.next()
	p.spaced = false
	begin := p.at
	ok = p.value(depth)
	m.value = value{text: p.text[begin:p.at], compact: !p.spaced}
	return m, ok
}

// name moves behind the next name, which it returns, and its colon.
func (p *plain) name() ([]byte, bool) {
	if p.next() != '"' {
		return nil, false
	}
	begin := p.at
	if !p.string() {
		return nil, false
	}
	name := p.text[begin:p.at]
	if p.next() != ':' {
		return nil, false
	}
	p.at++
	return name, true
}

// next moves behind white space and returns the byte there, or 0 at the end.
func (p *plain) next() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
			p.spaced = true
		default:
			return c
		}
	}
	return 0
}

// comma moves behind a comma, or to the end of an array or an object.
func (p *plain) comma(end byte) (more, ok bool) {
	switch p.next() {
	case ',':
		p.at++
		return true, true
	case end:
		return false, true
	}
	return false, false
}

// value moves behind a value, and reports whether it is plain.
func (p *plain) value(depth int) bool {
	switch p.next() {
	case '"':
		return p.string()
	case '{':
		return depth > 0 && p.object(depth-1)
	case '[':
		return depth > 0 && p.array(depth-1)
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	}
	return p.number()
}

func (p *plain) object(depth int) bool {
	p.at++
	for more := p.next() != '}'; more; {
		_, ok := p.name()
		if !ok || !p.value(depth) {
			return false
		}
		if more, ok = p.comma('}'); !ok {
			return false
		}
	}
	p.at++
	return true
}

func (p *plain) array(depth int) bool {
	p.at++
	for more := p.next() != ']'; more; {
		if !p.value(depth) {
			return false
		}
		var ok bool
		if more, ok = p.comma(']'); !ok {
			return false
		}
	}
	p.at++
	return true
}

// string moves behind a string.
func (p *plain) string() bool {
	text, i := p.text, p.at+1
	for {
		for i < len(text) && ordinary[text[i]] {
			i++
		}
		if i == len(text) {
			return false
		}
		switch c := text[i]; {
		case c == '"':
			p.at = i + 1
			return true
		case c >= utf8.RuneSelf:
			p.foreign = true
			i++
		case c != '\\' || i+1 == len(text) || !shortEscapes[text[i+1]]:
			return false
		default:
			i += 2
		}
	}
}

// ordinary has true at what stands for itself in a string and is ASCII.
var ordinary = func() (is [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

// shortEscapes has true at what stands behind a backslash, but for u.
var shortEscapes = func() (is [256]bool) {
	for _, c := range []byte(`"\/bfnrt`) {
		is[c] = true
	}
	return is
}()

func (p *plain) literal(word string) bool {
	if len(p.text)-p.at < len(word) || string(p.text[p.at:p.at+len(word)]) != word {
		return false
	}
	p.at += len(word)
	return true
}

// number moves behind a number.
func (p *plain) number() bool {
	p.skip('-', '-')
	first := p.at
	if n := p.digits(); n == 0 || n > 1 && p.text[first] == '0' {
		return false
	}
	if p.skip('.', '.') && p.digits() == 0 {
		return false
	}
	if p.skip('e', 'E') {
		p.skip('+', '-')
		return p.digits() > 0
	}
	return true
}

// skip moves behind a byte that is one of two.
func (p *plain) skip(a, b byte) bool {
	is := p.at < len(p.text) && (p.text[p.at] == a || p.text[p.at] == b)
	if is {
		p.at++
	}
	return is
}

// digits moves behind digits and returns how many they are.
func (p *plain) digits() int {
	begin := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - begin
}
