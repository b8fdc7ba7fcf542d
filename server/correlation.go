package server

// Correlates reports whether a message's metadata names, as
// correlationStreamName, a stream in the given category. Every message
// correlates with the empty category.
func Correlates(metadata []byte, category string) bool {
	if category == "" {
		return true
	}
	var stream string
	err := value{text: metadata}.fields(lookup{}, field{"correlationStreamName", into(&stream, value.view)})
	return err == nil && Category(stream) == category
}
