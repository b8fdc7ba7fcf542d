package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
)

// What an answer may take at most. A server that sends more than that has gone
// wild, and memory is not endless.
const (
	maxHead    = 1 << 20 // status line and header, or trailer
	maxBody    = 1 << 30
	maxInterim = 100 // answers of class 1xx before the final one
)

// answerReader reads the answers that come on one connection (RFC 9112). Its
// buffers are used again for the next answer, so that an answer allocates
// nothing.
//
// Whatever could be read in two ways is malformed: figures of a misread answer are
// worth nothing.
type answerReader struct {
	in     *bufio.Reader
	head   []byte  // the lines of the header, without their ends
	fields []field // in head
	body   []byte
	events bool // the body is a stream of events, of which the first is read
}

// field is one line of a header, as offsets in answerReader.head. White space
// around the value is part of it.
type field struct{ name, colon, end int }

// framing is how the end of an answer is found, and whether another one can
// follow it.
type framing struct {
	length int64 // of the body, or one of the two below
	close  bool  // the connection ends with this answer
}

const (
	chunked    int64 = -1
	untilClose int64 = -2
)

// read reads the answer to a request of the given method. It returns io.EOF if the
// connection ends before the first byte and io.ErrUnexpectedEOF if it ends later.
// closed reports that the server will take no more requests on this connection.
func (r *answerReader) read(method string, a *Answer) (closed bool, err error) {
	version, status, err := r.readFinalHead()
	if err != nil {
		return true, err
	}
	f, err := r.framing(version, status, method)
	if err != nil {
		return true, err
	}
	r.body = r.body[:0]
	r.events = isEventStream(r.first("Content-Type"))
	f.close = f.close || r.events
	if err = r.readBody(f.length); err != nil {
		return true, noEOF(err)
	}
	if n := r.in.Buffered(); n > 0 && !f.close {
		return true, malformed("%d bytes follow its end", n)
	}
	a.Status, a.Body = status, r.body
	return f.close, nil
}

// readFinalHead skips the heads of class 1xx.
func (r *answerReader) readFinalHead() (version, status int, err error) {
	for n := 0; ; n++ {
		version, status, err = r.readHead()
		switch {
		case err != nil && n > 0:
			return 0, 0, noEOF(err)
		case err != nil:
			return 0, 0, err
		case status == 101:
			return 0, 0, malformed("it switches to another protocol, which nobody asked for")
		case status >= 200:
			return version, status, nil
		case n == maxInterim:
			return 0, 0, malformed("more than %d answers of class 1xx", maxInterim)
		}
		if _, err = r.framing(version, status, ""); err != nil { // it has no body, but must not promise nonsense
			return 0, 0, err
		}
	}
}

// readHead reads the status line and the header. The version is the 1 of HTTP/1.1.
func (r *answerReader) readHead() (version, status int, err error) {
	r.head, r.fields = r.head[:0], r.fields[:0]
	line, err := r.readLine()
	if err != nil {
		return 0, 0, err
	}
	version, status, ok := parseStatusLine(line)
	if !ok {
		return 0, 0, malformed("the status line %s", excerpt(line))
	}
	return version, status, noEOF(r.readFields())
}

// parseStatusLine reads a line such as HTTP/1.1 200 OK.
func parseStatusLine(line []byte) (version, status int, ok bool) {
	const prefix = "HTTP/1.0 200"
	if len(line) < len(prefix) || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return 0, 0, false
	}
	if len(line) > len(prefix) && line[len(prefix)] != ' ' {
		return 0, 0, false
	}
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return 0, 0, false
		}
		status = status*10 + int(c-'0')
	}
	return int(line[7] - '0'), status, isDigit(line[7]) && status >= 100
}

