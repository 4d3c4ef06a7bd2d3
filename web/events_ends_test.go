package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/web"
)

// slowRig is a feed with a client that does not read, and one that does.
type slowRig struct {
	feed             *web.Events
	stalled, healthy *listener
	stream           *web.Stream // of the stalled one
	ends             chan error
	sent             int
}

func newSlowRig(t *testing.T, serve func(http.Handler) string, feed *web.Events) *slowRig {
	rig := &slowRig{feed: feed, ends: make(chan error, 2)}
	streams := make(chan *web.Stream, 2)
	feed.Open = func(s *web.Stream, _ *http.Request) error { streams <- s; return nil }
	feed.Closed = func(_ *web.Stream, reason error) { rig.ends <- reason }
	addr := serve(feed)
	rig.stalled = listen(t, addr, "/")
	rig.stream = <-streams
	rig.healthy = listen(t, addr, "/")
	awaits(t, "two streams", func() bool { return feed.Len() == 2 })
	return rig
}

// pad makes an event long, so that 64 MiB are some thousands of them.
var pad = " " + strings.Repeat("x", 16<<10)

// fill sends to both, what the healthy one reads, until something is.
func (r *slowRig) fill(t *testing.T, until func() bool) {
	t.Helper()
	for ; !until(); r.sent++ {
		data := fmt.Sprint(r.sent) + pad
		if err := r.feed.Send(web.Event{Data: data}); err != nil {
			t.Fatal(err)
		}
		if r.healthy.wants(t, data); r.sent > 4000 {
			t.Fatal("64 MiB fit into the queue of who does not read")
		}
	}
}

// number is that of the next event that the stalled one reads.
func (r *slowRig) number(t *testing.T) (n int) {
	t.Helper()
	got, err := r.stalled.next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(got.data, &n); err != nil {
		t.Fatalf("%.40q: %v", got.data, err)
	}
	return n
}

// onlyLatest fills the queue, and sends 100 events of which only the latest is of interest. It returns how many events
// the client has missed, and how many of those came.
func (r *slowRig) onlyLatest(t *testing.T) (missed, latest int) {
	r.fill(t, func() bool { return r.feed.Missed() > 10 })
	for i := range 100 {
		if err := r.feed.SendLatest("", "key", web.Event{Data: fmt.Sprint(r.sent + i)}); err != nil {
			t.Fatal(err)
		}
	}
	for last := -1; last != r.sent+99; {
		n := r.number(t)
		if n <= last {
			t.Fatalf("%d behind %d", n, last)
		}
		missed += n - last - 1
		if last = n; n >= r.sent {
			latest++
		}
	}
	return missed, latest
}

