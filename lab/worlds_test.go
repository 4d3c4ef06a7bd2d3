package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/sock"
)

// A diary is what happened in a world, with the time of each line.
type diary struct {
	w     *lab.World
	begin time.Time
	lines strings.Builder
}

func (d *diary) note(format string, args ...any) {
	fmt.Fprintln(&d.lines, d.w.Now().Sub(d.begin), fmt.Sprintf(format, args...))
}

// services opens a service of each kind on a host, on two loops.
func services(t *testing.T, h *lab.Host, d *diary) *plexor.Server {
	t.Helper()
	web := &http1.Server{Now: d.w.Now, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.note("a request for %s", r.URL.Path)
		fmt.Fprintf(w, "this is %s", r.URL.Path)
	})}
	srv := &plexor.Server{Network: h, Loops: 2, Packets: plexor.PacketFunc(func(p *plexor.Packet) {
		d.note("%q from %v to %v", p.Data, p.Peer, p.Local)
		_ = p.Reply(bytes.ToUpper(p.Data)) // what is lost is missed by the client
	})}
	for _, row := range []struct {
		addr    string
		handler plexor.Handler
	}{
		{"tcp://:7", plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })},
		{"tcp://:8", plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
			d.note("the message %q", msg)
			return c.Send(append([]byte("re: "), msg...))
		})},
		{"tcp://:80", plexor.HandlerFunc(func(c *plexor.Conn) { _ = web.ServeConn(c) })}, // the client tells
	} {
		if _, err := srv.Open(row.addr, row.handler); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := srv.OpenPackets("udp://:53", nil); err != nil {
		t.Fatal(err)
	}
	return srv
}

// lines asks the service of messages.
func lines(d *diary, name string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:8")
		if err != nil {
			return err
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for n := range 5 {
			if _, err := fmt.Fprintf(c, "%s %d\n", name, n); err != nil {
				return err
			}
			answer, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			d.note("%s: %q", name, answer)
			if err := coro.Sleep(ctx, 30*time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	}
}

// pages asks the service of HTTP.
func pages(d *diary, name string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:80")
		if err != nil {
			return err
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for n := range 3 {
			if _, err := fmt.Fprintf(c, "GET /%s/%d HTTP/1.1\r\nHost: server\r\n\r\n", name, n); err != nil {
				return err
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			d.note("%s: %s %s %q", name, resp.Status, resp.Header.Get("Date"), body)
		}
		return nil
	}
}

// datagrams sends some to the service of datagrams, and wants an answer to one at least.
func datagrams(d *diary, name string, to netip.AddrPort) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		self, err := coro.Self(ctx, "datagrams")
		if err != nil {
			return err
		}
		got := 0
		s, err := self.Scheduler().Loop().ListenPacket(sock.Addr{Scheme: "udp"}, sock.Options{},
			loop.PacketFunc(func(_ *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) {
				got++
				d.note("%s: %q from %v", name, p, peer)
			}))
		if err != nil {
			return err
		}
		defer s.Close()
		for n := range 10 {
			if _, err := s.WriteTo(fmt.Append(nil, name, " ", n), to); err != nil {
				return err
			}
			if err := coro.Sleep(ctx, 200*time.Millisecond); err != nil {
				return err
			}
		}
		if got == 0 {
			return errors.New("no datagram was answered")
		}
		return nil
	}
}

// town is a server and four clients of all its services at once, over lines that lose, double, delay and reorder.
func town(t *testing.T, seed uint64) (capture [sha256.Size]byte, log string) {
	t.Helper()
	var frames bytes.Buffer
	w := lab.New(lab.Options{Seed: seed, Capture: &frames})
	d := &diary{w: w, begin: w.Now()}
	server := w.Host("server")
	line := link.Options{Delay: 5 * time.Millisecond, Loss: 0.03, Duplicate: 0.02, Reorder: 0.05,
		Rate: link.RateOptions{Bits: 10e6}}
	var clients []*lab.Host
	for n := range 4 {
		clients = append(clients, w.Host(fmt.Sprint("client ", n)))
		w.Connect(clients[n], server, line)
	}
	srv := services(t, server, d)
	for n, c := range clients {
		c.Go(lines(d, fmt.Sprint("lines ", n)))
		c.Go(pages(d, fmt.Sprint("pages", n)))
		c.Go(datagrams(d, fmt.Sprint("grams ", n), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), 2}), 53)))
	}
	if err := w.Run(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	d.note("the end")
	if n := w.Strays(); n > 0 {
		t.Errorf("seed %d: %d wakes came from outside", seed, n)
	}
	if err := errors.Join(srv.Close(), w.Close()); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	return sha256.Sum256(frames.Bytes()), d.lines.String()
}

// TestTown: many clients of many services, on several loops, are the same run for the same seed, on one processor as on
// several.
func TestTown(t *testing.T) {
	for seed := range uint64(5) {
		capture, log := town(t, seed)
		for _, procs := range []int{1, 4} {
			was := runtime.GOMAXPROCS(procs)
			again, other := town(t, seed)
			runtime.GOMAXPROCS(was)
			if log != other {
				t.Errorf("seed %d with %d processors: another run\n%s", seed, procs, firstDifference(log, other))
			} else if again != capture {
				t.Errorf("seed %d with %d processors: the frames differ, and the log does not", seed, procs)
			}
		}
	}
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for n := range min(len(as), len(bs)) {
		if as[n] != bs[n] {
			return fmt.Sprintf("line %d is\n%s\nand was\n%s", n, bs[n], as[n])
		}
	}
	return fmt.Sprintf("%d lines, and %d before", len(bs), len(as))
}
