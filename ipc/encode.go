package ipc

import (
	"encoding/json"
	"fmt"
)

// Values of a manager are bytes to it. A string and a []byte are what they are; everything else is JSON (package
// encoding/json), for it is the same bytes for the same value, so that keys can be found and values compared, needs no
// description of the type with each value as gob does, and can be read by programs that are not in Go.

func encode[T any](v T) ([]byte, error) {
	switch v := any(v).(type) {
	case string:
		return []byte(v), nil
	case []byte:
		return append([]byte{}, v...), nil
	}
	p, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a %T: %w", v, err)
	}
	return p, nil
}

// decode makes a value of p, which is its own from then on.
func decode[T any](p []byte) (v T, err error) {
	switch w := any(&v).(type) {
	case *string:
		*w = string(p)
		return v, nil
	case *[]byte:
		*w = append([]byte{}, p...)
		return v, nil
	}
	if err := json.Unmarshal(p, &v); err != nil {
		return v, fmt.Errorf("decode a %T: %w", v, err)
	}
	return v, nil
}
