package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

func codec(t *testing.T, spec string) frame.Codec {
	t.Helper()
	c, err := frame.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRequests: so many messages as were asked for, to the message, whatever carries them.
func TestRequests(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, row := range []struct {
		name    string
		network string
		behave  func(s *server, c net.Conn)
		o       Options
	}{
		{"one", "tcp", echo, Options{Requests: 1}},
		{"tcp", "tcp", echo, Options{Requests: 1001, Conns: 7}},
		{"unix", "unix", echo, Options{Requests: 1001, Conns: 7}},
		{"depth", "tcp", echo, Options{Requests: 5003, Conns: 3, Depth: 16}},
		{"more connections than messages", "tcp", echo, Options{Requests: 3, Conns: 10}},
		{"loops", "tcp", echo, Options{Requests: 1001, Conns: 7, Loops: 3}},
		{"one byte", "tcp", echo, Options{Requests: 1001, Conns: 2, Depth: 5, Size: 1}},
		{"as long as the pattern", "tcp", echo, Options{Requests: 101, Conns: 2, Depth: 2, Size: period}},
		{"large", "tcp", echo, Options{Requests: 31, Conns: 2, Depth: 3, Size: 700_001}},
		{"shredded", "tcp", shredder(seed), Options{Requests: 2001, Conns: 3, Depth: 7, Size: 100}},
		{"len4", "tcp", framed(t, "len4", same), Options{Requests: 1001, Conns: 3, Depth: 4, Codec: codec(t, "len4")}},
		{"line", "tcp", framed(t, "line", same), Options{Requests: 1001, Conns: 3, Depth: 4, Codec: codec(t, "line")}},
		{"crlf", "tcp", framed(t, "crlf", same), Options{Requests: 1001, Conns: 3, Depth: 4, Codec: codec(t, "crlf")}},
		{"varint", "tcp", framed(t, "varint", same),
			Options{Requests: 1001, Conns: 3, Depth: 4, Size: 300, Codec: codec(t, "varint")}},
		{"netstring", "tcp", framed(t, "netstring", same), Options{Requests: 1001, Conns: 3, Codec: codec(t, "netstring")}},
		{"delimited", "tcp", framed(t, "delim:ab", same), Options{Requests: 1001, Conns: 3, Codec: codec(t, "delim:ab")}},
		{"fixed", "tcp", framed(t, "fixed:64", same), Options{Requests: 1001, Conns: 3, Codec: codec(t, "fixed:64")}},
		{"large frames", "tcp", framed(t, "len4", same),
			Options{Requests: 41, Conns: 2, Depth: 3, Size: 300_000, Codec: codec(t, "len4")}},
		{"upper", "tcp", upperStream, Options{Requests: 1001, Conns: 3, Expect: ExpectUpper}},
		{"upper in depth", "tcp", upperStream, Options{Requests: 1001, Conns: 3, Depth: 9, Size: 500, Expect: ExpectUpper}},
		{"upper in several pieces", "tcp", upperStream,
			Options{Requests: 51, Conns: 3, Depth: 2, Size: 30_000, Expect: ExpectUpper}},
		{"upper in frames", "tcp", framed(t, "line", func(_ int, m []byte) []byte { return upperOf(m) }),
			Options{Requests: 1001, Conns: 3, Expect: ExpectUpper, Codec: codec(t, "line")}},
		{"rate", "tcp", echo, Options{Requests: 300, Conns: 7, Rate: 3000}},
		{"rate on loops", "tcp", echo, Options{Requests: 300, Conns: 7, Rate: 3000, Loops: 2}},
		{"ramp", "tcp", echo, Options{Requests: 100, Conns: 5, RampUp: 50 * time.Millisecond, Think: 5 * time.Millisecond}},
		{"ramp and rate", "tcp", echo, Options{Requests: 300, Conns: 5, RampUp: 50 * time.Millisecond, Rate: 3000}},
		{"reconnect", "tcp", echo, Options{Requests: 101, Conns: 3, Reconnect: true}},
		{"reconnect at a rate", "tcp", echo, Options{Requests: 101, Conns: 3, Reconnect: true, Rate: 1000}},
		{"think", "tcp", echo, Options{Requests: 101, Conns: 10, Depth: 2, Think: time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, row.network, row.behave)
			row.o.Address = s.address
			r := mustRun(t, row.o)
			o := row.o
			if r.Messages != o.Requests || r.Err() != nil {
				t.Errorf("%d messages, want %d; error %v; result %+v", r.Messages, o.Requests, r.Err(), r)
			}
			size := o.Size
			if size == 0 {
				size = defaultSize
			}
			if want := o.Requests * int64(size); o.Codec == nil && r.BytesSent != want || r.BytesSent < want {
				t.Errorf("sent %d bytes, want %d", r.BytesSent, want)
			}
			if got := s.bytes.Load(); got != 0 && got != r.BytesSent {
				t.Errorf("the server got %d bytes, the result says %d", got, r.BytesSent)
			}
			wantConns := int64(max(o.Conns, 1))
			if o.Reconnect {
				wantConns = o.Requests
			}
			if r.Connected != wantConns || r.Unsent+r.Unanswered+r.LostMessages != 0 {
				t.Errorf("%d connections, want %d; result %+v", r.Connected, wantConns, r)
			}
		})
	}
}

