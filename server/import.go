package server

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Codes of errors within the stream that answers an import.
const (
	codeInvalidJSON   Code = "INVALID_JSON"
	codeInvalidRecord Code = "INVALID_RECORD"
	codeReadError     Code = "READ_ERROR"
	codeImportFailed  Code = "IMPORT_FAILED"

	// CodePositionExists is the error of a record whose position, global position
	// or id is taken.
	CodePositionExists Code = "POSITION_EXISTS"
)

const (
	importFrames = 1000    // records between two frames, and the most in one transaction
	importBytes  = 8 << 20 // bytes of lines after which a transaction is closed
	drain        = 8 << 20 // bytes of a body that are read after an error
)

// Record is a message to be imported, with the place it had.
type Record struct {
	NewMessage
	Position
}

// RecordError is the error of one record of a batch.
type RecordError struct {
	Index int // in the batch
	Err   *Error
}

func (e *RecordError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *RecordError) Unwrap() error { return e.Err }

// Import is an import in progress: lines of a request's body on their way into
// the namespace.
type Import struct {
	core      *Core
	namespace string
	caller    Caller // as it was when the import began
	replace   bool
	body      io.Reader
	lines     *bufio.Scanner
	line      int      // number of the last line read, from 1
	batch     []Record // the latest one
	batchLine []int    // the line of each of its records
	imported  int
	w         EventWriter
}

// Import lets a request import the lines of its body. force=true in the query
// replaces the namespace's messages. The caller must Run it.
func (c *Core) Import(ctx context.Context, cred Credentials, force string, body io.Reader) (*Import, error) {
	caller, err := c.authenticate(ctx, cred)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, MaxLine+len("\r\n"))
	return &Import{
		core: c, namespace: caller.Namespace, caller: caller, replace: force == "true",
		body: body, lines: lines,
	}, nil
}

// importFrame is the last frame of an import, or that of an error.
type importFrame struct {
	Error    Code   `json:"error,omitempty"`
	Message  string `json:"message,omitempty"`
	Line     int    `json:"line,omitempty"`
	Done     bool   `json:"done,omitempty"`
	Imported *int   `json:"imported,omitempty"`
	Elapsed  string `json:"elapsed,omitempty"`
}

// Run imports the lines and sends frames: one after each thousand records, and
// one at the end or at the first error. The error it returns is that of sending.
func (im *Import) Run(ctx context.Context, w EventWriter) error {
	begin := time.Now()
	im.w = w
	if err := im.all(ctx); err != nil {
		return im.fail(err)
	}
	elapsed := fmt.Sprintf("%.1fs", time.Since(begin).Seconds())
	return im.send(importFrame{Done: true, Imported: &im.imported, Elapsed: elapsed})
}

func (im *Import) all(ctx context.Context) (err error) {
	defer recovered(&err)
	ctx = im.core.withCaller(ctx, im.caller)
	if im.replace {
		if err := im.core.store.Replace(ctx, im.namespace, im.next); err != nil {
			return err
		}
		im.core.hub.publishAll(im.namespace)
		return nil
	}
	for {
		batch, err := im.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		err = im.core.store.Import(ctx, im.namespace, batch)
		if mayBeStored(err) {
			im.core.hub.publishAll(im.namespace)
		}
		if err != nil {
			return err
		}
	}
}

// next reports the previous batch, which has been accepted, and reads another. A
// batch ends where a frame is due, after importBytes, or with the lines. At the
// end of these the error is io.EOF.
func (im *Import) next() ([]Record, error) {
	if err := im.report(); err != nil {
		return nil, err
	}
	im.batch, im.batchLine = im.batch[:0], im.batchLine[:0]
	room, size := importFrames-im.imported%importFrames, 0
	for len(im.batch) < room && size < importBytes && im.scan() {
		size += len(im.lines.Bytes())
		if err := im.add(im.lines.Bytes()); err != nil {
			return nil, &lineError{im.line, err}
		}
	}
	if err := im.lines.Err(); err != nil {
		return nil, &lineError{im.line + 1, readError(err)}
	}
	if hash, _ := im.core.tokens.get(im.namespace); im.core.shared == nil && hash != im.caller.TokenHash {
		return nil, NamespaceNotFound(im.namespace) // deleted; another one may have its name
	}
	if len(im.batch) == 0 {
		return nil, io.EOF
	}
	return im.batch, nil
}

// scan reads the next line and reports whether there is one. A line that was
// cut off by an error is none.
func (im *Import) scan() bool {
	if !im.lines.Scan() || im.lines.Err() != nil {
		return false
	}
	im.line++
	return true
}

func readError(err error) *Error {
	message := "The body could not be read: " + err.Error()
	if errors.Is(err, bufio.ErrTooLong) {
		message = tooLong
	}
	return &Error{Code: codeReadError, Message: message}
}

var tooLong = fmt.Sprintf("The line is longer than %d bytes", MaxLine)

// add puts the record of a line into the batch; an empty line has none.
func (im *Import) add(line []byte) *Error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	if len(line) > MaxLine {
		return &Error{Code: codeReadError, Message: tooLong}
	}
	r, err := parseRecord(line)
	if err != nil {
		return err
	}
	im.batch, im.batchLine = append(im.batch, r), append(im.batchLine, im.line)
	return nil
}

// report counts the latest batch, and sends a frame after each thousand.
func (im *Import) report() error {
	im.imported += len(im.batch)
	if len(im.batch) == 0 || im.imported%importFrames > 0 {
		return nil
	}
	return im.send(struct {
		Imported int   `json:"imported"`
		Gpos     int64 `json:"gpos"`
	}{im.imported, im.batch[len(im.batch)-1].GlobalPosition})
}

