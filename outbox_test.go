package plexor_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/portion"
)

// boxCodec is what the tests of outboxes speak.
var boxCodec = frame.Length{Bytes: 4}

// A boxBench is a server whose connections do what their clients tell them, and give their outboxes to the test.
type boxBench struct {
	*bench
	boxes chan *plexor.Outbox
	gone  chan net.Conn // of "share"
	done  chan error    // of "close"

	asking  sync.Mutex     // one connection at a time gives its box
	readers sync.WaitGroup // of follow
}

// boxed starts one. A stream's handler speaks the same codec by hand.
func boxed(t *testing.T, p place, stream bool, srv *plexor.Server) *boxBench {
	t.Helper()
	b := &boxBench{boxes: make(chan *plexor.Outbox, 1), gone: make(chan net.Conn, 1), done: make(chan error, 1)}
	var h plexor.Handler = plexor.Messages(boxCodec, b.handle)
	if stream {
		h = plexor.HandlerFunc(func(c *plexor.Conn) {
			in, err := frame.NewReader(c, boxCodec)
			for err == nil {
				var msg []byte
				if msg, err = in.Next(); err == nil {
					err = b.handle(c, msg)
				}
			}
		})
	}
	b.bench = p.serve(t, srv, h)
	return b
}

// longFrame is how many bytes the frame of "long" has: more than the output takes at once.
const longFrame = 1_000_000

// errLeave has a stream's handler return, and closes a connection of Messages.
var errLeave = errors.New("as I was told")

func (b *boxBench) handle(c *plexor.Conn, msg []byte) error {
	what, arg, _ := strings.Cut(string(msg), " ")
	switch what {
	case "box":
		b.boxes <- c.Outbox()
	case "write": // a message of the handler's own
		return sendFrame(c, []byte("handler "+arg))
	case "long":
		return sendFrame(c, bytes.Repeat([]byte("l"), longFrame))
	case "close":
		b.done <- c.Close()
	case "end":
		return c.CloseWrite()
	case "abort":
		return c.Abort()
	case "leave":
		return errLeave
	case "share":
		b.gone <- c.Shared()
		return errLeave
	}
	return nil
}

// sendFrame is Send for a Conn without a codec too.
func sendFrame(c *plexor.Conn, msg []byte) error {
	p, err := boxCodec.Append(nil, msg)
	if err == nil {
		_, err = c.Write(p)
	}
	return err
}

// command has the connection do something.
func command(t *testing.T, client net.Conn, what string) {
	t.Helper()
	p, err := boxCodec.Append(nil, []byte(what))
	if err != nil {
		t.Fatal(err)
	}
	send(t, client, string(p))
}

// dialBox is a client and the outbox of its connection.
func (b *boxBench) dialBox() (net.Conn, *plexor.Outbox) {
	b.t.Helper()
	client := b.dial()
	if tcp, ok := client.(*net.TCPConn); ok { // else the system makes it larger while the test looks on
		if err := tcp.SetReadBuffer(32 << 10); err != nil {
			b.t.Fatal(err)
		}
	}
	if b.tls {
		client = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	}
	b.asking.Lock()
	defer b.asking.Unlock()
	command(b.t, client, "box")
	return client, receive(b.t, b.boxes, "the outbox")
}

// put puts one message into a box of a connection with or without a codec.
func put(o *plexor.Outbox, msg string) error {
	p, err := boxCodec.Append(nil, []byte(msg))
	if err == nil {
		_, err = o.Write(p)
	}
	return err
}

// nextFrame reads one; fills are passed over.
func nextFrame(t *testing.T, c io.Reader) string {
	t.Helper()
	for {
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Fatalf("the head of a frame: %v", err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > 1<<20 {
			t.Fatalf("a frame of %d bytes: something came in between", n)
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(c, p); err != nil {
			t.Fatalf("a frame of %d bytes: %v", n, err)
		}
		if n != 1000 || p[0] != 'f' {
			return string(p)
		}
	}
}

// eachBoxed runs f for connections of streams and of Messages, on each driver, over TCP, unix sockets and TLS; if not
// everywhere, with one of the two on io_uring and with the other elsewhere, by turns.
func eachBoxed(t *testing.T, f func(t *testing.T, p place, stream bool)) {
	first := portion.Turn(t.Name()) % 2
	for i, kind := range []string{"stream", "messages"} {
		t.Run(kind, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				if !portion.Everywhere() && drivers()[0] == "io_uring" && (p.driver == "io_uring") != (i == first) {
					t.Skip("here the other kind takes place, and in CI both")
				}
				f(t, p, kind == "stream")
			})
		})
	}
}

