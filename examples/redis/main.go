// Command redis is a small server that Redis's clients take for one: strings that may expire, counters and lists, in
// memory alone.
//
//	go run ./examples/redis                      # on tcp://127.0.0.1:6380; stop it with Ctrl-C
//	redis-cli -p 6380 set greeting hello ex 60
//	redis-cli -p 6380 get greeting
//	redis-benchmark -p 6380 -q -t set,get,incr,lpush,lpop -P 16
//
// A connection is a plexor.Messages whose codec is Redis's: while it waits it holds neither a coroutine nor a buffer.
// One loop runs them all, so the store is plain maps and slices without a lock, as it is in Redis itself. With -net the
// same store is served by Go's net, a goroutine a connection and a lock, to be compared with. README.md has figures.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/resp"
)

// Bounds of what a client may send and keep.
const (
	maxCommand = 8 << 20 // bytes of a command, with all its arguments
	mostSpares = 64      // replies that are kept for their memory
	drain      = 5 * time.Second
)

// codec is both ways: Inline for redis-benchmark's PING_INLINE, and for people with nc.
var codec = frame.Pair{In: resp.Commands{Max: maxCommand, Inline: true}, Out: resp.Values{}}

func main() {
	plain := flag.Bool("net", false, "serve with Go's net in place of Plexor")
	memory := flag.Int("memory", 256<<20, "how many `bytes` of keys and values are kept at most")
	flag.Parse()
	address := "tcp://127.0.0.1:6380"
	if flag.NArg() > 0 {
		address = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	serve := servePlexor
	if *plain {
		serve = serveNet
	}
	if err := serve(ctx, address, newStore(*memory)); err != nil {
		log.Fatal(err)
	}
}

// servePlexor serves until ctx ends.
func servePlexor(ctx context.Context, address string, s *store) error {
	srv := &plexor.Server{Loops: 1}
	var spare []*reply // of handlers that are done: one that waits in its write keeps its own
	addr, err := srv.Open(address, plexor.Messages(codec, func(c *plexor.Conn, msg []byte) error {
		r := new(reply)
		if n := len(spare); n > 0 {
			r, spare = spare[n-1], spare[:n-1]
		}
		quit := s.command(r, msg)
		lent := s.lend(r)
		err := r.writePlexor(c)
		s.lent.Add(-lent)
		if len(spare) < mostSpares {
			spare = append(spare, r)
		}
		if err == nil && quit {
			err = c.Close()
		}
		return err
	}))
	if err != nil {
		return err
	}
	log.Printf("listening on %s://%s", addr.Network(), addr)
	ended := make(chan error, 1)
	go func() { ended <- srv.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	return srv.Shutdown(ctx)
}

func (r *reply) writePlexor(c *plexor.Conn) (err error) {
	if len(r.parts) > 0 {
		_, err = c.WriteBuffers(append(r.parts, r.b))
	} else if len(r.b) > 0 {
		_, err = c.Write(r.b)
	}
	return err
}

// serveNet serves until ctx ends.
func serveNet(ctx context.Context, address string, s *store) error {
	ln, err := net.Listen("tcp", strings.TrimPrefix(address, "tcp://"))
	if err != nil {
		return err
	}
	log.Printf("listening on %s://%s", ln.Addr().Network(), ln.Addr())
	context.AfterFunc(ctx, func() { ln.Close() })
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if err := s.converse(c); err != nil {
				log.Printf("%s: %v", c.RemoteAddr(), err)
			}
		}()
	}
}

// converse is a connection of Go's net: what was answered leaves before it waits for more.
func (s *store) converse(c net.Conn) error {
	in, err := frame.NewReader(c, codec)
	if err != nil {
		return err
	}
	var r, out reply // out gathers what is not sent yet
	var lent int32
	defer func() { s.lent.Add(-lent) }()
	for msg, err := range in.All() {
		if err != nil {
			return err
		}
		s.lock.Lock()
		quit := s.command(&r, msg)
		lent += s.lend(&r)
		s.lock.Unlock()
		out.add(&r)
		if len(in.Buffered()) > 0 && len(out.b) < big && len(out.parts) == 0 && !quit {
			continue
		}
		if len(out.parts) > 0 {
			bufs := append(out.parts, out.b)
			_, err = bufs.WriteTo(c)
		} else {
			_, err = c.Write(out.b)
		}
		if err != nil || quit {
			return err
		}
		out.reset()
		s.lent.Add(-lent)
		lent = 0
	}
	return nil
}