// readFields reads a header or a trailer and the empty line after it.
func (r *answerReader) readFields() error {
	for first := len(r.fields); ; {
		start := len(r.head)
		line, err := r.readLine()
		if err != nil || len(line) == 0 {
			return err
		}
		if isBlank(line[0]) && len(r.fields) > first && isText(line) { // the value of the line before goes on
			r.fields[len(r.fields)-1].end = len(r.head)
			continue
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || !isToken(line[:colon]) || !isText(line[colon+1:]) {
			return malformed("the header line %s", excerpt(line))
		}
		r.fields = append(r.fields, field{start, start + colon, len(r.head)})
	}
}

// readLine reads one line into the head and returns it without its end. It returns
// io.EOF if there is none.
func (r *answerReader) readLine() ([]byte, error) {
	start := len(r.head)
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.head)+len(part) > maxHead {
			return nil, malformed("a header of more than %d bytes", maxHead)
		}
		r.head = append(r.head, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && len(r.head) > start {
			err = noEOF(err)
		}
		if err != nil {
			return nil, err
		}
		line := bytes.TrimSuffix(r.head[start:len(r.head)-1], []byte("\r"))
		r.head = r.head[:start+len(line)]
		return line, nil
	}
}

// header returns the value of the first field of a name, or "".
func (r *answerReader) header(name string) string { return string(r.first(name)) }

// first is the same in the reader's own memory.
func (r *answerReader) first(name string) []byte {
	for _, f := range r.fields {
		if r.named(f, name) {
			return r.value(f)
		}
	}
	return nil
}

// named reports whether a field has a name, in any letter case.
func (r *answerReader) named(f field, name string) bool {
	return equalFold(r.head[f.name:f.colon], name)
}

func (r *answerReader) value(f field) []byte { return bytes.Trim(r.head[f.colon+1:f.end], " \t") }

// framing finds out where the answer ends (RFC 9112, section 6.3).
func (r *answerReader) framing(version, status int, method string) (framing, error) {
	f := framing{length: untilClose, close: r.closes(version)}
	coding, codings := r.only("Transfer-Encoding")
	length, lengths := r.only("Content-Length")
	n, ok := parseLength(length)
	switch {
	case codings > 1 || codings == 1 && !(equalFold(coding, "chunked") && version > 0):
		return f, malformed("the transfer coding %s in HTTP/1.%d", excerpt(coding), version)
	case lengths > 1 || lengths == 1 && !ok:
		return f, malformed("the length %s", excerpt(length))
	case method == "HEAD" || status == 204 || status == 304:
		f.length = 0
	case codings == 1:
		f.length = chunked
		f.close = f.close || lengths > 0 // both are against the rules, and may be an attack
	case lengths == 1:
		f.length = n
	default:
		f.close = true
	}
	return f, nil
}

// only returns the last value of a field, and how many values there are. Equal
// lengths count as one.
func (r *answerReader) only(name string) (value []byte, values int) {
	for _, f := range r.fields {
		if !r.named(f, name) {
			continue
		}
		v := r.value(f)
		if values == 0 || name != "Content-Length" || !bytes.Equal(v, value) {
			values++
		}
		value = v
	}
	return value, values
}

// closes reports whether the header says that the connection ends with the answer.
func (r *answerReader) closes(version int) bool {
	keep := version > 0
	for _, f := range r.fields {
		if !r.named(f, "Connection") {
			continue
		}
		for rest, more := r.value(f), true; more; {
			var option []byte
			option, rest, more = bytes.Cut(rest, []byte(","))
			option = bytes.Trim(option, " \t")
			if equalFold(option, "close") {
				return true
			}
			keep = keep || equalFold(option, "keep-alive")
		}
	}
	return !keep
}

func (r *answerReader) readBody(length int64) error {
	switch length {
	case chunked:
		return r.readChunks()
	case untilClose:
		return appendAll(&r.body, r.in, r.events)
	}
	return r.readBytes(length)
}

