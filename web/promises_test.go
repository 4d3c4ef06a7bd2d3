package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

// What a handler of net/http may rely on, as far as Go's own tests (nettests/gohttp) do not try it.

// answered is a request's answer over nc, with its body.
func answered(t *testing.T, nc net.Conn, r *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	return read(t, r)
}

func read(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// open is a connection of the client's that ends with the test.
func open(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return nc, bufio.NewReader(nc)
}

const plainGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// sending is how much a client has sent, now and when the handler was done.
type sending struct{ sent, byHandler atomic.Int64 }

// TestBackPressure has a client that does not read, and a handler that does not: each way a bounded part of what is
// sent is taken.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	const most = 64 << 20 // what the system's two buffers (tcp_rmem and tcp_wmem of tcp(7)) and our own may hold
	done := make(chan bool, 2)
	eachWay(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- true }()
		c := http.NewResponseController(w)
		if r.Method == "POST" {
			_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			var b [1]byte
			_, _ = r.Body.Read(b[:])
			// Behind the handler the connection closes, and what still comes is thrown away: so it is counted here.
			x := r.Context().Value(aKey{}).(*sending)
			x.byHandler.Store(x.sent.Load())
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		piece := make([]byte, 64<<10)
		for n := 0; ; n += len(piece) {
			if _, err := w.Write(piece); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write: %v", err)
				}
				return
			}
			if n > most {
				t.Errorf("%d bytes were taken that nobody reads", n)
				return
			}
		}
	}, func(t *testing.T, p *place) {
		x := new(sending)
		o := web.Options{Context: context.WithValue(context.Background(), aKey{}, x)}
		addr := p.serve(t, o)
		nc, _ := p.open(t, addr)
		if _, err := io.WriteString(nc, plainGet); err != nil {
			t.Fatal(err)
		}
		up, r := p.open(t, addr)
		fmt.Fprintf(up, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", int64(1<<40))
		go func() {
			for piece := make([]byte, 64<<10); ; {
				n, err := up.Write(piece)
				if x.sent.Add(int64(n)); err != nil {
					return
				}
			}
		}()
		res, _ := read(t, r)
		if n := x.byHandler.Load(); n > most {
			t.Errorf("%d bytes were taken that no handler reads", n)
		}
		if !res.Close {
			t.Error("the connection goes on behind a body that was not read")
		}
		up.Close()
		<-done
		<-done
	})
}

type (
	aKey    struct{}
	connKey struct{}
)

func TestContextValues(t *testing.T) {
	o := web.Options{Context: context.WithValue(context.Background(), aKey{}, "base")}
	o.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, nc.RemoteAddr().String())
	}
	eachWay(t, func(w http.ResponseWriter, r *http.Request) {
		_, isServer := r.Context().Value(http.ServerContextKey).(*http.Server)
		_, isAddr := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		ofConn := r.Context().Value(connKey{}) == r.RemoteAddr
		fmt.Fprintf(w, "%v %v %v %v", isServer, isAddr, r.Context().Value(aKey{}), ofConn)
	}, func(t *testing.T, p *place) {
		addr := p.serve(t, o)
		nc, r := p.open(t, addr)
		for range 2 {
			if _, got := answered(t, nc, r, plainGet); got != "true true base true" {
				t.Error(got)
			}
		}
		req, _ := http.NewRequest("GET", p.url(addr), nil)
		if _, got := get(t, p.client(t, true), req); got != "true true base true" {
			t.Errorf("HTTP/2: %s", got)
		}
	})
}

// TestContextEnds has the client go, and send another request: the first ends the context, and the second does not.
func TestContextEnds(t *testing.T) {
	ended, began := make(chan error, 1), make(chan bool, 1)
	h := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			return
		case "/read":
			_, _ = io.ReadAll(r.Body)
		}
		began <- true
		<-r.Context().Done()
		ended <- r.Context().Err()
	}
	eachScheme(t, func(t *testing.T, p *place) {
		p.h = http.HandlerFunc(h)
		addr := p.serve(t, web.Options{})
		for _, request := range []string{plainGet, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na",
			plainGet + last("GET", "/other"), plainGet + "GET /half"} {
			nc, _ := p.open(t, addr)
			if _, err := io.WriteString(nc, request); err != nil {
				t.Fatal(err)
			}
			<-began
			select {
			case err := <-ended:
				t.Errorf("%.20q: ended while the client is there: %v", request, err)
			default:
			}
			nc.Close()
			if err := <-ended; err != context.Canceled {
				t.Errorf("%.20q: %v", request, err)
			}
		}
	})
}

