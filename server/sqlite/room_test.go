package sqlite

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/server"
)

// TestRoom writes messages that fit in the room, fill it, and do not fit, the small after
// the large: each must be read as it was written.
func TestRoom(t *testing.T) {
	store, err := Open(Memory, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.CreateNamespace(t.Context(), server.Namespace{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, 1, 1000, roomSize - 17, roomSize - 16, roomSize, 3 * roomSize, 2, roomSize / 2}
	message := func(i int) server.NewMessage {
		text := bytes.Repeat([]byte{'a' + byte(i)}, sizes[i])
		return server.NewMessage{
			ID: uuid.UUID{byte(i)}, Stream: "a-1", Type: strings.Repeat("T", 1+sizes[i]/3), Data: text, Metadata: text[:len(text)/2],
			Time: time.Unix(0, int64(i)),
		}
	}
	for i := range sizes {
		if _, err := store.Write(t.Context(), "n", message(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	read := 0
	err = store.Read(t.Context(), "n", server.Query{Stream: "a-1", Limit: -1}, func(m *server.Message) error {
		want := message(read)
		if m.ID != want.ID || string(m.Type) != want.Type || !bytes.Equal(m.Data, want.Data) || !bytes.Equal(m.Metadata, want.Metadata) {
			t.Errorf("message %d of %d bytes is %.20s %.20s %.20s", read, sizes[read], m.Type, m.Data, m.Metadata)
		}
		read++
		return nil
	})
	if err != nil || read != len(sizes) {
		t.Errorf("%d of %d messages were read: %v", read, len(sizes), err)
	}
}
