package loadgen

// Wire returns the request as HTTP/1.1 sends it to a server at host.
func (r *Request) Wire(host string) []byte { return r.append(nil, host) }