// fullBox is a connection whose output is full, so that what is put into its box waits. Nobody reads on the client.
func fullBox(t *testing.T, p place, stream bool, l plexor.OutboxLimits) (*boxBench, net.Conn, *plexor.Outbox) {
	t.Helper()
	b := boxed(t, p, stream, &plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: 64 << 10, Outbox: l}})
	client, o := b.dialBox()
	fillBox(b.bench, o)
	return b, client, o
}

// until waits for what a test looks for.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	b.await(what, func(plexor.Stats) bool { return ok() })
}

// TestOutboxOrder: what a goroutine puts in and what the handler writes both arrive whole and in order, whatever their
// sizes, while the client reads slowly.
func TestOutboxOrder(t *testing.T) {
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		limits := plexor.Limits{HighWater: 32 << 10, Outbox: plexor.OutboxLimits{Bytes: 1 << 20}}
		b := boxed(t, p, stream, &plexor.Server{Limits: limits})
		client, o := b.dialBox()
		const n = 60
		sizes := []int{0, 1, 100, 5000, 40_000, 150_000}
		failed := make(chan error, 2)
		go func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				msg := fmt.Sprintf("box %d %s", i, strings.Repeat("b", sizes[i%len(sizes)]))
				var p plexor.Prepared
				if p, err = plexor.Prepare(boxCodec, []byte(msg)); err == nil {
					err = o.PutWait(t.Context(), p)
				}
			}
			failed <- err
		}()
		go func() {
			for i := range n {
				text := strings.Repeat("h", sizes[(i+3)%len(sizes)]%50_000)
				p, _ := boxCodec.Append(nil, fmt.Appendf(nil, "write %d %s", i, text))
				if _, err := client.Write(p); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
		next := map[string]int{}
		for range 2 * n {
			var who string
			var i int
			msg := nextFrame(t, client)
			if _, err := fmt.Sscan(msg, &who, &i); err != nil || i != next[who] {
				t.Fatalf("%.30q came, %v: want the %d. of it", msg, err, next[who])
			}
			next[who]++
		}
		for range 2 {
			if err := receive(t, failed, "those who send"); err != nil {
				t.Error(err)
			}
		}
		b.until("all is counted as sent", func() bool { return o.Stats() == plexor.OutboxStats{Sent: n} })
	})
}

// TestOutboxBetweenWrites: an entry that comes while a Write of the handler's is half done waits for its rest, and what
// the handler writes then waits for the entry.
func TestOutboxBetweenWrites(t *testing.T) {
	beside(t)
	eachMessagePlace(t, func(t *testing.T, p place) {
		beside(t)
		b, client, o := fullBox(t, p, true, plexor.OutboxLimits{})
		const n = 10 // more than the system takes
		for range n {
			command(t, client, "long")
		}
		b.until("it waits for room", func() bool { return plexor.Writing(o) })
		if err := put(o, "entry"); err != nil {
			t.Fatal(err)
		}
		long, entries := 0, 0
		for range n + 1 {
			switch msg := nextFrame(t, client); {
			case msg == "entry":
				entries++
			case len(msg) == longFrame && strings.Trim(msg, "l") == "":
				long++
			default:
				t.Fatalf("%.30q of %d bytes came", msg, len(msg))
			}
		}
		if long != n || entries != 1 {
			t.Errorf("%d long frames and %d entries came, want %d and 1", long, entries, n)
		}
	})
}

