package postgres

import (
	"testing"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) server.Store { return open(t, database(t)) })
}