// fail sends the frame of the error that ended the import. Then it reads some of
// what the client still sends: closing the connection earlier would reset it, and
// the frame could be lost.
func (im *Import) fail(err error) error {
	sendErr := im.send(im.failure(err))
	if readErr := im.lines.Err(); sendErr == nil && (readErr == nil || readErr == bufio.ErrTooLong) {
		_, _ = io.CopyN(io.Discard, im.body, drain) // the client may have left, too
	}
	return sendErr
}

// failure is the frame of the error that ended the import.
func (im *Import) failure(err error) importFrame {
	frame := importFrame{Error: codeImportFailed, Message: asError(err).Message}
	var record *RecordError
	var line *lineError
	switch {
	case errors.As(err, &record):
		frame = importFrame{Error: record.Err.Code, Message: record.Err.Message, Line: im.batchLine[record.Index]}
	case errors.As(err, &line):
		frame = importFrame{Error: line.err.Code, Message: line.err.Message, Line: line.line}
	}
	if im.replace {
		frame.Message += "; the namespace is as it was"
	} else {
		frame.Message += fmt.Sprintf("; the %d messages of the batches before are imported", im.imported)
	}
	return frame
}

// lineError is the error of one line.
type lineError struct {
	line int
	err  *Error
}

func (e *lineError) Error() string { return e.err.Error() }

// parseRecord reads one line.
func parseRecord(line []byte) (r Record, failure *Error) {
	if err := checkJSON(line); err != nil {
		return r, &Error{Code: codeInvalidJSON, Message: cmp.Or(encodingFault(line), "The line is not JSON: "+err.Error())}
	}
	r.Position.Position, r.GlobalPosition = -1, 0
	err := value{text: line}.fields(lookup{anyCase: true},
		field{"id", into(&r.ID, value.uuid)},
		field{"stream", into(&r.Stream, value.string)},
		field{"type", into(&r.Type, value.string)},
		field{"pos", into(&r.Position.Position, value.whole)},
		field{"gpos", into(&r.GlobalPosition, value.whole)},
		field{"data", into(&r.Data, value.object)},
		field{"meta", into(&r.Metadata, value.optionalObject)},
		field{"time", into(&r.Time, value.time)})
	if err == nil {
		err = r.check()
	}
	if err == errNotObject {
		err = errors.New("the line must be an object")
	}
	if err != nil {
		return r, &Error{Code: codeInvalidRecord, Message: "Record: " + err.Error()}
	}
	r.Data, r.Metadata = bytes.Clone(r.Data), bytes.Clone(r.Metadata) // the line's memory is used again
	return r, nil
}

func (r *Record) check() error {
	switch {
	case r.ID == uuid.Nil:
		return errors.New("id is missing")
	case r.Stream == "":
		return errors.New("stream is missing or empty")
	case r.Type == "":
		return errors.New("type is missing or empty")
	case r.Position.Position < 0:
		return errors.New("pos is missing or negative")
	case r.GlobalPosition < 1:
		return errors.New("gpos is missing or below 1")
	case max(r.Position.Position, r.GlobalPosition) > MaxPosition:
		return fmt.Errorf("pos or gpos is above %d", int64(MaxPosition))
	case r.Data == nil:
		return errors.New("data is missing")
	case r.Time.IsZero():
		return errors.New("time is missing")
	}
	if err := r.checkSize(); err != nil {
		return err
	}
	return nil
}

// byteOrderMarks are what texts that are not plain UTF-8 begin with, in the
// order to look for them. Editors and PowerShell write them.
var byteOrderMarks = []struct{ mark, encoding string }{
	{"\xef\xbb\xbf", "UTF-8 with a byte order mark"},
	{"\xff\xfe\x00\x00", "UTF-32"},
	{"\x00\x00\xfe\xff", "UTF-32"},
	{"\xff\xfe", "UTF-16"},
	{"\xfe\xff", "UTF-16"},
	{"{\x00\x00\x00", "UTF-32"},
	{"\x00\x00\x00{", "UTF-32"},
	{"{\x00", "UTF-16"},
	{"\x00{", "UTF-16"},
}

// encodingFault says what is wrong with a line in another encoding, and what to
// do. It is "" for others.
func encodingFault(line []byte) string {
	for _, m := range byteOrderMarks {
		if bytes.HasPrefix(line, []byte(m.mark)) {
			return "The text is " + m.encoding + "; convert it to UTF-8 without a byte order mark " +
				"(a shell's > may have written it: eventobench export --out=FILE does not)"
		}
	}
	return ""
}

// checkJSON returns an error unless a text is exactly one JSON value.
func checkJSON(text []byte) error {
	dec := getDecoder(text)
	defer putDecoder(dec)
	if _, err := dec.ReadValue(); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return errors.New("there is text after the value")
	}
	return nil
}

// whole reads a number without a fraction.
func (v value) whole() (int64, error) {
	if v.kind() != '0' {
		return 0, errNotNumber
	}
	n, err := strconv.ParseInt(string(v.text), 10, 64)
	if err != nil {
		return 0, errors.New("must be an integer")
	}
	return n, nil
}

// time reads an RFC 3339 time.
func (v value) time() (time.Time, error) {
	text, err := v.string()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.UTC().Year() < 1700 || t.UTC().Year() > 2200 { // as an export shows it
		return time.Time{}, errors.New("must be an RFC 3339 time between 1700 and 2200")
	}
	return t, nil
}

func (im *Import) send(frame any) error {
	data, err := appendJSON([]byte("data: "), frame)
	if err != nil {
		return err
	}
	return im.w.Send(append(data, "\n\n"...))
}
