package server

// scanner goes through the inside of an object or array in JSON that is known to be
// valid: the whole request was read strictly, and is not read so again for every
// part of it. Text that is not valid gives wrong values, and no worse.
type scanner struct {
	text []byte
	at   int
}

// more moves to the next name or value, if there is one.
func (s *scanner) more() bool {
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r', ',', ':':
		case '}', ']':
			return false
		default:
			return true
		}
	}
	return false
}

// value returns the next name or value.
func (s *scanner) value() value {
	if !s.more() {
		return value{}
	}
	begin := s.at
	spaced := s.skip()
	return value{text: s.text[begin:s.at], compact: !spaced}
}

// skip moves behind a value, and reports whether it has white space inside.
func (s *scanner) skip() (spaced bool) {
	depth := 0
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '"':
			s.at = stringEnd(s.text, s.at)
			if depth == 0 {
				s.at++
				return spaced
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth < 0 { // the end of what the value is in
				return spaced
			}
			if depth == 0 {
				s.at++
				return spaced
			}
		case ',':
			if depth == 0 {
				return spaced
			}
		case ' ', '\t', '\n', '\r':
			if depth == 0 {
				return spaced
			}
			spaced = true
		}
	}
	return spaced
}

// stringEnd returns where the JSON string that begins at i has its last quote.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return min(i, len(text)-1)
}
