package load

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// each answers every read with a function of its number and bytes.
func each(answer func(n int, p []byte) []byte) func(s *server, c net.Conn) {
	return func(_ *server, c net.Conn) {
		buf := make([]byte, 64)
		for n := 0; ; n++ {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			if _, err := c.Write(answer(n, buf)); err != nil {
				return
			}
		}
	}
}

// TestBadServers: what a server does wrong is counted and said.
func TestBadServers(t *testing.T) {
	t.Parallel()
	flip := func(p []byte) []byte {
		q := bytes.Clone(p)
		q[len(q)-1] ^= 1
		return q
	}
	var held []byte
	reset := func(_ *server, c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 64))
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	for _, row := range []struct {
		name   string
		behave func(s *server, c net.Conn)
		o      Options
		want   Result // its counts, with 2 connections
		says   string
	}{
		{"wrong bytes", each(func(_ int, p []byte) []byte { return flip(p) }), Options{Requests: 20},
			Result{Wrong: 2, LostConns: 2, LostMessages: 2}, "2 of 2 answers were wrong"},
		{"one wrong byte", each(func(n int, p []byte) []byte {
			if n == 5 {
				return flip(p)
			}
			return p
		}), Options{Requests: 20}, Result{Messages: 10, Wrong: 2, LostConns: 2, LostMessages: 2},
			"2 of 12 answers were wrong"},
		{"a byte too many", each(func(_ int, p []byte) []byte { return append(p, 'x') }), Options{Requests: 20},
			Result{Wrong: 2, LostConns: 2, LostMessages: 2}, "nobody had sent"},
		{"a byte missing", each(func(_ int, p []byte) []byte { return p[1:] }), Options{Requests: 20},
			Result{Wrong: 2, LostConns: 2, LostMessages: 2}, "wrong"},
		{"the answer before", each(func(n int, p []byte) []byte {
			if n == 0 {
				held = bytes.Clone(p)
			}
			return held
		}), Options{Requests: 10, Conns: 1}, Result{Messages: 1, Wrong: 1, LostConns: 1, LostMessages: 1}, "wrong"},
		{"echo is not upper", echo, Options{Requests: 20, Expect: ExpectUpper},
			Result{Wrong: 2, LostConns: 2, LostMessages: 2}, "by the service upper"},
		{"upper is not echo", upperStream, Options{Requests: 20}, Result{Wrong: 2, LostConns: 2, LostMessages: 2},
			"by the service echo"},
		{"a wrong marker", each(func(_ int, p []byte) []byte {
			return append(bytes.TrimSuffix(upperOf(p), []byte("B")), 'X')
		}), Options{Requests: 20, Expect: ExpectUpper}, Result{Wrong: 2, LostConns: 2, LostMessages: 2}, "wrong"},
		{"some wrong messages", framed(t, "len4", func(n int, m []byte) []byte {
			if n%5 == 4 {
				return flip(m)
			}
			return m
		}), Options{Requests: 20, Conns: 1, Codec: codec(t, "len4")}, Result{Messages: 16, Wrong: 4},
			"4 of 20 answers were wrong"},
		{"longer messages", framed(t, "len4", func(_ int, m []byte) []byte { return append(m, 'x') }),
			Options{Requests: 20, Codec: codec(t, "len4")}, Result{Wrong: 20}, "20 of 20 answers were wrong"},
		{"two answers", framed(t, "len4", func(_ int, m []byte) []byte {
			return append(append(bytes.Clone(m), 0, 0, 0, 64), m...)
		}), Options{Requests: 20, Codec: codec(t, "len4")}, Result{Wrong: 20}, "wrong"},
		{"a message too many", func(_ *server, c net.Conn) {
			buf := make([]byte, 68)
			if _, err := io.ReadFull(c, buf); err == nil {
				_, _ = c.Write(append(buf, buf...)) // it fails if the client is gone, as it may be
			}
			_, _ = io.Copy(io.Discard, c)
		}, Options{Requests: 20, Codec: codec(t, "len4")}, Result{Messages: 2, Wrong: 2, LostConns: 2}, "nobody had sent"},
		{"a wrong marker in frames", framed(t, "len4", func(_ int, m []byte) []byte {
			return append(upperOf(m)[:len(m)], "_SX"...)
		}), Options{Requests: 20, Expect: ExpectUpper, Codec: codec(t, "len4")}, Result{Wrong: 20},
			"20 of 20 answers were wrong"},
		{"another codec", framed(t, "len4", same),
			Options{Requests: 2, Codec: codec(t, "varint"), Timeout: 200 * time.Millisecond},
			Result{LostConns: 2, LostMessages: 2}, "lost"},
		{"reset", reset, Options{Requests: 20}, Result{LostConns: 2, LostMessages: 2}, "connection reset"},
		{"closed", func(_ *server, c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 64)) }, Options{Requests: 20},
			Result{LostConns: 2, LostMessages: 2}, "the server closed the connection"},
		{"closed at once", func(*server, net.Conn) {}, Options{Requests: 20}, Result{LostConns: 2, LostMessages: 2},
			"2 of 2 connections were lost"},
		{"closed later", each3, Options{Requests: 20}, Result{Messages: 6, LostConns: 2, LostMessages: 2},
			"2 of 2 connections were lost"},
		{"never an answer", silent, Options{Requests: 20, Timeout: 200 * time.Millisecond},
			Result{LostConns: 2, TimedOut: 2, LostMessages: 2}, "timeout"},
		{"never an answer, for a time", silent, Options{Duration: 50 * time.Millisecond, Timeout: 200 * time.Millisecond},
			Result{LostConns: 2, TimedOut: 2, LostMessages: 2}, "timeout"},
		{"never an answer, each time", silent, Options{Requests: 4, Reconnect: true, Timeout: 100 * time.Millisecond},
			Result{LostConns: 4, TimedOut: 4, LostMessages: 4}, "4 of 4 connections were lost"},
		{"reset each time", reset, Options{Requests: 1000, Reconnect: true}, Result{LostConns: 20, LostMessages: 20},
			"20 of 20 connections were lost"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, "tcp", row.behave)
			row.o.Address = s.address
			if row.o.Conns == 0 {
				row.o.Conns = 2
			}
			r := mustRun(t, row.o)
			got := Result{Messages: r.Messages, Wrong: r.Wrong, LostConns: r.LostConns, TimedOut: r.TimedOut,
				LostMessages: r.LostMessages}
			// it may be over before a message left
			if strings.HasPrefix(row.name, "reset") || strings.HasPrefix(row.name, "closed at") {
				got.LostMessages, row.want.LostMessages = 0, 0
			}
			if !counts(got, row.want) {
				t.Errorf("messages %d, wrong %d, lost %d (%d by timeout), lost messages %d; want %d, %d, %d (%d), %d; errors %v",
					got.Messages, got.Wrong,
					got.LostConns, got.TimedOut, got.LostMessages, row.want.Messages, row.want.Wrong, row.want.LostConns,
					row.want.TimedOut, row.want.LostMessages, r.Errors)
			}
			if err := r.Err(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), row.says) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in one line", err, row.says)
			}
		})
	}
}

