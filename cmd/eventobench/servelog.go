package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
)

// secrets are what no log line and no list of arguments may show: tokens, whole
// or mistyped, what stands where a token does, and the password in a URL, also in its query.
var secrets = regexp.MustCompile(`(?i)((?:bearer(?:\s|%20|\+)+|(?:token|password)=|://[^\s:/@]*:))[^\s"'&@]+|\bns_[a-z0-9_%-]+`)

// hideSecrets replaces the secrets of a text.
func hideSecrets(text string) string { return secrets.ReplaceAllString(text, "${1}***") }

// newLog is a log that hides secrets, whoever writes to it.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hideInAttr}))
}

func hideInAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(hideSecrets(a.Value.String()))
	case slog.KindAny:
		if _, level := a.Value.Any().(slog.Level); !level {
			a.Value = slog.StringValue(hideSecrets(fmt.Sprint(a.Value.Any())))
		}
	}
	return a
}

// hideArguments takes the secrets out of what /debug/vars and /debug/pprof/cmdline
// show of the command line.
func hideArguments() {
	for i, arg := range os.Args {
		os.Args[i] = hideSecrets(arg)
	}
}
