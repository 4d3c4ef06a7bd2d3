package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// fileOf is an open file with these bytes.
func fileOf(t *testing.T, p []byte) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(p); err != nil {
		t.Fatal(err)
	}
	return f
}

// mostFile is the largest file of these tests, in bytes: more than any socket's buffers.
const mostFile = 8 << 20

// TestSendFile: files of all sizes from all offsets, each between two writes.
func TestSendFile(t *testing.T) {
	beside(t)
	content := random(mostFile+10_000, 1)
	type part struct{ off, n int }
	parts := []part{{0, 0}, {7, 0}, {0, 1}, {4095, 2}, {0, 32 << 10}, {1, 32<<10 + 1}, {0, 33 << 10}, {4097, 300_001},
		{8191, 256 << 10}, {3, 1<<20 + 1}}
	eachMessagePlace(t, func(t *testing.T, p place) {
		f := fileOf(t, content)
		parts := parts
		if p.addr != tlsAddr && !raceEnabled {
			parts = append(parts, part{9999, mostFile})
		}
		errs := make(chan error, 1)
		b := p.serve(t, &plexor.Server{}, onConn(errs, func(c *plexor.Conn) error {
			if err := first(c); err != nil {
				return err
			}
			for _, x := range parts {
				if _, err := c.Write([]byte("head")); err != nil {
					return err
				}
				if n, err := c.SendFile(f, int64(x.off), int64(x.n)); n != int64(x.n) || err != nil {
					return fmt.Errorf("SendFile of %+v: %d, %w", x, n, err)
				}
				if _, err := c.Write([]byte("tail")); err != nil {
					return err
				}
			}
			return nil
		}))
		client := b.dialMessages()
		send(t, client, "!")
		for _, x := range parts {
			want(t, client, "head")
			got := make([]byte, x.n)
			if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, content[x.off:x.off+x.n]) {
				t.Fatalf("%+v: %d bytes, %v, equal %v", x, n, err, bytes.Equal(got, content[x.off:x.off+x.n]))
			}
			want(t, client, "tail")
		}
		wantEnd(t, client)
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// TestSendFileOfAShortFile: a file that ends early is an error, with what came before it, and the connection goes on.
func TestSendFileOfAShortFile(t *testing.T) {
	sizes := []int{0, 100, 100_000}
	eachPlace(t, func(t *testing.T, p place) {
		var files []*os.File
		var all []byte
		for _, size := range sizes {
			content := random(size, 2)
			files = append(files, fileOf(t, content))
			all = append(append(all, content...), "on"...)
		}
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			for i, size := range sizes {
				n, err := c.SendFile(files[i], 0, 200_000)
				if n != int64(size) || !errors.Is(err, io.ErrUnexpectedEOF) {
					return fmt.Errorf("SendFile: %d, %v; want %d, %v", n, err, size, io.ErrUnexpectedEOF)
				}
				if _, err := c.Write([]byte("on")); err != nil {
					return err
				}
			}
			return nil
		})
		want(t, client, string(all))
		wantEnd(t, client)
		done()
	})
}

// TestSendFileArguments: what can't be is refused, and so is a closed file.
func TestSendFileArguments(t *testing.T) {
	f := fileOf(t, []byte("abc"))
	gone := fileOf(t, []byte("abc"))
	gone.Close()
	_, client, done := checked(t, place{drivers()[0], "tcp://127.0.0.1:0"}, &plexor.Server{}, func(c *plexor.Conn) error {
		for _, x := range []struct {
			f      *os.File
			off, n int64
			want   error
		}{{nil, 0, 1, os.ErrInvalid}, {f, -1, 1, os.ErrInvalid}, {f, 0, -1, os.ErrInvalid},
			{f, 1<<63 - 1, 1, os.ErrInvalid}, {gone, 0, 3, os.ErrClosed}, {f, 5, 1, io.ErrUnexpectedEOF}} {
			if n, err := c.SendFile(x.f, x.off, x.n); n != 0 || !errors.Is(err, x.want) {
				return fmt.Errorf("SendFile(%v, %d, %d): %d, %v; want %v", x.f != nil, x.off, x.n, n, err, x.want)
			}
		}
		_, err := c.Write([]byte("on"))
		return err
	})
	want(t, client, "on")
	done()
}

