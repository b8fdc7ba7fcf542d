package workload

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Error says what is wrong at a place in a file.
type Error struct {
	File         string
	Line, Column int // from 1; the column is counted in characters, and 0 if it is not known
	Text         string
}

func (e *Error) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// errorAt returns an error about the place in a text that is offset bytes from its
// start.
func errorAt(file, text string, offset int, format string, args ...any) error {
	before := text[:min(offset, len(text))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &Error{
		File: file, Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(line) + 1,
		Text: fmt.Sprintf(format, args...),
	}
}

// readText reads a file as decode does: decodeText or decodeLog.
func readText(file string, decode func(file string, data []byte) (string, error)) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the workload: %w", err)
	}
	return decode(file, data)
}

// decodeText returns what a file says: in UTF-8, with or without a byte order mark,
// or in UTF-16 with one, as PowerShell writes it. Other bytes would not reach agents as they
// are.
func decodeText(file string, data []byte) (string, error) {
	text, err := decodeLog(file, data)
	if err != nil {
		return "", err
	}
	for at, c := range text {
		if c == utf8.RuneError && !strings.HasPrefix(text[at:], string(utf8.RuneError)) {
			return "", errorAt(file, text, at, "the byte 0x%x is not UTF-8; save the file as UTF-8", text[at])
		}
	}
	return text, nil
}

// decodeLog is like decodeText, but leaves bytes that are not UTF-8 as they are: some servers
// log whatever they are sent.
func decodeLog(file string, data []byte) (string, error) {
	decoded, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	text := string(decoded)
	if at := strings.IndexByte(text, 0); at >= 0 {
		return "", errorAt(file, text, at,
			"a zero byte: this is no text, or UTF-16 without a byte order mark; save it as UTF-8")
	}
	return text, nil
}

// contentName names a workload by its file and by a hash of what is sent, so that
// runs of different content are never taken for the same.
func contentName(file string, content []byte) string {
	return fmt.Sprintf("%s (sha256 %.6x)", filepath.Base(file), sha256.Sum256(content))
}
