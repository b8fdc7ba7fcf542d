package server

// Correlates tells whether a message's metadata names, as
// correlationStreamName, a stream in the given category. Every message
// correlates with the empty category.
func Correlates(metadata []byte, category string) bool {
	if category == "" {
		return true
	}
	found := false
	_ = value{text: metadata}.fields(correlationFields, func(_ string, field value) error {
		stream, err := field.string()
		found = err == nil && Category(stream) == category
		return nil
	})
	return found
}

var correlationFields = []string{"correlationStreamName"}