// TestOutboxFull: what happens to entries for which there is no room, and what the client gets in the end.
func TestOutboxFull(t *testing.T) {
	beside(t)
	for _, row := range []struct {
		name   string
		limits plexor.OutboxLimits
		put    func(o *plexor.Outbox, i int) error
		errs   []int // which of ten fail
		get    []int
		stats  plexor.OutboxStats
	}{
		{"refuse by entries", plexor.OutboxLimits{Entries: 4}, nil,
			[]int{4, 5, 6, 7, 8, 9}, []int{0, 1, 2, 3}, plexor.OutboxStats{Dropped: 6}},
		{"refuse by bytes", plexor.OutboxLimits{Bytes: 20}, nil,
			[]int{4, 5, 6, 7, 8, 9}, []int{0, 1, 2, 3}, plexor.OutboxStats{Dropped: 6}},
		{"drop the oldest", plexor.OutboxLimits{Entries: 4, WhenFull: plexor.DropOldest}, nil,
			nil, []int{6, 7, 8, 9}, plexor.OutboxStats{Dropped: 6}},
		{"latest by key", plexor.OutboxLimits{Entries: 4}, func(o *plexor.Outbox, i int) error {
			return o.PutLatest(i%3, plexor.PrepareBytes([]byte{0, 0, 0, 1, '0' + byte(i)}))
		}, nil, []int{9, 7, 8}, plexor.OutboxStats{Replaced: 7}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachBoxed(t, func(t *testing.T, p place, stream bool) {
				beside(t)
				_, client, o := fullBox(t, p, stream, row.limits)
				var errs []int
				for i := range 10 {
					f := row.put
					if f == nil {
						f = func(o *plexor.Outbox, i int) error { return put(o, fmt.Sprint(i)) }
					}
					if err := f(o, i); errors.Is(err, plexor.ErrOutboxFull) && !errors.Is(err, net.ErrClosed) {
						errs = append(errs, i)
					} else if err != nil {
						t.Fatalf("entry %d: %v", i, err)
					}
				}
				stats := row.stats
				stats.Entries, stats.Bytes = len(row.get), 5*len(row.get)
				if got := o.Stats(); fmt.Sprint(errs) != fmt.Sprint(row.errs) || got != stats {
					t.Errorf("%v failed, want %v; the stats are %+v, want %+v", errs, row.errs, got, stats)
				}
				for _, i := range row.get {
					if msg := nextFrame(t, client); msg != fmt.Sprint(i) {
						t.Errorf("%.20q came, want %d", msg, i)
					}
				}
				if err := put(o, "more"); err != nil {
					t.Error(err)
				}
				if msg := nextFrame(t, client); msg != "more" {
					t.Errorf("%.20q came, want more", msg)
				}
			})
		})
	}
}

// TestOutboxOverrun: by CloseWhenFull the entry that finds no room ends the connection, and only that entry's error is
// ErrOutboxFull.
func TestOutboxOverrun(t *testing.T) {
	beside(t)
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		beside(t)
		b, _, o := fullBox(t, p, stream, plexor.OutboxLimits{Entries: 2, WhenFull: plexor.CloseWhenFull})
		for i, want := range []error{nil, nil, plexor.ErrOutboxFull, net.ErrClosed} {
			if err := put(o, "x"); !errors.Is(err, want) || want == net.ErrClosed && errors.Is(err, plexor.ErrOutboxFull) {
				t.Errorf("entry %d: %v, want %v", i, err, want)
			}
		}
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 })
		if s := o.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Dropped != 3 {
			t.Errorf("the stats are %+v, want 3 dropped and nothing left", s)
		}
	})
}

// TestOutboxTooLong: what never fits has an error of its own, whether or not the box is full.
func TestOutboxTooLong(t *testing.T) {
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		b := boxed(t, p, stream, &plexor.Server{Limits: plexor.Limits{Outbox: plexor.OutboxLimits{Bytes: 10}}})
		_, o := b.dialBox()
		if _, err := o.Write(make([]byte, 11)); !errors.Is(err, plexor.ErrOutboxTooLong) {
			t.Errorf("11 bytes where 10 may wait: %v", err)
		}
		if err := o.PutWait(t.Context(), plexor.PrepareBytes(make([]byte, 11))); !errors.Is(err, plexor.ErrOutboxTooLong) {
			t.Errorf("PutWait: %v", err)
		}
		if err := o.SetLimits(plexor.OutboxLimits{Bytes: 11}); err != nil {
			t.Error(err)
		}
		if _, err := o.Write(make([]byte, 11)); err != nil {
			t.Errorf("11 bytes of 11: %v", err)
		}
		if err := o.SetLimits(plexor.OutboxLimits{Entries: -1}); err == nil {
			t.Error("a negative limit is none")
		}
	})
}

// TestOutboxWrongUse: a Conn's Outbox is asked for by its coroutines; whoever else does gets one that says so.
func TestOutboxWrongUse(t *testing.T) {
	conns, ended := make(chan *plexor.Conn, 1), make(chan struct{})
	b := (place{"auto", "tcp://127.0.0.1:0"}).serve(t, new(plexor.Server), plexor.HandlerFunc(func(c *plexor.Conn) {
		conns <- c
		coro.Await(c.Context(), func() (struct{}, error) { <-ended; return struct{}{}, nil })
	}))
	client := b.dial()
	send(t, client, "!")
	c := receive(t, conns, "the connection")
	err := c.Outbox().Send([]byte("x"))
	if _, ok := errors.AsType[*coro.MisuseError](err); !ok {
		t.Errorf("asked for by a goroutine: %v, want a *coro.MisuseError", err)
	}
	close(ended)
	wantEnd(t, client)
	b.await("the handler's end", func(s plexor.Stats) bool { return s.Handlers == 0 })
}