// stuck starts a handler that sends a large file, to a client that does not read yet; it returns when the transfer
// waits for room. with runs in a coroutine beside it, and gets what SendFile returned.
func stuck(t *testing.T, p place, content []byte, f *os.File, with func(c *plexor.Conn, n int64, err error) error) (
	b *bench, client net.Conn, box *plexor.Outbox, done func()) {
	t.Helper()
	boxes := make(chan *plexor.Outbox, 1)
	var on *plexor.Conn
	b, client, done = checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
		on = c
		boxes <- c.Outbox()
		n, err := c.SendFile(f, 0, int64(len(content)))
		return with(c, n, err)
	})
	box = receive(t, boxes, "the handler")
	full := false
	for end := time.Now().Add(patience); !full; time.Sleep(time.Millisecond) {
		plexor.OnLoop(box, func() { full = plexor.Full(on) })
		if time.Now().After(end) {
			t.Fatal("SendFile found room for all")
		}
	}
	return b, client, box, done
}

// TestSendFileWaits: what others write comes behind a file that waits for its reader, and a file that shrinks meanwhile
// is an error.
func TestSendFileWaits(t *testing.T) {
	beside(t)
	content := random(mostFile, 3)
	t.Run("outbox and drain", func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			b, client, box, done := stuck(t, p, content, fileOf(t, content), func(c *plexor.Conn, n int64, err error) error {
				if err != nil {
					return err
				}
				_, err = c.Write([]byte("last"))
				return err
			})
			if _, err := box.Write([]byte("box")); err != nil {
				t.Fatal(err)
			}
			down := make(chan struct{})
			go func() { defer close(down); b.shutdown() }()
			got, err := io.ReadAll(client)
			if err != nil || !bytes.Equal(got, append(content[:mostFile:mostFile], "boxlast"...)) {
				t.Errorf("got %d bytes, %v; they end with %q", len(got), err, got[max(0, len(got)-10):])
			}
			done()
			client.Close()
			<-down
		})
	})
	t.Run("truncated", func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			f := fileOf(t, content)
			sent := make(chan int64, 1)
			_, client, _, done := stuck(t, p, content, f, func(_ *plexor.Conn, n int64, err error) error {
				sent <- n
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					return fmt.Errorf("SendFile of a file that was truncated: %d, %v", n, err)
				}
				return nil
			})
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, client)
			done()
			if want := receive(t, sent, "SendFile's count"); err != nil || n != want || n >= mostFile {
				t.Errorf("the client got %d bytes, %v; SendFile says %d", n, err, want)
			}
		})
	})
}