func counts(a, b Result) bool {
	return a.Messages == b.Messages && a.Wrong == b.Wrong && a.LostConns == b.LostConns && a.TimedOut == b.TimedOut &&
		a.LostMessages == b.LostMessages
}

// each3 answers three messages and closes.
func each3(_ *server, c net.Conn) {
	buf := make([]byte, 64)
	for n := 0; n < 4; n++ {
		if _, err := io.ReadFull(c, buf); err != nil || n == 3 {
			return
		}
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// TestSomeLost: the others go on, and the run is not good.
func TestSomeLost(t *testing.T) {
	turn := make(chan int, 1)
	turn <- 0
	s := serve(t, "tcp", func(s *server, c net.Conn) {
		n := <-turn
		turn <- n + 1
		if n < 3 {
			return
		}
		echo(s, c)
	})
	r := mustRun(t, Options{Address: s.address, Conns: 10, Duration: 100 * time.Millisecond})
	if r.LostConns != 3 || r.Messages == 0 || r.Seconds < 0.0999 || !errors.Is(r.Err(), ErrFailed) {
		t.Errorf("result %+v, error %v", r, r.Err())
	}
}

// TestRefused: nobody listens there.
func TestRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	for _, row := range []struct {
		name, address string
		o             Options
		want          string
	}{
		{"tcp", "tcp://" + address, Options{Conns: 5}, "no connection could be made"},
		{"tls", "tls://" + address, Options{Conns: 5}, "no connection could be made"},
		{"reconnect", "tcp://" + address, Options{Conns: 5, Reconnect: true}, "no connection could be made"},
		{"rate", "tcp://" + address, Options{Conns: 5, Rate: 100}, "no connection could be made"},
		{"loops", "tcp://" + address, Options{Conns: 5, Loops: 2}, "no connection could be made"},
		{"ramp", "tcp://" + address, Options{Conns: 5, RampUp: 20 * time.Millisecond}, "no connection could be made"},
		{"udp", "udp://" + address, Options{Conns: 5}, "connections were lost"},
		{"unix", "unix://" + t.TempDir() + "/none", Options{Conns: 5}, "no such file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.Address = row.address
			r := mustRun(t, row.o)
			if err := r.Err(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), row.want) ||
				!strings.Contains(err.Error(), "refused") && row.name != "unix" {
				t.Errorf("error %v, want %q", err, row.want)
			}
			if text := r.Errors[0].Error; strings.Contains(text, "loop: ") ||
				r.NotConnected > 0 && !strings.HasPrefix(text, "connect "+strings.Replace(row.address, "tls:", "tcp:", 1)+": ") {
				t.Errorf("the reason is %q, want the address in it, and no layer", text)
			}
			if r.Messages != 0 || r.NotConnected+r.LostConns < 5 || r.Seconds > 5 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// TestDatagrams: they may be lost, come twice, late and in any order; they may not come wrong.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	var held []byte
	for _, row := range []struct {
		name   string
		answer func(n int, p []byte, send func([]byte))
		o      Options
		good   func(r *Result) bool
		says   string
	}{
		{"echo", func(_ int, p []byte, send func([]byte)) { send(p) }, Options{Conns: 5},
			func(r *Result) bool { return r.Messages > 450 }, ""},
		{"depth", func(_ int, p []byte, send func([]byte)) { send(p) }, Options{Conns: 3, Depth: 8},
			func(r *Result) bool { return r.Messages > 450 }, ""},
		{"few numbers", func(_ int, p []byte, send func([]byte)) { send(p) }, Options{Conns: 2, Depth: 8, Size: 1},
			func(r *Result) bool { return r.Messages > 450 }, ""},
		{"large", func(_ int, p []byte, send func([]byte)) { send(p) }, Options{Conns: 1, Size: 60_000},
			func(r *Result) bool { return r.Messages > 450 }, ""},
		{"upper", func(_ int, p []byte, send func([]byte)) { send(upperOf(p)) }, Options{Conns: 5, Expect: ExpectUpper},
			func(r *Result) bool { return r.Messages > 450 }, ""},
		{"loss", func(n int, p []byte, send func([]byte)) {
			if n%10 != 3 {
				send(p)
			}
		}, Options{Conns: 50}, func(r *Result) bool {
			return r.LostMessages >= 50 && r.LostMessages < 100 && r.Messages > 400
		}, ""},
		{"loss at a rate", func(n int, p []byte, send func([]byte)) {
			if n%10 != 3 {
				send(p)
			}
		}, Options{Conns: 50, Rate: 2000}, func(r *Result) bool {
			return r.LostMessages >= 50 && r.LostMessages < 100 && r.Messages > 400
		}, ""},
		{"few numbers and loss", func(n int, p []byte, send func([]byte)) {
			if n%10 != 3 {
				send(p)
			}
		}, Options{Conns: 10, Depth: 8, Size: 1}, func(r *Result) bool {
			return r.LostMessages >= 50 && r.Messages+r.Stray > 400 // a busy machine answers late
		}, ""},
		{"twice", func(_ int, p []byte, send func([]byte)) { send(p); send(p) }, Options{Conns: 1},
			func(r *Result) bool { return r.Messages > 450 && r.Stray > 400 }, ""},
		{"the other way round", func(n int, p []byte, send func([]byte)) {
			if n%2 == 0 {
				held = bytes.Clone(p)
				return
			}
			send(p)
			send(held)
		}, Options{Conns: 1, Depth: 2}, func(r *Result) bool { return r.Messages > 450 }, ""},
		{"wrong", func(n int, p []byte, send func([]byte)) {
			if n%10 == 3 {
				p[len(p)-1] ^= 1
			}
			send(p)
		}, Options{Conns: 5}, func(r *Result) bool { return r.Wrong >= 45 && r.Messages > 400 }, "answers were wrong"},
		{"wrong numbers", func(n int, p []byte, send func([]byte)) { p[3] = 'x'; send(p) }, Options{Conns: 5, Requests: 5},
			func(r *Result) bool { return r.Wrong == 5 && r.LostMessages == 5 }, "answers were wrong"},
		{"cut short", func(n int, p []byte, send func([]byte)) { send(p[:3]) }, Options{Conns: 5, Requests: 5},
			func(r *Result) bool { return r.Wrong == 5 }, "answers were wrong"},
		{"silence", func(int, []byte, func([]byte)) {}, Options{Conns: 5, Requests: 20},
			func(r *Result) bool { return r.LostMessages == 20 && r.Messages == 0 }, "none of 20 messages was answered"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := servePackets(t, row.answer)
			row.o.Address, row.o.Timeout = s.address, 150*time.Millisecond
			if row.o.Requests == 0 {
				row.o.Requests = 500
			}
			good := func(r *Result) bool {
				lost := r.LostMessages
				if strings.HasPrefix(row.name, "wrong numbers") || row.name == "cut short" {
					lost = 0 // those are counted as wrong, and missed as well
				}
				return r.Messages+lost+r.Wrong == row.o.Requests && row.good(r)
			}
			r := mustRun(t, row.o)
			for ; !good(r) && row.o.Timeout < 2*time.Second; r = mustRun(t, row.o) {
				row.o.Timeout *= 4 // a busy machine answers late
			}
			if !good(r) {
				t.Errorf("result %+v", r)
			}
			if err := r.Err(); (row.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("error %v, want %q", err, row.says)
			}
		})
	}
}