// readBytes adds a number of bytes to the body. Memory grows as they arrive,
// whatever length the server promised.
func (r *answerReader) readBytes(n int64) error {
	const step = 64 << 10
	if n > maxBody-int64(len(r.body)) {
		return errBodyTooLarge
	}
	for n > 0 {
		part := int(min(n, int64(max(step, len(r.body)))))
		start := len(r.body)
		r.body = slices.Grow(r.body, part)[:start+part]
		got, err := io.ReadFull(r.in, r.body[start:])
		r.body = r.body[:start+got]
		n -= int64(got)
		if err != nil {
			return err
		}
	}
	return nil
}

// readChunks adds the chunks to the body, and skips the trailer.
func (r *answerReader) readChunks() error {
	for {
		size, err := r.readChunkSize()
		if err != nil {
			return err
		}
		if size == 0 {
			return r.skipTrailer()
		}
		if err = r.readBytes(size); err != nil {
			return err
		}
		if err = r.readChunkEnd(); err != nil {
			return err
		}
		if r.events {
			if event, ok := firstEvent(r.body); ok {
				r.body = event
				return nil
			}
		}
	}
}

// readChunkSize reads a line such as 1F;name=value, which must be short.
func (r *answerReader) readChunkSize() (int64, error) {
	line, err := r.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return 0, err
	}
	text, whole := bytes.CutSuffix(line, []byte("\r\n"))
	digits, _, _ := bytes.Cut(text, []byte(";"))
	size, ok := parseHex(bytes.TrimRight(digits, " \t"))
	if err != nil || !ok || !whole || bytes.IndexByte(text, '\r') >= 0 {
		return 0, malformed("the size of a chunk in the line %s", excerpt(line))
	}
	return size, nil
}

func (r *answerReader) readChunkEnd() error {
	end, err := r.in.Peek(2)
	if err != nil {
		return err
	}
	if string(end) != "\r\n" {
		return malformed("a chunk longer than its size, by %s", excerpt(end))
	}
	_, err = r.in.Discard(2)
	return err
}

// skipTrailer reads a trailer. It is checked like a header, but kept out of it.
func (r *answerReader) skipTrailer() error {
	head, fields := len(r.head), len(r.fields)
	err := r.readFields()
	r.head, r.fields = r.head[:head], r.fields[:fields]
	return err
}

var errBodyTooLarge = &failure{errorTooLarge, errors.New("the body is larger than 1 GiB")}

// appendAll adds all that a reader has to a body, or the first event of a stream.
func appendAll(body *[]byte, in io.Reader, events bool) error {
	for {
		*body = slices.Grow(*body, 512)
		n, err := in.Read((*body)[len(*body):cap(*body)])
		*body = (*body)[:len(*body)+n]
		if events {
			if event, ok := firstEvent(*body); ok {
				*body = event
				return nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(*body) > maxBody:
			return errBodyTooLarge
		}
	}
}

// noEOF is for the end of a connection in mid-answer.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseLength reads a number of at most 18 digits.
func parseLength(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parseHex reads a hexadecimal number of at most 15 digits.
func parseHex(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 15 {
		return 0, false
	}
	for _, c := range text {
		digit := strings.IndexByte("0123456789abcdef", lower(c))
		if digit < 0 {
			return 0, false
		}
		n = n<<4 | int64(digit)
	}
	return n, true
}

// equalFold reports whether two names are equal but for the case of ASCII letters.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isToken reports whether a name has no character that a name must not have (RFC
// 9110, section 5.6.2).
func isToken(name []byte) bool {
	for _, c := range name {
		if !characters[c].inToken {
			return false
		}
	}
	return true
}

// isText reports whether a value has no control characters.
func isText(value []byte) bool {
	for _, c := range value {
		if !characters[c].inText {
			return false
		}
	}
	return true
}

// characters tells where each may stand. Most of an answer is looked up here.
var characters = func() (all [256]struct{ inToken, inText bool }) {
	for c := range all {
		all[c].inText = c >= ' ' && c != 0x7f || c == '\t'
		all[c].inToken = c > ' ' && c < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, byte(c)) < 0
	}
	return all
}()
