package plexor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// waiting calls every method of a Server that waits for its loops.
func waiting(srv *plexor.Server, addr string, ln net.Listener, h plexor.Handler) map[string]error {
	errs := make(map[string]error)
	_, errs["Open"] = srv.Open(addr, h)
	_, errs["OpenPackets"] = srv.OpenPackets("udp://127.0.0.1:0", plexor.PacketFunc(func(*plexor.Packet) {}))
	_, errs["Listen"] = srv.Listen(addr)
	errs["ListenAndServe"] = srv.ListenAndServe(addr)
	errs["Serve"] = srv.Serve(ln)
	errs["Wait"] = srv.Wait()
	errs["Shutdown"] = srv.Shutdown(context.Background())
	return errs
}

// TestServerFromHandler: methods of the server that a handler calls, on its coroutine, fail at once if they would wait
// for the loop that the handler is on, and change nothing; in coro.Await those work that need no handler's end. Close
// works, and waits for nothing.
func TestServerFromHandler(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		const addr = "tcp://127.0.0.1:0"
		errs := make(chan map[string]error, 1)
		opened := make(chan net.Addr, 1)
		srv := &plexor.Server{}
		var h plexor.Handler
		h = plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			switch string(msg) {
			case "all":
				errs <- waiting(srv, addr, ln, h)
			case "await":
				a, err := coro.Await(c.Context(), func() (net.Addr, error) { return srv.Open(addr, h) })
				if err != nil {
					return err
				}
				opened <- a
			case "close":
				errs <- map[string]error{"Close": srv.Close()}
			}
			return c.Send(msg)
		})
		b := place{driver, addr}.serve(t, srv, h)
		client := b.dial()
		send(t, client, "all\n")
		for name, err := range receive(t, errs, "the handler") {
			if _, ok := errors.AsType[*coro.MisuseError](err); !ok || !strings.Contains(err.Error(), "Server."+name) {
				t.Errorf("%s from a handler: %v, want a *coro.MisuseError that names it", name, err)
			}
		}
		want(t, client, "all\n")
		b.log.says(t, "wrong use of a plexor.Server")
		send(t, client, "await\n")
		want(t, client, "await\n")
		other := dial(t, receive(t, opened, "Open in Await"))
		send(t, other, "x\n") // the server goes on
		want(t, other, "x\n")
		send(t, client, "close\n")
		for name, err := range receive(t, errs, "Close") {
			if err != nil {
				t.Errorf("%s from a handler: %v", name, err)
			}
		}
		if err := srv.Wait(); err != plexor.ErrServerClosed {
			t.Errorf("Wait: %v, want ErrServerClosed", err)
		}
	})
}

// TestStopListeningFromHandler: it begins, also by a listener's Close, and does not wait.
func TestStopListeningFromHandler(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		srv := &plexor.Server{}
		p := place{driver, "tcp://127.0.0.1:0"}
		b, addr := p.serve(t, srv, nil), p.own(t, p.addr)
		lns := make([]*plexor.Listener, 4) // on both loops
		for i := range lns {
			var err error
			if lns[i], err = srv.Listen(addr); err != nil {
				t.Fatal(err)
			}
		}
		a, err := srv.Open(addr, plexor.HandlerFunc(func(c *plexor.Conn) {
			p := make([]byte, 1)
			for {
				if _, err := c.Read(p); err != nil {
					return
				}
				switch p[0] {
				case 'l':
					for _, ln := range lns {
						if err := ln.Close(); err != nil {
							t.Errorf("Close of a Listener from a handler: %v", err)
						}
					}
				case 's':
					srv.StopListening()
				}
				c.Write(p)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		client := dial(t, a)
		for _, p := range []string{"l", "s"} {
			send(t, client, p)
			want(t, client, p)
		}
		srv.StopListening() // waits
		if c, err := dialPeer(a); err == nil {
			c.Close()
			t.Error("it listens still")
		}
		b.shutdown()
	})
}

// TestSharedOnItsLoop: what would wait for the loop on the loop itself fails at once and says so: a Listener's Accept,
// and Read and Write of what Shared returned. What need not wait works there.
func TestSharedOnItsLoop(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		srv := &plexor.Server{Loops: 1}
		ended, errs := make(chan bool), make(chan map[string]error, 1)
		lns := make(chan *plexor.Listener, 1) // it is there before the client
		b := p.serve(t, srv, plexor.HandlerFunc(func(c *plexor.Conn) {
			defer close(ended)
			found := make(map[string]error)
			_, found["Accept"] = (<-lns).Accept()
			sh := c.Shared()
			got := make([]byte, 1)
			if _, err := io.ReadFull(sh, got); err != nil {
				t.Errorf("Read of what is there: %v", err)
			}
			if _, err := sh.Write(got); err != nil {
				t.Errorf("Write with room: %v", err)
			}
			_, found["Read"] = sh.Read(got)
			_, found["Write"] = sh.Write(make([]byte, 8<<20))
			errs <- found
			go sh.Close()
		}))
		ln, err := srv.Listen("tcp://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		lns <- ln
		send(t, b.dial(), "x")
		for name, err := range receive(t, errs, "the handler") {
			if _, ok := errors.AsType[*coro.MisuseError](err); !ok {
				t.Errorf("%s on its own loop: %v, want a *coro.MisuseError", name, err)
			}
		}
		<-ended
		b.log.says(t, "wrong use")
	})
}