// TestDrivers: each driver carries the load.
func TestDrivers(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := serve(t, "tcp", echo)
			r := mustRun(t, Options{Address: s.address, Driver: d.Name, Requests: 3000, Conns: 20, Depth: 3})
			if r.Messages != 3000 || r.Err() != nil || r.Driver != d.Name {
				t.Errorf("result %+v, error %v", r, r.Err())
			}
			u := servePackets(t, func(_ int, p []byte, send func([]byte)) { send(p) })
			r = mustRun(t, Options{Address: u.address, Driver: d.Name, Requests: 1000, Conns: 5})
			if r.Messages+r.LostMessages != 1000 || r.Err() != nil {
				t.Errorf("datagrams: result %+v, error %v", r, r.Err())
			}
		})
	}
}

// TestDuration: the measurement takes as long as was asked, and the rate is that of the measurement.
func TestDuration(t *testing.T) {
	s := serve(t, "tcp", echo)
	for _, row := range []struct {
		name string
		o    Options
	}{
		{"plain", Options{Duration: 100 * time.Millisecond}},
		{"warmed up", Options{Duration: 100 * time.Millisecond, Warmup: 100 * time.Millisecond}},
		{"ramped up", Options{Duration: 100 * time.Millisecond, RampUp: 100 * time.Millisecond}},
		{"before so many messages", Options{Duration: 100 * time.Millisecond, Requests: 1 << 40}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.Address, row.o.Conns = s.address, 4
			begun := time.Now()
			r := mustRun(t, row.o)
			for r.Rate == 0 && row.o.Duration < 10*time.Second { // a busy machine answers late
				row.o.Duration *= 4
				begun = time.Now()
				r = mustRun(t, row.o)
			}
			took := time.Since(begun)
			asked := row.o.Duration.Seconds()
			if r.Err() != nil || r.Seconds < 0.999*asked || r.Seconds > 2*asked || r.Messages == 0 ||
				r.Rate > float64(r.Messages)/r.Seconds || r.Rate == 0 {
				t.Errorf("result %+v, error %v", r, r.Err())
			}
			if want := row.o.Duration + row.o.Warmup + row.o.RampUp*3/4; took < want {
				t.Errorf("it took %v, want %v", took, want)
			}
			if row.o.Warmup > 0 && r.BytesSent/64 < r.Messages+20 {
				t.Errorf("%d messages sent, %d counted: the warm-up is in", r.BytesSent/64, r.Messages)
			}
		})
	}
}

// TestRate: so many messages are due, and so many are sent, whatever the server does meanwhile.
func TestRate(t *testing.T) {
	s := serve(t, "tcp", echo)
	r := mustRun(t, Options{Address: s.address, Conns: 3, Rate: 1000, Duration: 300 * time.Millisecond})
	if r.Err() != nil || r.Messages < 299 || r.Messages > 301 {
		t.Errorf("%d messages, want 300; error %v", r.Messages, r.Err())
	}
}

// gate holds answers up: those of the time between from and from + d after the first message.
func gate(from, d time.Duration) func(s *server, c net.Conn) {
	begun := sync.OnceValue(time.Now)
	return func(s *server, c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if now := time.Since(begun()); now >= from && now < from+d {
				select {
				case <-time.After(from + d - now):
				case <-s.stop:
				}
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// TestStall: a server that stands still for a second has kept everything waiting that was due in that second.
func TestStall(t *testing.T) {
	for _, row := range []struct {
		name string
		from time.Duration
	}{
		{"in between", 200 * time.Millisecond},
		{"at the end", 1300 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "tcp", gate(row.from, time.Second))
			r := mustRun(t, Options{Address: s.address, Conns: 4, Rate: 500, Duration: 1500 * time.Millisecond})
			if r.Err() != nil || r.Messages < 748 || r.Messages > 752 {
				t.Errorf("%d messages, want 750; error %v", r.Messages, r.Err())
			}
			if r.Latency.P99 < 900_000 || r.Latency.Max > 5_000_000 {
				t.Errorf("p99 %.0f µs, max %.0f µs; want a second", r.Latency.P99, r.Latency.Max)
			}
			if row.name == "at the end" && r.Rate > 480 {
				t.Errorf("%.0f a second: answers that came after the measurement are in the rate", r.Rate)
			}
			// Of the messages due while it stood still, half waited for more than half of the time, give or take when the
			// schedule began; were only those counted that it held up, there were one for each connection.
			late := int64(0)
			for _, b := range r.Histogram {
				if b.UpTo > 500_000 {
					late += b.Count
				}
			}
			want := int64(125)
			if row.name == "at the end" {
				want = 50 // it stood still for 200 ms of the schedule, 100 messages
			}
			if late < want {
				t.Errorf("%d messages took more than half a second, want at least %d: %+v", late, want, r.Histogram)
			}
		})
	}
	t.Run("closed loop", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "tcp", gate(200*time.Millisecond, time.Second))
		r := mustRun(t, Options{Address: s.address, Conns: 4, Duration: 1500 * time.Millisecond})
		if r.Latency.P99 > 500_000 || r.Latency.Max < 900_000 {
			t.Errorf("p99 %.0f µs, max %.0f µs: a closed loop sees a stall in its slowest message alone", r.Latency.P99,
				r.Latency.Max)
		}
	})
}

