package ftp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// copyBuffer is what a transfer reads at once, in bytes.
	copyBuffer = 64 << 10
	// leastPiece and mostPiece are between how many bytes a download checks its deadline: a piece that took less than
	// pieceTime makes the next one twice as long.
	leastPiece = 64 << 10
	mostPiece  = 8 << 20
	pieceTime  = 100 * time.Millisecond
)

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// send is a download of f, from where it stands.
func (t *transfer) send(nc net.Conn, f File) error {
	b := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(b)
	piece := int64(leastPiece)
	if t.user.Rate > 0 {
		piece = min(piece, max(t.user.Rate/10, 512))
	}
	src := io.LimitedReader{R: f}
	for {
		_ = nc.SetWriteDeadline(t.deadline(piece)) // a connection that is over says so at the write
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx) // it may have moved the deadline before
		}
		begin := time.Now()
		src.N = piece
		n, err := io.CopyBuffer(nc, &src, b[:]) // by sendfile(2) where nc and f can
		t.moved.Add(n)
		if err != nil {
			return err
		}
		if n < piece {
			return nil
		}
		switch {
		case t.user.Rate > 0:
			err = t.slow()
		case time.Since(begin) < pieceTime:
			piece = min(2*piece, mostPiece)
		}
		if err != nil {
			return err
		}
	}
}

// sendText is send with line ends as ASCII has them.
func (t *transfer) sendText(nc net.Conn, f io.Reader) error {
	b := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(b)
	var out []byte
	var last byte
	for {
		n, err := f.Read(b[:])
		out, last = toNetwork(out[:0], b[:n], last)
		if n > 0 {
			if err := t.put(nc, out); err != nil {
				return err
			}
			if err := t.slow(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return localError{err}
		}
	}
}

// put writes p.
func (t *transfer) put(nc net.Conn, p []byte) error {
	_ = nc.SetWriteDeadline(t.deadline(int64(len(p)))) // a connection that is over says so at the write
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	n, err := nc.Write(p)
	t.moved.Add(int64(n))
	return err
}

// slow waits as long as the user's rate wants it.
func (t *transfer) slow() error {
	if t.user.Rate <= 0 {
		return nil
	}
	due := t.began.Add(time.Duration(float64(t.moved.Load()) / float64(t.user.Rate) * float64(time.Second)))
	d := time.Until(due)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
}

// An upload is where bytes that come are put.
type upload struct {
	f     File
	at    int64 // where the next byte goes
	size  int64 // of the file
	text  bool
	held  bool // a CR is
	quota *Quota
	most  int64
}

// receive is an upload.
func (t *transfer) receive(nc net.Conn, u *upload) error {
	b := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(b)
	room := b[:copyBuffer-1] // a CR that was held takes a byte
	if t.user.Rate > 0 {
		room = room[:min(int64(len(room)), max(t.user.Rate/10, 512))]
	}
	var out []byte
	for {
		_ = nc.SetReadDeadline(t.deadline(0)) // a connection that is over says so at the read
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		n, err := nc.Read(room)
		err = wholeEnd(nc, err)
		t.moved.Add(int64(n))
		p := room[:n]
		if u.text {
			out, u.held = fromNetwork(out[:0], p, u.held)
			p = out
		}
		if e := u.write(p); e != nil {
			return e
		}
		switch {
		case err == io.EOF:
			if u.held {
				return u.write([]byte{'\r'})
			}
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return errTruncated
		case err != nil:
			return err
		}
		if err := t.slow(); err != nil {
			return err
		}
	}
}

func (u *upload) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	end := u.at + int64(len(p))
	if u.most > 0 && end > u.most {
		return errTooLong
	}
	more := max(end-u.size, 0)
	if !u.quota.Add(more) {
		return errTooLong
	}
	n, err := u.f.Write(p)
	u.at += int64(n)
	if left := u.at - u.size; left < more { // less has grown than was asked for
		u.quota.Add(max(left, 0) - more)
	}
	u.size = max(u.size, u.at)
	if err != nil {
		return localError{err}
	}
	return nil
}
