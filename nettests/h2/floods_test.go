package h2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The known floods of HTTP/2. Each sends more than any honest client would. Who else is connected is answered
// meanwhile, and what the server holds for the attacker is bounded; where work is started that outlasts a frame, it is
// closed.
//
// The bounds are net/http's (Go 1.26): handlers that run for a connection (250), requests that wait for one (4 × 250),
// answers to PING that wait to be sent (10,000), and a block of fields, which is read to its end only if it can be one
// (MaxHeaderBytes). SETTINGS that come while one is to be acknowledged are so together. Frames that cost nothing but
// their reading are read as fast as they come.

const (
	// mostFrames and mostTime are where a flood ends that the server lets go on, or that it takes no more of.
	mostFrames = 300_000
	mostTime   = 2 * time.Second
	// mostHeap is what the process may hold more at the end of a flood, in bytes. One of mostFrames, each of which leaves
	// a hundred bytes behind, would be more.
	mostHeap = 24 << 20
	// mostHandlers is how many handlers of a connection may run at once: http2.Server.MaxConcurrentStreams.
	mostHandlers = 250
)

// An attacker is a connection that has sent HTTP/2's preface.
type attacker struct {
	nc net.Conn
	fr *http2.Framer

	fields bytes.Buffer
	hp     *hpack.Encoder
}

func attack(t *testing.T, url string) *attacker {
	nc := dial(t, url)
	a := &attacker{nc: nc}
	a.hp = hpack.NewEncoder(&a.fields)
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	a.fr = http2.NewFramer(&batch{w: nc}, nc)
	if err := a.fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return a
}

// A batch gathers what is written, so that a flood is quick.
type batch struct {
	w io.Writer
	b []byte
}

func (b *batch) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	if len(b.b) > 16<<10 {
		_, err := b.w.Write(b.b)
		b.b = b.b[:0]
		return len(p), err
	}
	return len(p), nil
}

// request is the block of a request for /attack.
func (a *attacker) request() []byte {
	a.fields.Reset()
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/attack"}} {
		_ = a.hp.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return a.fields.Bytes()
}

// begins begins a block of fields, and reads.
func (a *attacker) begins() {
	a.reads()
	_ = a.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.request()})
}

// reads has a goroutine throw away what the server says.
func (a *attacker) reads() { go func() { _, _ = io.Copy(io.Discard, a.nc) }() }

// A flood is frames of one kind. n counts from 0.
type flood struct {
	name   string
	start  func(a *attacker) // nil: nobody reads what the server says
	frame  func(a *attacker, n uint32) error
	closed bool // the server must close the connection, however long it takes
}

var floods = []flood{
	// CVE-2023-44487: streams that are opened and at once reset, so that they do not count as open.
	{"rapid reset", (*attacker).reads, func(a *attacker, n uint32) error {
		id := 2*n + 1
		err := a.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: a.request(), EndStream: true,
			EndHeaders: true})
		if err != nil {
			return err
		}
		return a.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	}, true},
	// CVE-2023-45288: a block of fields that has no end.
	{"CONTINUATION", (*attacker).begins, func(a *attacker, n uint32) error {
		a.fields.Reset()
		for i := range 30 {
			_ = a.hp.WriteField(hpack.HeaderField{Name: fmt.Sprintf("x-%d-%d", n, i), Value: "abcdefghijklmnopqrst",
				Sensitive: true}) // in full each time
		}
		return a.fr.WriteContinuation(1, false, a.fields.Bytes())
	}, true},
	// The same with nothing in it.
	{"empty CONTINUATION", (*attacker).begins, func(a *attacker, n uint32) error {
		return a.fr.WriteContinuation(1, false, nil)
	}, false},
	// CVE-2019-9515: each is to be answered, and nobody reads the answers.
	{"SETTINGS", nil, func(a *attacker, n uint32) error { return a.fr.WriteSettings() }, false},
	// CVE-2019-9512.
	{"PING", nil, func(a *attacker, n uint32) error { return a.fr.WritePing(false, [8]byte{byte(n)}) }, false},
}

// TestFloods floods ours by each.
func TestFloods(t *testing.T) {
	for _, scheme := range []string{"tcp", "tls"} {
		for _, f := range floods {
			t.Run(scheme+"/"+f.name, func(t *testing.T) { f.run(t, scheme) })
		}
	}
}

func (f *flood) run(t *testing.T, scheme string) {
	var running, most atomic.Int64
	release := make(chan bool)
	url := ours(t, scheme, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/attack" { // it does not look at its context, as one that waits for a database
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-release
			running.Add(-1)
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer close(release)
	before := heap()
	end := healthy(t, url)
	a := attack(t, url)
	if f.start != nil {
		f.start(a)
	} else if tc, ok := a.nc.(*net.TCPConn); ok {
		_ = tc.SetReadBuffer(4096) // so that the answers that nobody reads wait at the server soon
	}
	if !f.closed {
		_ = a.nc.SetWriteDeadline(time.Now().Add(mostTime))
	}
	var err error
	n := 0
	for ; err == nil && (f.closed || n < mostFrames); n++ {
		err = f.frame(a, uint32(n))
	}
	grown := heap() - before
	served := end()
	t.Logf("after %d frames: %v; %d KiB, %d handlers at most, %d others served", n, err, grown>>10, most.Load(), served)
	if f.closed && errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	if grown > mostHeap {
		t.Errorf("the process has grown by %d KiB", grown>>10)
	}
	if most.Load() > mostHandlers {
		t.Errorf("%d handlers ran at once for a client that resets its requests", most.Load())
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// healthy asks on two connections, by HTTP/1.1 and HTTP/2, until the end is called, which returns how often: at least
// once more on each.
func healthy(t *testing.T, url string) (end func() int64) {
	var served atomic.Int64
	var over atomic.Bool
	var g sync.WaitGroup
	ask := func(c *http.Client) {
		res, err := c.Get(url + "/healthy")
		if err != nil {
			t.Errorf("a healthy client: %v", err)
			over.Store(true)
			return
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != "hello" || err != nil {
			t.Errorf("a healthy client: %q, %v", b, err)
		}
		served.Add(1)
	}
	for _, h2 := range []bool{false, true} {
		c := client(t, h2)
		ask(c) // it is connected before the flood begins
		g.Go(func() {
			for {
				last := over.Load()
				ask(c)
				if last {
					return
				}
			}
		})
	}
	return func() int64 {
		over.Store(true)
		g.Wait()
		return served.Load()
	}
}
