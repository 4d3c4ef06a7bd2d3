package ftp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// copyBuffer is what a transfer reads at once, in bytes.
	copyBuffer = 64 << 10
	// mostPiece is after how many bytes a download looks at its clock, at the latest.
	mostPiece = 8 << 20
	// mostWrite is how much is written with one deadline where nobody tells how much of it has left, and what is read at
	// once over TLS: a record.
	mostWrite = 16 << 10
)

var (
	copyBuffers   = sync.Pool{New: func() any { return new([copyBuffer]byte) }}
	recordBuffers = sync.Pool{New: func() any { return new([1 + mostWrite]byte) }}
)

// send is a download of f, from offset on, where it stands.
func (t *transfer) send(nc net.Conn, f File, offset int64) error {
	_, takes := nc.(io.ReaderFrom)
	file, gives := f.(*os.File)
	if !takes || !gives || t.user.Rate > 0 {
		return t.sendPieces(nc, f) // by which an error of f is known for one
	}
	// By sendfile(2) where nc can. What has left is known when the deadline passes, so a piece may be large.
	src := io.LimitedReader{R: f}
	for {
		if whole, err := t.sendWaiting(nc, file); whole || err != nil {
			return err
		}
		_ = nc.SetWriteDeadline(t.deadline(0)) // a connection that is over says so at the write
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx) // it may have moved the deadline before
		}
		src.N = mostPiece
		n, err := io.Copy(nc, &src)
		t.moved.Add(n)
		switch {
		case err == nil && n < mostPiece:
			return nil
		case n > 0 && errors.Is(err, os.ErrDeadlineExceeded) && t.ctx.Err() == nil: // it is slow, and not still
			if !t.late() {
				_, err = f.Seek(offset+t.moved.Load(), io.SeekStart) // what was read of it may not have left
			}
		}
		if err != nil {
			return err
		}
	}
}

// sendPieces is send by copies, and at the user's rate.
func (t *transfer) sendPieces(nc net.Conn, f File) error {
	b := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(b)
	room := b[:]
	if t.user.Rate > 0 {
		room = room[:min(int64(len(room)), max(t.user.Rate/10, 512))]
	}
	for {
		n, err := f.Read(room)
		if n > 0 {
			if err := t.put(nc, room[:n]); err != nil {
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
	for len(p) > 0 {
		piece := p[:min(len(p), mostWrite)]
		_ = nc.SetWriteDeadline(t.deadline(len(piece))) // a connection that is over says so at the write
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		n, err := nc.Write(piece)
		t.moved.Add(int64(n))
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
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
	info  fs.FileInfo // of it, as it was
	at    int64       // where the next byte goes
	size  int64       // of the file
	text  bool
	held  bool // a CR is
	quota *Quota
	most  int64
}

// receive is an upload. A client that sends nothing holds no buffer of a plain connection.
func (t *transfer) receive(nc net.Conn, u *upload) error {
	most := copyBuffer - 1
	if t.private {
		most = mostWrite
	}
	if t.user.Rate > 0 {
		most = int(min(int64(most), max(t.user.Rate/10, 512)))
	}
	for still := true; ; {
		_ = nc.SetReadDeadline(t.deadline(0)) // a connection that is over says so at the read
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		if still {
			awaitBytes(nc)
		}
		n, err := t.receivePiece(nc, u, most)
		still = n < most
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

// receivePiece reads once, most bytes at most, and writes them. The error is of either.
func (t *transfer) receivePiece(nc net.Conn, u *upload, most int) (int, error) {
	if t.private {
		b := recordBuffers.Get().(*[1 + mostWrite]byte)
		defer recordBuffers.Put(b)
		return t.receiveInto(nc, u, b[:1+most])
	}
	b := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(b)
	return t.receiveInto(nc, u, b[:1+most])
}

// receiveInto is that with b, whose first byte is room for a CR that was held.
func (t *transfer) receiveInto(nc net.Conn, u *upload, b []byte) (int, error) {
	n, err := nc.Read(b[1:])
	err = wholeEnd(nc, err)
	t.moved.Add(int64(n))
	p := b[1 : 1+n]
	if u.text {
		p, u.held = fromNetwork(b[:0], p, u.held)
	}
	if e := u.write(p); e != nil {
		return n, e
	}
	return n, err
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
