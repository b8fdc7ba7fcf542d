package server

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Code names a kind of error on the wire.
type Code string

// The codes of answers.
const (
	CodeInvalidRequest    Code = "INVALID_REQUEST"
	CodeAuthRequired      Code = "AUTH_REQUIRED"
	CodeAuthInvalidToken  Code = "AUTH_INVALID_TOKEN"
	CodeAuthUnauthorized  Code = "AUTH_UNAUTHORIZED"
	CodeAuthRateLimited   Code = "AUTH_RATE_LIMITED"
	CodeMethodNotFound    Code = "METHOD_NOT_FOUND"
	CodeNamespaceNotFound Code = "NAMESPACE_NOT_FOUND"
	CodeNotFound          Code = "NOT_FOUND"
	CodeVersionConflict   Code = "STREAM_VERSION_CONFLICT"
	CodeNamespaceExists   Code = "NAMESPACE_EXISTS"
	CodeMessageExists     Code = "MESSAGE_EXISTS"
	CodeBackendError      Code = "BACKEND_ERROR"
	CodeInternalError     Code = "INTERNAL_ERROR"
)

// statuses is the one place where codes become HTTP statuses.
var statuses = map[Code]int{
	CodeInvalidRequest:    400,
	CodeAuthRequired:      401,
	CodeAuthInvalidToken:  401,
	CodeAuthUnauthorized:  403,
	CodeAuthRateLimited:   429,
	CodeMethodNotFound:    404,
	CodeNamespaceNotFound: 404,
	CodeNotFound:          404,
	CodeVersionConflict:   409,
	CodeNamespaceExists:   409,
	CodeMessageExists:     409,
	CodeBackendError:      500,
	CodeInternalError:     500,
}

// Error is a failure as the client is told of it.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // begins with a capital letter, and has no period at the end
	Details any    `json:"details,omitempty"`

	retryAfter time.Duration // how long the client should wait before it tries again; 0 if that does not help
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// status is the HTTP status of an answer with the error.
func (e *Error) status() int {
	if status, ok := statuses[e.Code]; ok {
		return status
	}
	return 500
}

// asError turns any error into one for the client. What the store could not do
// is its own fault, not the caller's.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeBackendError, Message: "The store failed: " + err.Error()}
}

func hasCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// recovered ends a function that panicked with an error: whatever is wrong with
// one request, the others go on. It is to be deferred.
func recovered(err *error) {
	if p := recover(); p != nil {
		slog.Error("a request panicked", "panic", p, "stack", string(debug.Stack()))
		*err = &Error{Code: CodeInternalError, Message: "The server failed to answer; its log says why"}
	}
}

func invalid(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

// invalidText is an error of something that could not be parsed, with the
// parser's words.
func invalidText(message string, err error) *Error {
	return &Error{Code: CodeInvalidRequest, Message: message, Details: map[string]any{"error": err.Error()}}
}

// VersionConflict is the error of a write that expected another version.
func VersionConflict(expected, actual int64) *Error {
	return &Error{
		Code:    CodeVersionConflict,
		Message: fmt.Sprintf("Expected version %d, stream is at version %d", expected, actual),
		Details: versionDetails{Expected: expected, Actual: actual},
	}
}

// tooManyFailures is the error of a token that is not looked at, since too many
// from its address were wrong.
func tooManyFailures(wait time.Duration) *Error {
	return &Error{
		Code:       CodeAuthRateLimited,
		Message:    "Too many wrong tokens came from this address",
		retryAfter: wait,
	}
}

type versionDetails struct {
	Expected int64 `json:"expected"`
	Actual   int64 `json:"actual"`
}

// MessageExists is the error of a message id that was used before.
func MessageExists(id fmt.Stringer) *Error {
	return &Error{Code: CodeMessageExists, Message: fmt.Sprintf("A message with id %s exists in this namespace", id)}
}

// PositionsUsedUp is the error of a write behind MaxPosition.
func PositionsUsedUp() *Error {
	message := fmt.Sprintf("The last position, %d, is used: no message can be behind it", int64(MaxPosition))
	return &Error{Code: CodeBackendError, Message: message}
}

// NamespaceNotFound is the error of a namespace that does not exist.
func NamespaceNotFound(name string) *Error {
	return &Error{Code: CodeNamespaceNotFound, Message: fmt.Sprintf("Namespace %q does not exist", name)}
}

// NamespaceExists is the error of a namespace that exists already.
func NamespaceExists(name string) *Error {
	return &Error{Code: CodeNamespaceExists, Message: fmt.Sprintf("Namespace %q exists already", name)}
}

// Replaced is the error of going on to read messages that have been replaced
// meanwhile.
func Replaced(name string) *Error {
	message := fmt.Sprintf("The messages of namespace %q were replaced while they were read", name)
	return &Error{Code: CodeNamespaceNotFound, Message: message}
}
