package main

import "github.com/plexor-go/plexor/frame"

// piece is the codec of services that work on pieces: what has arrived is a message, wherever the network cut it.
type piece struct{}

// mostPiece is the longest one, in bytes.
const mostPiece = 64 << 10

func (piece) Check() error    { return nil }
func (piece) MaxMessage() int { return mostPiece }
func (piece) MaxFrame() int   { return mostPiece }
func (piece) String() string  { return "piece" }

// Scan takes all that there is.
func (piece) Scan(p []byte, _ int) (frame.Span, error) {
	if len(p) == 0 {
		return frame.Span{Size: 1}, nil
	}
	n := min(len(p), mostPiece)
	return frame.Span{End: n, Size: n}, nil
}

// Append sends a reply as it is: nobody counts its length.
func (piece) Append(dst, reply []byte) ([]byte, error) { return append(dst, reply...), nil }