// TestBehind: a server that can't keep up with the rate is told so by what was not sent.
func TestBehind(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", func(s *server, c net.Conn) {
		buf := make([]byte, 64)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-s.stop:
			}
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
	r := mustRun(t, Options{Address: s.address, Rate: 10_000, Duration: 200 * time.Millisecond,
		Timeout: 3 * time.Second}) // of which a busy machine may take one
	if r.Err() != nil || r.Unsent < 1000 || r.Messages == 0 || r.Messages+r.Unsent < 1990 || r.Messages+r.Unsent > 2010 {
		t.Errorf("%d messages, %d not sent, want 2000 together; error %v", r.Messages, r.Unsent, r.Err())
	}
	if r.Latency.P50 < 50_000 {
		t.Errorf("p50 %.0f µs: the waiting before sending is not in", r.Latency.P50)
	}
}

// TestThink: a connection that thinks sends less.
func TestThink(t *testing.T) {
	s := serve(t, "tcp", echo)
	r := mustRun(t, Options{Address: s.address, Requests: 10, Think: 20 * time.Millisecond})
	if r.Seconds < 9*0.02 || r.Messages != 10 {
		t.Errorf("%d messages in %v s, want 10 in at least 0.18", r.Messages, r.Seconds)
	}
}

// TestRampUp: connections come one after another.
func TestRampUp(t *testing.T) {
	s := serve(t, "tcp", echo)
	r := mustRun(t, Options{Address: s.address, Conns: 5, Loops: 2, Duration: 50 * time.Millisecond,
		RampUp: 250 * time.Millisecond})
	if r.Err() != nil || r.Connected != 5 {
		t.Fatalf("result %+v, error %v", r, r.Err())
	}
	first := <-s.times
	last := first
	for len(s.times) > 0 {
		last = <-s.times
	}
	if d := last.Sub(first); d < 150*time.Millisecond {
		t.Errorf("all connections were made within %v, want at least 150 ms", d)
	}
}

// TestCancel: a run that is cancelled reports what there is, and soon.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		behave func(s *server, c net.Conn)
		o      Options
	}{
		{"under load", echo, Options{Conns: 4}},
		{"at a rate", echo, Options{Conns: 4, Rate: 100}},
		{"thinking", echo, Options{Conns: 4, Think: time.Hour}},
		{"reconnecting", echo, Options{Conns: 4, Reconnect: true}},
		{"ramping up", echo, Options{Conns: 4, RampUp: time.Hour}},
		{"no answer", silent, Options{Conns: 4, Timeout: time.Hour}},
		{"no answer at a rate", silent, Options{Conns: 4, Timeout: time.Hour, Rate: 1000}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, "tcp", row.behave)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			row.o.Address, row.o.Duration = s.address, time.Hour
			looks := 0
			row.o.Progress = func(Progress) {
				if looks++; looks == 2 {
					cancel()
				}
			}
			begun := time.Now()
			r, err := Run(ctx, row.o)
			if err != nil || !r.Interrupted || time.Since(begun) > patience/2 {
				t.Fatalf("after %v: result %+v, error %v", time.Since(begun), r, err)
			}
			if strings.Contains(row.name, "no answer") && (r.Unanswered != 4 || r.Messages != 0) {
				t.Errorf("%d not answered, %d answered; want 4 and none", r.Unanswered, r.Messages)
			}
			if row.name == "no answer at a rate" && r.Unsent == 0 {
				t.Errorf("nothing is said of what was due and not sent: %+v", r)
			}
			if row.name == "under load" && (r.Messages == 0 || r.Rate == 0 || r.Seconds == 0 || r.Err() != nil) {
				t.Errorf("result %+v, error %v", r, r.Err())
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		s := serve(t, "tcp", echo)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, err := Run(ctx, Options{Address: s.address})
		if err == nil && !r.Interrupted {
			t.Errorf("result %+v, error %v", r, err)
		}
	})
}

