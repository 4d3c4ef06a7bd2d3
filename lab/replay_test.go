package lab_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// A run is what a run has left: of the capture a sum, what the client has seen, and when it was over.
type run struct {
	capture [sha256.Size]byte
	frames  int // bytes of the capture
	client  string
	took    time.Duration
}

// echo runs a server on one host and a client on another.
func echo(t *testing.T, o lab.Options, line link.Options, size int) run {
	t.Helper()
	var capture bytes.Buffer
	o.Capture = &capture
	w := lab.New(o)
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, line)
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:9000", nil); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	begin := w.Now()
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * i >> 8)
	}
	var seen bytes.Buffer
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:9000")
		if err != nil {
			return err
		}
		defer c.Close()
		got := make([]byte, 0, len(sent))
		piece := make([]byte, 10_000)
		for rest := sent; len(got) < len(sent); {
			if n := min(len(rest), 5_000); n > 0 {
				if _, err := c.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			n, err := c.Read(piece)
			if err != nil {
				return err
			}
			fmt.Fprintln(&seen, w.Now().Sub(begin), n)
			got = append(got, piece[:n]...)
		}
		if !bytes.Equal(got, sent) {
			return fmt.Errorf("what came back is not what was sent: %d bytes", len(got))
		}
		return c.Close()
	})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	r := run{sha256.Sum256(capture.Bytes()), capture.Len(), seen.String(), w.Now().Sub(begin)}
	if n := w.Strays(); n > 0 {
		t.Errorf("%d wakes came from outside", n)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	return r
}

// TestReplay: a server, a client and a line that loses frames are the same run for the same seed, to the byte and the
// nanosecond, and another for another.
func TestReplay(t *testing.T) {
	line := link.Options{Delay: 20 * time.Millisecond, Loss: 0.01}
	first := echo(t, lab.Options{Seed: 1}, line, 400_000)
	t.Logf("a capture of %d bytes, %v", first.frames, first.took)
	for range 3 {
		again := echo(t, lab.Options{Seed: 1}, line, 400_000)
		if again.capture != first.capture || again.client != first.client || again.took != first.took {
			t.Errorf("the same seed is another run: %d bytes of frames and %v, before %d and %v", again.frames, again.took,
				first.frames, first.took)
		}
	}
	if other := echo(t, lab.Options{Seed: 2}, line, 400_000); other.capture == first.capture {
		t.Error("another seed is the same run")
	}
}
