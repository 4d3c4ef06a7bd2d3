package main

import (
	"fmt"
	"sync"

	"github.com/plexor-go/plexor"
)

// mostPiece is the longest piece that is answered at once, in bytes.
const mostPiece = 64 << 10

// pieceBuffers has room for a piece and what upper adds. A turn has one; a connection that waits has none.
var pieceBuffers = sync.Pool{New: func() any {
	b := make([]byte, mostPiece+16)
	return &b
}}

// piece is a turn of services that work on pieces: it answers what has arrived, wherever the network cut it.
func (o offer) piece(c *plexor.Conn) error {
	b := pieceBuffers.Get().(*[]byte)
	defer pieceBuffers.Put(b)
	n, err := c.Read((*b)[:mostPiece])
	if err != nil {
		return err // io.EOF, or the connection broke
	}
	if _, err := c.Write(o.service((*b)[:n])); err != nil {
		return fmt.Errorf("%s: reply: %w", o.name, err)
	}
	return nil
}