// TestEventsSlow holds what becomes of a client that does not read, by each choice, and that others get everything.
func TestEventsSlow(t *testing.T) {
	t.Parallel()
	limits := plexor.OutboxLimits{Bytes: 64 << 10}
	eachEventServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		onFirst := strings.Contains(t.Name(), "/"+drivers(t)[0]+"/")
		secure, plain := strings.HasSuffix(t.Name(), "/tls"), strings.HasSuffix(t.Name(), "/tcp")
		if (secure || plain && !portion.Everywhere()) && !onFirst {
			t.Skip("on one driver: it takes MiB to fill what is between the two")
		}
		// By default one server has all choices, and each of the others has one.
		only := func(t *testing.T, places ...string) {
			if onFirst && plain || portion.Everywhere() || slices.ContainsFunc(places, func(p string) bool {
				return strings.Contains(t.Name(), p)
			}) {
				return
			}
			t.Skip("on another server: PLEXOR_TESTS=all has it on each")
		}
		t.Run("close", func(t *testing.T) {
			only(t, "/tls/")
			limits := limits
			limits.WhenFull = plexor.CloseWhenFull
			r := newSlowRig(t, serve, &web.Events{Limits: limits})
			r.fill(t, func() bool { return r.feed.Len() == 1 })
			if err := <-r.ends; err != plexor.ErrOutboxFull {
				t.Errorf("Closed was told %v", err)
			}
		})
		t.Run("drop oldest", func(t *testing.T) {
			only(t, "/net/http/")
			limits := limits
			limits.WhenFull = plexor.DropOldest
			for try := 1; ; try++ { // the system may find room for more just then: it grows a buffer that is full
				r := newSlowRig(t, serve, &web.Events{Limits: limits})
				missed, latest := r.onlyLatest(t)
				if missed >= 10 && latest <= 1 {
					break
				}
				if try == 5 {
					t.Fatalf("%d are missing, and %d came of what only the latest of is of interest", missed, latest)
				}
			}
		})
		t.Run("refuse newest", func(t *testing.T) {
			only(t, "/http1/")
			r := newSlowRig(t, serve, &web.Events{Limits: limits})
			r.fill(t, func() bool { return r.feed.Missed() > 0 })
			awaits(t, "a full queue", func() bool { return r.stream.Send(web.Event{Data: "0" + pad}) == plexor.ErrOutboxFull })
			sent := make(chan bool)
			go func() {
				defer close(sent)
				for ; r.stream.Send(web.Event{Data: "-1"}) == plexor.ErrOutboxFull; time.Sleep(time.Millisecond) {
				}
			}()
			n := 0 // events that were taken, of those to all
			for got := r.number(t); got >= 0; got = r.number(t) {
				if got == n {
					n++
				} else if got != 0 {
					t.Fatalf("%d comes, want %d", got, n)
				}
			}
			if <-sent; n >= r.sent {
				t.Errorf("%d came of %d, of which some were refused", n, r.sent)
			}
			if err := r.feed.Send(web.Event{Data: strings.Repeat("x", 64<<10)}); err != plexor.ErrOutboxTooLong {
				t.Errorf("an event that never fits: %v", err)
			}
		})
	})
}

// TestEventsStuck holds that a client that takes nothing for WriteTime is closed.
func TestEventsStuck(t *testing.T) {
	eachEventServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		ends := make(chan error, 1)
		feed := &web.Events{KeepAlive: 16 * time.Millisecond, WriteTime: 64 * time.Millisecond,
			Closed: func(_ *web.Stream, reason error) { ends <- reason }}
		listen(t, serve(feed), "/")
		awaits(t, "a stream", func() bool { return feed.Len() == 1 })
		awaits(t, "its end", func() bool {
			_ = feed.Send(web.Event{Data: pad}) // more than fits is refused
			return feed.Len() == 0
		})
		if err := <-ends; err != web.ErrSlow {
			t.Errorf("Closed was told %v", err)
		}
	})
}

// TestEventsKeepAlive holds that streams that wait get comments, which are no events.
func TestEventsKeepAlive(t *testing.T) {
	eachEventServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		feed := &web.Events{KeepAlive: 8 * time.Millisecond}
		l := listen(t, serve(feed), "/")
		for n := 0; n < 4; {
			line, err := l.line()
			if err != nil {
				t.Fatal(err)
			}
			if n += strings.Count(line, ":"); line != "" && line != ":" {
				t.Fatalf("%q came", line)
			}
		}
		if err := feed.Send(web.Event{Data: "x"}); err != nil {
			t.Error(err)
		}
		l.wants(t, "x")
		l.nc.Close()
	})
}

