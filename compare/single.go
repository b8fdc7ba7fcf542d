package compare

// Single reads one run folder on its own, with the warnings that concern it
// alone. The run must have a complete block; whatever is missing or damaged is
// an error that names the file.
func Single(dir string) (Variant, []Warning, error) {
	v, err := openVariant(dir, DefaultGroups())
	if err != nil {
		return Variant{}, nil, err
	}
	return v, warnings(&Report{Variants: []Variant{v}}), nil
}
