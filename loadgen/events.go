package loadgen

import "bytes"

// Of a stream of events (HTML standard, section 9.2), which has no end, an answer is
// the first event: its latency is the time until that was there. The rest is left,
// and the connection with it.

// isEventStream reports whether a Content-Type is that of a stream of events.
func isEventStream(contentType []byte) bool {
	mediaType, _, _ := bytes.Cut(contentType, []byte(";"))
	return equalFold(bytes.TrimSpace(mediaType), "text/event-stream")
}

// firstEvent returns the beginning of a stream up to the end of its first event: lines
// of which one has data, and an empty line. It is false if the stream has none yet.
func firstEvent(stream []byte) ([]byte, bool) {
	data := false
	for rest := stream; ; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return nil, false
		}
		line := bytes.TrimSuffix(rest[:end], []byte("\r"))
		rest = rest[end+1:]
		if len(line) == 0 && data {
			return stream[:len(stream)-len(rest)], true
		}
		data = data || bytes.HasPrefix(line, []byte("data"))
	}
}