// TestEventsShutdown holds that streams end with their server, and do not keep it, whoever has their connections.
func TestEventsShutdown(t *testing.T) {
	gone := func(t *testing.T, l func() *listener, feed *web.Events, ends chan error,
		shutdown func(context.Context) error) {
		t.Helper()
		c := l()
		awaits(t, "a stream", func() bool { return feed.Len() == 1 })
		feed.Send(web.Event{Data: "x"})
		c.wants(t, "x")
		done := make(chan error, 1)
		go func() { done <- shutdown(t.Context()) }()
		if got, err := c.next(); err != io.EOF {
			t.Errorf("%+v and %v came, want the end", got, err)
		}
		c.nc.Close()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ends; err != plexor.ErrServerClosed {
			t.Errorf("Closed was told %v", err)
		}
	}
	newFeed := func() (*web.Events, chan error) {
		ends := make(chan error, 1)
		return &web.Events{Closed: func(_ *web.Stream, reason error) { ends <- reason }}, ends
	}
	for _, driver := range drivers(t) {
		for _, scheme := range []string{"tcp", "tls"} {
			t.Run(driver+"/"+scheme, func(t *testing.T) {
				feed, ends := newFeed()
				srv := &plexor.Server{Driver: driver, Loops: 1}
				a, err := srv.Open(scheme+"://127.0.0.1:0", web.Handler(feed, web.Options{}))
				if err != nil {
					t.Fatal(err)
				}
				url := map[string]string{"tcp": "http", "tls": "https"}[scheme] + "://" + a.String()
				gone(t, func() *listener { return listen(t, url, "/") }, feed, ends, srv.Shutdown)
			})
		}
	}
	t.Run("net/http", func(t *testing.T) {
		feed, ends := newFeed()
		srv := httptest.NewServer(feed)
		defer srv.Close()
		gone(t, func() *listener { return listen(t, srv.URL, "/") }, feed, ends, srv.Config.Shutdown)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		feed, ends := newFeed()
		srv := &plexor.Server{Loops: 1}
		a, err := srv.Open("tls://127.0.0.1:0", web.Handler(feed, web.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		gone(t, func() *listener { return listenTwo(t, "https://"+a.String()+"/") }, feed, ends, srv.Shutdown)
	})
}

// listenTwo is a client by HTTP/2.
func listenTwo(t *testing.T, url string) *listener {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	res, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if res.ProtoMajor != 2 {
		t.Errorf("it is %s", res.Proto)
	}
	l := &listener{res: res, nc: dialRaw(t, strings.Replace(strings.TrimSuffix(url, "/"), "https", "ws", 1))}
	l.in = bufio.NewReader(res.Body)
	t.Cleanup(func() { res.Body.Close() })
	return l
}

// aiohttpEvents writes out what it reads, to the end.
const aiohttpEvents = `
import asyncio, sys, aiohttp
async def main():
    async with aiohttp.ClientSession() as s:
        async with s.get(sys.argv[1], headers={"Accept": "text/event-stream"}) as r:
            assert r.status == 200 and r.content_type == "text/event-stream", r
            async for line in r.content:
                sys.stdout.buffer.write(line)
asyncio.run(main())
`

// TestEventsPeers has clients that nobody here wrote: curl, by HTTP/1.1, HTTP/1.0 and HTTP/2, and aiohttp.
func TestEventsPeers(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"curl": {"curl", "-sSN"}, "curl 1.0": {"curl", "-sSN", "--http1.0"},
		"curl h2": {"curl", "-sSN", "--http2-prior-knowledge"}, "aiohttp": {"/usr/bin/python3", "-c", aiohttpEvents},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "aiohttp" && exec.Command(args[0], "-c", "import aiohttp").Run() != nil {
				t.Skip("there is no aiohttp")
			}
			feed := &web.Events{Log: quiet, Open: func(s *web.Stream, _ *http.Request) error {
				for _, data := range []string{"one", "two\nlines"} {
					if err := s.Send(web.Event{ID: "7", Data: data}); err != nil {
						return err
					}
				}
				s.Close()
				return nil
			}}
			addr := serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", feed, web.Options{})
			want := ":\n\nid: 7\ndata: one\n\nid: 7\ndata: two\ndata: lines\n\n"
			if got := program(t, args[0], append(args[1:], "http://"+addr+"/")...); got != want {
				t.Errorf("it has read %q, want %q", got, want)
			}
		})
	}
}
