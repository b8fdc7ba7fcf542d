package stat

import (
	"encoding/json"
	"math"
	"strconv"
)

// Rounded is a number for a chart. It is written to JSON with five significant
// digits, which are more than a chart shows; one that is no number, or infinite,
// is null, and read as NaN.
type Rounded float64

// MarshalJSON writes the number.
func (r Rounded) MarshalJSON() ([]byte, error) {
	if !Finite(float64(r)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(r), 'g', 5, 64), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Rounded) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*r = Rounded(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(r))
}
