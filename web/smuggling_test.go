package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

// An attack is what is sent, and what has to come back: the statuses of the answers, and for each 200 what the handler
// saw. Another request, for /next, follows behind each: who takes the bytes otherwise than the table has it would
// answer it, or not, where the table does not.
type attack struct{ name, sent, want string }

const (
	// follower is the request that comes behind, and served what its answer says.
	follower = "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	served   = ` | GET /next ""`

	// smuggled would be a request if it were not a body, or part of one.
	smuggled = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
)

// attacks are the cases of the published lists (CL.TE, TE.CL, TE.TE, CL.0, TERM.EXT, …) and their kin.
func attacks() []attack {
	var all []attack
	for _, group := range [][]attack{framings(), codings(), lengths(), chunkings(), trailers(), lineEnds(), fieldNames(),
		fieldValues(), hosts(), targets(), versions(), methods(), expectations(), upgrades(), followers()} {
		all = append(all, group...)
	}
	return all
}

// saw is what a client reads: the handler's words, or statuses.
func saw(r *bufio.Reader) string {
	var all []string
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				all = append(all, err.Error())
			}
			return strings.Join(all, " | ")
		}
		b, err := io.ReadAll(res.Body)
		switch {
		case err != nil:
			all = append(all, "half an answer")
		case res.StatusCode == 200:
			all = append(all, string(b))
		default:
			all = append(all, fmt.Sprint(res.StatusCode))
		}
	}
}

// tell answers with what it got.
func tell(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(499)
		return
	}
	fmt.Fprintf(w, "%s %s %q", r.Method, r.RequestURI, b)
}

// try sends an attack in pieces of so many bytes.
func try(t *testing.T, dial func() net.Conn, a attack, piece int) {
	nc := dial()
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	go func() {
		text := a.sent + follower
		for len(text) > 0 {
			n := min(piece, len(text))
			if _, err := io.WriteString(nc, text[:n]); err != nil {
				return // it has had enough
			}
			text = text[n:]
		}
		_ = nc.(interface{ CloseWrite() error }).CloseWrite()
	}()
	if got := saw(bufio.NewReader(nc)); got != a.want {
		t.Errorf("%s (pieces of %d): %q, want %q", a.name, piece, got, a.want)
	}
}

// partOf is every of-th attack, from the i-th on: what several ways of one test share when it is not all of them.
func partOf(i, of int) (part []attack) {
	all := attacks()
	if portion.Everywhere() {
		return all
	}
	for ; i < len(all); i += of {
		part = append(part, all[i])
	}
	return part
}

// tryAll sends the attacks, some at a time.
func tryAll(t *testing.T, dial func() net.Conn, all []attack, pieces ...int) {
	todo := make(chan func())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for f := range todo {
				f()
			}
		})
	}
	for _, a := range all {
		for _, piece := range pieces {
			todo <- func() { try(t, dial, a, piece) }
		}
	}
	close(todo)
	wg.Wait()
}

func dialTo(t *testing.T, addr string) func() net.Conn {
	return func() net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return nil
		}
		return nc
	}
}

const whole = 1 << 20

func TestSmuggling(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, a := range attacks() {
		if names[a.name] {
			t.Errorf("two cases are called %q", a.name)
		}
		names[a.name] = true
	}
	t.Logf("%d cases", len(names))
	if len(names) < 150 {
		t.Errorf("%d cases", len(names))
	}
	for i, driver := range drivers(t) {
		for way, h := range ways(tell) {
			if !portion.Everywhere() && (way == "inline") != (i%2 == 1) {
				continue
			}
			t.Run(driver+"/"+way, func(t *testing.T) {
				addr := serve(t, &plexor.Server{Driver: driver}, "tcp://127.0.0.1:0", h, web.Options{})
				tryAll(t, dialTo(t, addr), attacks(), whole)
			})
		}
	}
}

// ways are a handler on goroutines, and inline.
func ways(h http.HandlerFunc) map[string]http.Handler {
	return map[string]http.Handler{"goroutines": h, "inline": web.Inline(h)}
}

// TestSmugglingByBytes has each byte come alone. Each attack comes so in one of the three ways, and in CI in all.
func TestSmugglingByBytes(t *testing.T) {
	t.Parallel()
	for way, h := range ways(tell) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			part := partOf(map[string]int{"goroutines": 0, "inline": 1}[way], 3)
			tryAll(t, dialTo(t, serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, web.Options{})), part, 1)
		})
	}
	t.Run("ServeConn", func(t *testing.T) { tryAll(t, dialTo(t, serveConns(t, tell)), partOf(2, 3), 1) })
}

// TestSmugglingServeConn is on http1.Server.ServeConn, without the engine.
func TestSmugglingServeConn(t *testing.T) {
	t.Parallel()
	tryAll(t, dialTo(t, serveConns(t, tell)), attacks(), whole)
	tryAll(t, dialTo(t, serveConns(t, tell)), partOf(0, 3), 7)
}

// TestSmugglingTLS is over TLS, where a handshake for each takes more than all else: so it has a quarter of them, and
// in CI all.
func TestSmugglingTLS(t *testing.T) {
	t.Parallel()
	addr := serve(t, &plexor.Server{}, "tls://127.0.0.1:0", http.HandlerFunc(tell), web.Options{})
	tryAll(t, func() net.Conn {
		nc, err := dialTLS(addr)
		if err != nil {
			t.Error(err)
			return nil
		}
		return nc
	}, partOf(0, 4), whole)
}

// serveConns serves h by http1.Server.ServeConn, on a goroutine for each connection.
func serveConns(t *testing.T, h http.HandlerFunc) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http1.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _ = s.ServeConn(nc) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}