// TestTLS: a certificate is trusted by its fingerprint, or by nobody's word.
func TestTLS(t *testing.T) {
	srv := &plexor.Server{Loops: 1}
	addr, err := srv.Open("tls://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	_, print := srv.SelfSigned()
	address := "tls://" + addr.String()
	other := strings.Repeat("00:", 31) + "00"
	for _, row := range []struct {
		name, query string
		o           Options
		want        string // in the error
	}{
		{"fingerprint", "?fingerprint=" + print, Options{Requests: 1001, Conns: 5}, ""},
		{"insecure", "", Options{Requests: 1001, Conns: 5, Depth: 3, Insecure: true}, ""},
		{"loops", "", Options{Requests: 301, Conns: 5, Loops: 2, Insecure: true}, ""},
		{"large", "", Options{Requests: 21, Conns: 2, Depth: 2, Size: 300_000, Insecure: true}, ""},
		{"rate", "", Options{Requests: 200, Conns: 3, Rate: 2000, Insecure: true}, ""},
		{"reconnect", "", Options{Requests: 20, Conns: 3, Reconnect: true, Insecure: true}, ""},
		{"another fingerprint", "?fingerprint=" + other, Options{Requests: 10}, "fingerprint"},
		{"nobody's word", "", Options{Requests: 10}, "certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.Address = address + row.query
			r := mustRun(t, row.o)
			if err := r.Err(); row.want == "" && (err != nil || r.Messages != row.o.Requests) || row.want != "" &&
				(err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%d messages, error %v, want one with %q; %+v", r.Messages, err, row.want, r)
			}
		})
	}
}

// TestOptions: what makes no sense is refused before anything is sent.
func TestOptions(t *testing.T) {
	for _, row := range []struct {
		name string
		o    Options
		want string
	}{
		{"no address", Options{}, "address"},
		{"no port", Options{Address: "tcp://127.0.0.1:0"}, "port 0"},
		{"unknown option", Options{Address: "tcp://127.0.0.1:1?colour=red"}, "colour"},
		{"connections", Options{Conns: -1}, "connections: -1"},
		{"depth", Options{Depth: -1}, "depth: -1"},
		{"size", Options{Size: -1}, "size: -1"},
		{"too much under way", Options{Size: 1 << 20, Depth: 1 << 10}, "under way"},
		{"requests", Options{Requests: -1}, "requests: -1"},
		{"rate", Options{Rate: -1}, "rate: -1"},
		{"think", Options{Think: -1}, "think time"},
		{"rate and think", Options{Rate: 1, Think: 1}, "think time"},
		{"requests and warm-up", Options{Requests: 1, Warmup: 1}, "warm-up"},
		{"reconnect and depth", Options{Reconnect: true, Depth: 2}, "depth"},
		{"reconnect and ramp", Options{Reconnect: true, RampUp: 1}, "ramp-up"},
		{"reconnect over udp", Options{Address: "udp://127.0.0.1:1", Reconnect: true}, "reconnect"},
		{"insecure without tls", Options{Insecure: true}, "insecure"},
		{"expect", Options{Expect: "lower"}, `"lower"; there are echo, upper`},
		{"frames over udp", Options{Address: "udp://127.0.0.1:1", Codec: frame.Line{}}, "datagram"},
		{"too large a datagram", Options{Address: "udp://127.0.0.1:1", Size: 65508}, "65507"},
		{"datagrams without numbers", Options{Address: "udp://127.0.0.1:1", Size: 1, Depth: 9}, "depth up to 8"},
		{"a message that the codec does not take", Options{Codec: frame.Length{Bytes: 1}, Size: 256}, "256"},
		{"another size than the codec's", Options{Codec: frame.Fixed{Size: 10}}, "64"},
		{"an answer that the codec does not take", Options{Codec: frame.Length{Bytes: 1}, Size: 254, Expect: ExpectUpper},
			"255"},
		{"a codec that keeps the header", Options{Codec: frame.Length{Bytes: 4, Keep: true}}, "frame"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.o.Address == "" && row.name != "no address" {
				row.o.Address = "tcp://127.0.0.1:1"
			}
			r, err := Run(t.Context(), row.o)
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), row.want) || r != nil {
				t.Errorf("result %v, error %v, want one with %q", r, err, row.want)
			}
		})
	}
	if _, err := Run(t.Context(), Options{Address: "tcp://127.0.0.1:1", Driver: "devpoll"}); !errors.Is(err,
		loop.ErrUnknownDriver) {
		t.Errorf("an unknown driver: error %v", err)
	}
}