// TestContextOverAtTheEnd is the context of a request whose handler has returned.
func TestContextOverAtTheEnd(t *testing.T) {
	contexts := make(chan context.Context, 1)
	eachWay(t, func(w http.ResponseWriter, r *http.Request) { contexts <- r.Context() },
		func(t *testing.T, p *place) {
			nc, r := p.open(t, p.serve(t, web.Options{}))
			answered(t, nc, r, plainGet)
			select {
			case <-(<-contexts).Done():
			case <-time.After(patience):
				t.Error("it goes on")
			}
		})
}

// lines counts log lines, and keeps them.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(p))
	return len(p), nil
}

// TestPanics are logged once, with the stack; what was answered before arrives, and the server goes on.
func TestPanics(t *testing.T) {
	eachWay(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			thePanic()
		case "/abort":
			panic(http.ErrAbortHandler)
		}
	}, func(t *testing.T, p *place) {
		var log lines
		addr := p.serve(t, web.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for _, path := range []string{"/panic", "/abort"} {
			nc, r := p.open(t, addr)
			answered(t, nc, r, plainGet+"GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"+plainGet)
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
				t.Errorf("%s: %q, %v", path, rest, err)
			}
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		if len(log.text) != 1 || !strings.Contains(log.text[0], "thePanic") {
			t.Errorf("logged: %q", log.text)
		}
	})
}

func thePanic() { panic("on purpose") }

// TestGoexit has a handler end its goroutine, or its coroutine: its connection ends, and nothing else.
func TestGoexit(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/exit" {
			runtime.Goexit()
		}
	}
	try := func(t *testing.T, reset bool, open func() (net.Conn, *bufio.Reader)) {
		stays, sr := open()
		for range 3 {
			nc, r := open()
			answered(t, nc, r, plainGet)
			_, _ = io.WriteString(nc, "GET /exit HTTP/1.1\r\nHost: x\r\n\r\n"+plainGet)
			rest, err := io.ReadAll(r)
			if len(rest) > 0 || err != nil && !reset || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q, %v", rest, err)
			}
			answered(t, stays, sr, plainGet)
		}
	}
	eachWay(t, h, func(t *testing.T, p *place) {
		p.srv.Log = slog.New(slog.DiscardHandler)
		addr := p.serve(t, web.Options{})
		try(t, p.inline, func() (net.Conn, *bufio.Reader) { return p.open(t, addr) })
	})
	t.Run("ServeConn", func(t *testing.T) {
		addr := serveConns(t, h)
		try(t, false, func() (net.Conn, *bufio.Reader) { return open(t, addr) })
	})
}

// TestLateWrites are of a handler that has returned: they fail, and no other answer has them.
func TestLateWrites(t *testing.T) {
	late := make(chan http.ResponseWriter, 1)
	eachWay(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			late <- w
			return
		}
		old := <-late
		if n, err := old.Write([]byte("late")); n != 0 || err == nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		if n, err := io.WriteString(old, "late"); n != 0 || err == nil {
			t.Errorf("WriteString: %d, %v", n, err)
		}
		if err := http.NewResponseController(old).Flush(); err == nil {
			t.Error("Flush")
		}
		if _, _, err := http.NewResponseController(old).Hijack(); err == nil {
			t.Error("Hijack")
		}
		old.WriteHeader(500)
		fmt.Fprint(w, "now")
	}, func(t *testing.T, p *place) {
		nc, r := p.open(t, p.serve(t, web.Options{Log: slog.New(slog.DiscardHandler)}))
		if _, got := answered(t, nc, r, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n"); got != "" {
			t.Error(got)
		}
		if res, got := answered(t, nc, r, plainGet); got != "now" || res.StatusCode != 200 {
			t.Error(res.Status, got)
		}
	})
}

// TestRequestsStay has Requests outlive their answers.
func TestRequestsStay(t *testing.T) {
	kept := make(chan *http.Request, 2)
	eachWay(t, func(w http.ResponseWriter, r *http.Request) { kept <- r },
		func(t *testing.T, p *place) {
			nc, r := p.open(t, p.serve(t, web.Options{}))
			for _, name := range []string{"first", "second"} {
				answered(t, nc, r, "GET /"+name+" HTTP/1.1\r\nHost: "+name+"\r\nX: "+name+"\r\n\r\n")
			}
			for _, want := range []string{"first", "second"} {
				if q := <-kept; q.URL.Path != "/"+want || q.Host != want || q.Header.Get("X") != want {
					t.Errorf("%s %s %v, want %s", q.URL, q.Host, q.Header, want)
				}
			}
		})
}

