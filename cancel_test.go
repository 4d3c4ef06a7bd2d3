package plexor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/portion"
)

// A cancelRig is a connection on which an operation is cancelled: its handler, the director, has tasks use it, and has
// the client in hand too.
type cancelRig struct {
	ctx    context.Context // the director's, which the connection's end does not cancel
	c      *plexor.Conn
	client net.Conn
	g      *coro.Tasks
	got    chan []byte // what the client has read, at its end
}

// read has the client read, to the end.
func (r *cancelRig) read() {
	go func() {
		p, err := io.ReadAll(r.client)
		if err != nil {
			p = append(p, err.Error()...)
		}
		r.got <- p
	}()
}

// end closes our half, and is what the client got.
func (r *cancelRig) end(last string) ([]byte, error) {
	if _, err := io.WriteString(r.c, last); err != nil {
		return nil, err
	}
	if err := r.c.CloseWrite(); err != nil {
		return nil, err
	}
	return r.arrived()
}

func (r *cancelRig) arrived() ([]byte, error) {
	return coro.Await(r.ctx, func() ([]byte, error) { return <-r.got, nil })
}

// clientSends is for the little that a socket takes at once.
func (r *cancelRig) clientSends(p string) {
	_, _ = io.WriteString(r.client, p) // what is missing is noticed
}

// A cancelTrial is one operation that waits.
type cancelTrial struct {
	wait    func() error // run by the subject
	satisfy func()       // makes it succeed, soon
	check   func() error // after both: nothing is lost, and nothing there twice
}

// high is the server's high-water mark in bytes, and lots is more than that and the system's buffers hold.
const high, lots = 512 << 10, 5 << 18

var manyBytes = sync.OnceValue(func() []byte { return random(lots, 9) })

var cancelOps = []struct {
	name  string
	setup func(r *cancelRig) cancelTrial
}{
	{"Read", func(r *cancelRig) cancelTrial {
		var got []byte
		return cancelTrial{
			wait:    func() error { return readOne(r.c, &got) },
			satisfy: func() { r.clientSends("a") },
			check:   func() error { return r.rest(&got, "b", "ab") },
		}
	}},
	{"Read behind another", func(r *cancelRig) cancelTrial {
		var got []byte
		other := r.g.Go(func(context.Context) error { return readOne(r.c, &got) })
		r.settle()
		return cancelTrial{
			wait:    func() error { return readOne(r.c, &got) },
			satisfy: func() { r.clientSends("ab") },
			check: func() error {
				if err := other.Wait(r.ctx); err != nil {
					return err
				}
				return r.rest(&got, "c", "abc")
			},
		}
	}},
	{"Copy", func(r *cancelRig) cancelTrial {
		var got bytes.Buffer
		r.clientSends("abc")
		return cancelTrial{
			wait:    func() error { _, err := io.Copy(&got, r.c); return err },
			satisfy: func() { _ = r.client.(interface{ CloseWrite() error }).CloseWrite() },
			check: func() error {
				if _, err := io.Copy(&got, r.c); err != nil {
					return err
				}
				return same(got.Bytes(), []byte("abc"))
			},
		}
	}},
	{"Write", func(r *cancelRig) cancelTrial {
		n, all := 0, manyBytes()
		return cancelTrial{
			wait:    func() (err error) { n, err = r.c.Write(all); return err },
			satisfy: r.read,
			check:   func() error { return r.wrote(all[:n]) },
		}
	}},
	{"WriteBuffers", func(r *cancelRig) cancelTrial {
		n, all := int64(0), manyBytes()
		return cancelTrial{
			wait: func() (err error) {
				n, err = r.c.WriteBuffers(net.Buffers{all[:10], all[10 : 1<<19], all[1<<19:]})
				return err
			},
			satisfy: r.read,
			check:   func() error { return r.wrote(all[:n]) },
		}
	}},
	{"ReadFrom", func(r *cancelRig) cancelTrial {
		n, all := int64(0), manyBytes()
		return cancelTrial{
			wait:    func() (err error) { n, err = r.c.ReadFrom(bytes.NewReader(all)); return err },
			satisfy: r.read,
			check:   func() error { return r.wrote(all[:n]) },
		}
	}},
	{"Write behind another", func(r *cancelRig) cancelTrial {
		n, all := 0, manyBytes()
		other := r.g.Go(func(context.Context) error { _, err := r.c.Write(all); return err })
		r.settle()
		return cancelTrial{
			wait:    func() (err error) { n, err = io.WriteString(r.c, "x"); return err },
			satisfy: r.read,
			check: func() error {
				if err := other.Wait(r.ctx); err != nil {
					return err
				}
				return r.wrote(append(all[:lots:lots], "x"[:n]...))
			},
		}
	}},
	{"Close", func(r *cancelRig) cancelTrial {
		all := manyBytes()[:high-64<<10]
		_, wrote := r.c.Write(all)
		begun := false
		return cancelTrial{
			wait:    func() error { begun = true; return r.c.Close() },
			satisfy: r.read,
			check: func() error {
				if !begun {
					_ = r.c.Close()
				}
				got, err := r.arrived()
				return errors.Join(wrote, err, same(got, all))
			},
		}
	}},
}