// TestSendFileEnds: a transfer that waits ends with its connection, by whomever, and by its deadline, after which it
// can go on.
func TestSendFileEnds(t *testing.T) {
	beside(t)
	content := random(mostFile, 4)
	ends := func(want error) func(*plexor.Conn, int64, error) error {
		return func(_ *plexor.Conn, n int64, err error) error {
			if err == nil || n >= mostFile || want != nil && !errors.Is(err, want) {
				return fmt.Errorf("SendFile: %d, %v; want %v", n, err, want)
			}
			return nil
		}
	}
	t.Run("reset", func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			_, client, _, done := stuck(t, p, content, fileOf(t, content), ends(nil))
			reset(t, client)
			done()
		})
	})
	t.Run("aborted", func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			f := fileOf(t, content)
			_, _, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
				return coro.Group(c.Context(), func(g *coro.Tasks) error {
					c.Outbox()
					g.Go(func(ctx context.Context) error {
						for !plexor.Full(c) {
							if err := coro.Sleep(ctx, time.Millisecond); err != nil {
								return err
							}
						}
						return c.Abort()
					})
					n, err := c.SendFile(f, 0, mostFile)
					return ends(nil)(c, n, err)
				})
			})
			done()
		})
	})
	t.Run("deadline", func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			f := fileOf(t, content)
			timedOut := make(chan struct{})
			_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
				if err := c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
					return err
				}
				n, err := c.SendFile(f, 0, mostFile)
				if err := ends(os.ErrDeadlineExceeded)(c, n, err); err != nil {
					return err
				}
				close(timedOut)
				if err := c.SetWriteDeadline(time.Time{}); err != nil {
					return err
				}
				_, err = c.SendFile(f, n, mostFile-n)
				return err
			})
			receive(t, timedOut, "the deadline")
			got := make([]byte, mostFile)
			if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, content) {
				t.Errorf("got %d bytes, %v, as they were: %v", n, err, bytes.Equal(got, content))
			}
			done()
		})
	})
}

// TestSendFileOverTLSWaits: over TLS the file is read and written, bounded by the room that there is.
func TestSendFileOverTLSWaits(t *testing.T) {
	content := random(2<<20, 5)
	eachDriver(t, func(t *testing.T, driver string) {
		f := fileOf(t, content)
		errs := make(chan error, 1)
		b := place{driver, tlsAddr}.serve(t, &plexor.Server{Limits: plexor.Limits{HighWater: 64 << 10}},
			onConn(errs, func(c *plexor.Conn) error {
				n, err := c.SendFile(f, 0, int64(len(content)))
				if err == nil && n != int64(len(content)) {
					err = fmt.Errorf("SendFile: %d", n)
				}
				return err
			}))
		client := b.dialMessages()
		send(t, client, "!")
		got, err := io.ReadAll(io.LimitReader(client, int64(len(content))))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkFile sends a file of that size, on each driver, and as package net does it: how long it takes, with a client
// in the same process.
func BenchmarkFile(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10, 128 << 10, 1 << 20} {
		f, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(random(size, 6)); err != nil {
			b.Fatal(err)
		}
		ways := map[string]func(c *plexor.Conn) error{
			"SendFile": func(c *plexor.Conn) error { _, err := c.SendFile(f, 0, int64(size)); return err },
			"ReadFrom": func(c *plexor.Conn) error {
				_, err := c.ReadFrom(io.NewSectionReader(f, 0, int64(size)))
				return err
			},
		}
		for name, way := range ways {
			for _, driver := range drivers() {
				b.Run(fmt.Sprintf("%s/%s/%d", name, driver, size), func(b *testing.B) {
					srv := &plexor.Server{Driver: driver, Loops: 1}
					defer srv.Close()
					a, err := srv.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
						for one := make([]byte, 1); ; {
							if _, err := c.Read(one); err != nil || way(c) != nil {
								return
							}
						}
					}))
					if err != nil {
						b.Fatal(err)
					}
					fetch(b, a, size)
				})
			}
		}
		b.Run(fmt.Sprintf("net/%d", size), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				for one := make([]byte, 1); ; {
					if _, err := c.Read(one); err != nil {
						return
					}
					_, _ = f.Seek(0, io.SeekStart)
					if _, err := c.(*net.TCPConn).ReadFrom(io.LimitReader(f, int64(size))); err != nil {
						return
					}
				}
			}()
			fetch(b, l.Addr(), size)
		})
	}
}

// fetch asks for the file b.N times, and reads it.
func fetch(b *testing.B, a net.Addr, size int) {
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.SetBytes(int64(size))
	buf := make([]byte, 256<<10)
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(buf[:1]); err != nil {
			b.Fatal(err)
		}
		for left := size; left > 0; {
			n, err := c.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
	b.StopTimer()
}