// TestShutdownTells has a request under way when the server shuts down: it is answered, with Connection: close, and the
// idle connection ends at once.
func TestShutdownTells(t *testing.T) {
	t.Parallel()
	eachScheme(t, func(t *testing.T, p *place) {
		began, goOn := make(chan bool), make(chan bool)
		p.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				began <- true
				<-goOn
			}
			fmt.Fprint(w, "done")
		})
		addr := p.serve(t, web.Options{})
		idle, ir := p.open(t, addr)
		answered(t, idle, ir, plainGet)
		nc, r := p.open(t, addr)
		_, _ = io.WriteString(nc, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
		<-began
		over := make(chan error)
		go func() { over <- p.srv.Shutdown(context.Background()) }()
		if _, err := ir.ReadByte(); err != io.EOF {
			t.Errorf("idle: %v", err)
		}
		idle.Close() // else the server gives it a second for that
		close(goOn)
		if res, got := read(t, r); got != "done" || !res.Close {
			t.Errorf("%q, close %v", got, res.Close)
		}
		nc.Close()
		if err := <-over; err != nil {
			t.Errorf("%v", err)
		}
	})
}

// TestCloseUnderWay closes the server while handlers run: one that waits for its client learns of it, and one that
// never returns holds nobody up.
func TestCloseUnderWay(t *testing.T) {
	eachScheme(t, func(t *testing.T, p *place) {
		never, began := make(chan bool), make(chan bool)
		var failed atomic.Int32
		returned := make(chan bool, 3)
		p.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { returned <- true }()
			began <- true
			switch r.URL.Path {
			case "/never":
				<-never
				if _, err := w.Write(make([]byte, 1<<20)); err == nil {
					t.Error("a Write behind the server's end succeeded")
				}
				return
			case "/read":
				if _, err := io.ReadAll(r.Body); err != nil {
					failed.Add(1)
				}
			case "/context":
				<-r.Context().Done()
				failed.Add(1)
			}
		})
		addr := p.serve(t, web.Options{Log: slog.New(slog.DiscardHandler)})
		for _, path := range []string{"/never", "/read", "/context"} {
			nc, _ := p.open(t, addr)
			fmt.Fprintf(nc, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", path)
			<-began
		}
		if err := p.srv.Close(); err != nil {
			t.Errorf("%v", err)
		}
		<-returned
		<-returned
		if n := failed.Load(); n != 2 {
			t.Errorf("%d handlers learnt of the end, want 2", n)
		}
		close(never)
		<-returned
	})
}

// TestTimes are the bounds in time: of a head, of a body by its time and its rate, of an answer that nobody takes, and
// of a connection that has nothing to ask.
func TestTimes(t *testing.T) {
	t.Parallel()
	const short = 50 * time.Millisecond
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(408)
		}
	})
	for _, c := range []struct {
		name, sent, want string
		o                web.Options
	}{
		{"head", "GET / HT", "", web.Options{HeadTime: short}},
		{"second head", plainGet + "GET / HT", "200 OK", web.Options{HeadTime: short}},
		{"idle", plainGet, "200 OK", web.Options{IdleTime: short}},
		{"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", "408 Request Timeout",
			web.Options{BodyTime: short}},
		{"chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na", "408 Request Timeout",
			web.Options{BodyTime: short}},
	} {
		for _, scheme := range []string{"tcp", "tls"} {
			for way, h := range ways(h.ServeHTTP) {
				p := &place{srv: &plexor.Server{}, scheme: scheme, h: h}
				nc, r := p.open(t, p.serve(t, c.o))
				if _, err := io.WriteString(nc, c.sent); err != nil {
					t.Fatal(err)
				}
				if c.want != "" {
					if res, _ := read(t, r); res.Status != c.want {
						t.Errorf("%s, %s, %s: %s", c.name, scheme, way, res.Status)
					}
					if b, err := r.ReadByte(); err != io.EOF {
						t.Errorf("%s, %s, %s: %c, %v", c.name, scheme, way, b, err)
					}
				} else if _, err := io.Copy(io.Discard, r); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, %s, %s: the connection stays", c.name, scheme, way)
				}
			}
		}
	}
}

// TestPipelineUnread has a client ask and ask, and read nothing: what is held for it is bounded, and ends.
func TestPipelineUnread(t *testing.T) {
	t.Parallel()
	var answers atomic.Int64
	eachWay(t, func(w http.ResponseWriter, r *http.Request) {
		answers.Add(1)
		_, _ = w.Write(make([]byte, 40_000))
	}, func(t *testing.T, p *place) {
		answers.Store(0)
		p.srv.Limits.Linger = 100 * time.Millisecond // for what nobody takes
		addr := p.serve(t, web.Options{WriteTime: 100 * time.Millisecond})
		nc, _ := p.open(t, addr)
		text := []byte(strings.Repeat(plainGet, 1000))
		var err error
		for err == nil {
			_, err = nc.Write(text)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection stays, though nobody takes its answers")
		}
		if n := answers.Load(); n > 1000 {
			t.Errorf("%d answers were made that nobody takes", n)
		}
	})
}