// settle lets the others go as far as they come.
func (r *cancelRig) settle() {
	for range 20 {
		_ = coro.Yield(r.ctx) // nobody cancels the director
	}
}

// readOne reads a byte and adds it to got.
func readOne(c *plexor.Conn, got *[]byte) error {
	p := make([]byte, 1)
	n, err := c.Read(p)
	*got = append(*got, p[:n]...)
	return err
}

// rest sends more and reads until as much has come as is wanted.
func (r *cancelRig) rest(got *[]byte, more, want string) error {
	r.clientSends(more)
	for len(*got) < len(want) {
		if err := readOne(r.c, got); err != nil {
			return fmt.Errorf("after %q: %w", *got, err)
		}
	}
	return same(*got, []byte(want))
}

// wrote ends the stream and compares what the client got.
func (r *cancelRig) wrote(p []byte) error {
	got, err := r.end("end")
	return errors.Join(err, same(got, append(p[:len(p):len(p)], "end"...)))
}

func same(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("got %d bytes, %.20q…%.20q; want %d, %.20q…%.20q", len(got), got, got[max(0, len(got)-20):],
		len(want), want, want[max(0, len(want)-20):])
}

// TestCancel: each operation of a Conn that waits, with its task cancelled at each moment. It fails with the cause, and
// so does whatever the task waits for next; and what was to be read is read by the next one, what was reported to be
// written is what the peer gets.
func TestCancel(t *testing.T) {
	turn := 0 // TLS and plain take turns at the drivers, so that each trial is made with both
	eachDriver(t, func(t *testing.T, driver string) {
		turn++
		for s, scheme := range []string{"tcp", "tls"} {
			for o, op := range cancelOps {
				for m, moment := range []string{"before", "during", "right before the result", "right after the result", "after"} {
					if !portion.Everywhere() && (turn+s+o+m)%2 == 0 {
						continue
					}
					t.Run(scheme+"/"+op.name+"/"+moment, func(t *testing.T) {
						clients := make(chan net.Conn, 1)
						errs := make(chan error, 1)
						h := plexor.GreeterFunc(func(c *plexor.Conn) {
							errs <- direct(c, clients, op.setup, moment)
						})
						b := place{driver, scheme + "://127.0.0.1:0?sndbuf=64k"}.serve(t,
							&plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: high}}, h)
						client := b.dial()
						if scheme == "tls" {
							tc := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
							if err := tc.Handshake(); err != nil {
								t.Fatal(err)
							}
							client = tc
						}
						clients <- client
						if err := receive(t, errs, "the handler"); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	})
}

// direct is the handler.
func direct(c *plexor.Conn, clients <-chan net.Conn, setup func(*cancelRig) cancelTrial, moment string) error {
	ctx := context.WithoutCancel(c.Context())
	client, err := coro.Await(ctx, func() (net.Conn, error) { return <-clients, nil })
	if err != nil {
		return err
	}
	return coro.Group(ctx, func(g *coro.Tasks) error {
		r := &cancelRig{ctx: ctx, c: c, client: client, g: g, got: make(chan []byte, 1)}
		trial := setup(r)
		var first, later error
		done := false
		subject := g.Go(func(ctx context.Context) error {
			first = trial.wait()
			done = true
			if moment != "after" {
				later = coro.Sleep(ctx, time.Hour)
			}
			return nil
		})
		satisfied := true
		switch moment {
		case "before":
			subject.Cancel(errCut)
			satisfied = false
		case "during":
			r.settle()
			subject.Cancel(errCut)
			satisfied = false
		case "right before the result":
			r.settle()
			subject.Cancel(errCut)
			trial.satisfy()
		case "right after the result":
			r.settle()
			trial.satisfy()
			subject.Cancel(errCut)
		case "after":
			trial.satisfy()
		}
		if err := subject.Wait(ctx); err != nil && err != errCut {
			return fmt.Errorf("the subject: %w", err)
		}
		if moment == "after" {
			subject.Cancel(errCut)
		}
		if !satisfied {
			trial.satisfy()
		}
		switch {
		case moment == "before" || moment == "during":
			if done && !errors.Is(first, errCut) {
				return fmt.Errorf("it ended with %v, want %v", first, errCut)
			}
		case moment == "after":
			if first != nil {
				return fmt.Errorf("it ended with %v, want success", first)
			}
		case first != nil && !errors.Is(first, errCut):
			return fmt.Errorf("it ended with %v, want success or %v", first, errCut)
		}
		if moment != "after" && done && !errors.Is(later, errCut) {
			return fmt.Errorf("the next wait ended with %v, want %v", later, errCut)
		}
		return trial.check()
	})
}
