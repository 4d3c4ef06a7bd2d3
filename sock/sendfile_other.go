//go:build !linux

package sock

import "errors"

// SendFile sends a file's bytes without a copy through this process. It is there on Linux alone: elsewhere the error is
// errors.ErrUnsupported.
func (s Socket) SendFile(uintptr, int64, int) (int, error) { return 0, errors.ErrUnsupported }

// SendMore is Send for bytes behind which more come at once.
func (s Socket) SendMore(p []byte) (int, error) { return s.Send(p) }

// ReadCached reads what the system has in memory of a file. It is there on Linux alone: elsewhere the error is
// errors.ErrUnsupported.
func ReadCached(uintptr, []byte, int64) (int, error) { return 0, errors.ErrUnsupported }
