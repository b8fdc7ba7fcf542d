package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/server"
)

func TestLogHidesTokens(t *testing.T) {
	token := server.NewToken("tenant_1")
	secret := token[len(token)-64:]
	var b bytes.Buffer
	log := newLog(&b, slog.LevelDebug)
	log.Info("a request with "+token, "uri", "/rpc?token="+secret+"&x=1", "error", errors.New(`header "Authorization: Bearer `+secret+`"`))
	log.Error("a request panicked", "panic", any(http.Header{"Authorization": {"Bearer " + secret}}), "text", token[:40])
	log.Info("serving", "store", "postgres://me:"+secret+"@host/db")
	log.Info("serving", "store", "postgres://host/db?user=me&password="+secret)
	if text := b.String(); strings.Contains(text, secret) || strings.Contains(text, token[:20]) || strings.Count(text, "***") != 7 ||
		!strings.Contains(text, "x=1") || !strings.Contains(text, "@host/db") || !strings.Contains(text, "level=ERROR") {
		t.Error(text)
	}
}
