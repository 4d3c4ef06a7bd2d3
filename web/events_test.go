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
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

// eachEventServer is eachSocketServer, and a connection that belongs to no loop. serve returns an address of http or
// https.
func eachEventServer(t *testing.T, f func(t *testing.T, serve func(h http.Handler) string)) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		f(t, func(h http.Handler) string { return strings.Replace(serve(h), "ws", "http", 1) })
	})
	t.Run("http1", func(t *testing.T) {
		f(t, func(h http.Handler) string {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var conns sync.WaitGroup
			t.Cleanup(func() { ln.Close(); conns.Wait() })
			srv := &http1.Server{Handler: h, Log: quiet}
			conns.Go(func() {
				for {
					nc, err := ln.Accept()
					if err != nil {
						return
					}
					conns.Go(func() { _ = srv.ServeConn(nc) })
				}
			})
			return "http://" + ln.Addr().String() + "/"
		})
	})
}

// A listener is a client of an event stream.
type listener struct {
	eventReader
	nc  net.Conn
	res *http.Response
}

// listen asks for path by GET, with these fields, and reads the head of the answer.
func listen(t *testing.T, addr, path string, fields ...string) *listener {
	t.Helper()
	nc := dialRaw(t, strings.Replace(addr, "http", "ws", 1))
	_ = nc.SetDeadline(time.Now().Add(patience))
	request := "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(nc)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{nc: nc, res: res}
	l.in = bufio.NewReader(res.Body)
	return l
}

// wants reads events.
func (l *listener) wants(t *testing.T, data ...string) {
	t.Helper()
	for _, want := range data {
		if got, err := l.next(); err != nil || got.data != want {
			t.Fatalf("%+.80v and %v came, want %.80q", got, err, want)
		}
	}
}

// wantsEnd reads the end of the stream, and closes the connection, for which the server waits a little.
func (l *listener) wantsEnd(t *testing.T) {
	t.Helper()
	if got, err := l.next(); err != io.EOF {
		t.Fatalf("%+.80v and %v came, want the end", got, err)
	}
	l.nc.Close()
}

// awaits waits for something that is about to be.
func awaits(t *testing.T, what string, is func() bool) {
	t.Helper()
	for by := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(by) {
			t.Fatal("it did not come about: " + what)
		}
	}
}

// byPath is a handler whose path names the topics.
func byPath(feed *web.Events) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		topics := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
		feed.Serve(w, r, topics...)
		clear(topics) // they are the handler's again
	})
}

// TestEvents holds that each stream gets what is sent to all, to its topics and to itself, all in the order in which it
// was sent, and that one that has ended is told of and gets nothing more.
func TestEvents(t *testing.T) {
	eachEventServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		streams, ends := make(chan *web.Stream, 3), make(chan error, 3)
		feed := &web.Events{Retry: 2 * time.Second, Log: quiet,
			Open: func(s *web.Stream, r *http.Request) error {
				if r.URL.Path == "/refused" {
					return errors.New("no")
				}
				streams <- s
				return s.Send(web.Event{Data: "hello"})
			},
			Closed: func(_ *web.Stream, reason error) { ends <- reason }}
		addr := serve(byPath(feed))
		red := listen(t, addr, "/red")
		s := <-streams
		blue, both := listen(t, addr, "/blue"), listen(t, addr, "/red/blue")
		all := []*listener{red, blue, both}
		for _, l := range all {
			l.wants(t, "hello")
			if l.retry != 2000 || l.res.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("retry %d, %v", l.retry, l.res.Header)
			}
		}
		listen(t, addr, "/refused").wantsEnd(t)
		awaits(t, "three streams", func() bool { return feed.Len() == 3 })
		send := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		send(feed.SendTo("red", web.Event{Data: "red"}))
		send(feed.Send(web.Event{Data: "all"}))
		send(feed.SendTo("blue", web.Event{Data: "blue"}))
		send(feed.SendTo("green", web.Event{Data: "nobody"}))
		red.wants(t, "red", "all")
		blue.wants(t, "all", "blue")
		both.wants(t, "red", "all", "blue")
		send(s.Send(web.Event{Data: "one"}))
		send(feed.SendExcept(s, "", web.Event{Data: "others"}))
		send(s.Join("green"))
		send(s.Join("green"))
		send(feed.SendTo("green", web.Event{Data: "green"}))
		s.Leave("green")
		send(feed.SendTo("green", web.Event{Data: "nobody"}))
		red.wants(t, "one", "green")
		blue.wants(t, "others")
		both.wants(t, "others")
		wantSameOrder(t, feed, all)
		s.Close()
		s.Close()
		red.wantsEnd(t)
		if err := <-ends; err != net.ErrClosed {
			t.Errorf("Closed was told %v", err)
		}
		blue.nc.Close()
		<-ends
		awaits(t, "one stream", func() bool { return feed.Len() == 1 })
		if s.Send(web.Event{Data: "x"}) != net.ErrClosed || s.Join("x") != net.ErrClosed {
			t.Error("a stream that has ended takes something")
		}
		send(feed.Send(web.Event{Data: "last"}))
		feed.Close()
		both.wants(t, "last")
		both.wantsEnd(t)
		<-ends
		if l := listen(t, addr, "/"); l.res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("behind Close: %s", l.res.Status)
		}
		if err := feed.Send(web.Event{Data: "x"}); err != net.ErrClosed {
			t.Errorf("Send behind Close: %v", err)
		}
	})
}

// wantSameOrder has several goroutines send to all at once.
func wantSameOrder(t *testing.T, feed *web.Events, all []*listener) {
	const senders, each = 4, 50
	var wg sync.WaitGroup
	for g := range senders {
		wg.Go(func() {
			for i := range each {
				if err := feed.Send(web.Event{Data: fmt.Sprint(g, " ", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var first []string
	for i, l := range all {
		for n := range senders * each {
			got, err := l.next()
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = append(first, got.data)
			} else if got.data != first[n] {
				t.Fatalf("event %d of client %d is %q, and of the first %q", n, i, got.data, first[n])
			}
		}
	}
}

// TestEventsHistory holds that who comes back gets what it has missed, of its topics, once, while others are sent.
func TestEventsHistory(t *testing.T) {
	t.Parallel()
	eachEventServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		feed := &web.Events{History: 400}
		addr := serve(byPath(feed))
		sent := 0
		send := func(topic, pad string) {
			sent++
			e := web.Event{ID: fmt.Sprint(sent), Data: fmt.Sprint(sent) + pad}
			if err := feed.SendTo(topic, e); err != nil {
				t.Error(err)
			}
		}
		for range 5 {
			send("", "")
			send("red", "")
		}
		feed.Send(web.Event{Data: "without an ID"})
		listen(t, addr, "/", "Last-Event-ID: 5").wants(t, "7", "9")
		listen(t, addr, "/red", "Last-Event-ID: 7").wants(t, "8", "9", "10")
		l := listen(t, addr, "/red", "Last-Event-ID: unknown")
		l.wants(t, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
		if l.last != "10" {
			t.Errorf("the last ID is %q", l.last)
		}
		for _, fields := range []string{"X: y", "Last-Event-ID: 10", "Last-Event-ID:"} {
			l := listen(t, addr, "/red", fields)
			awaits(t, "the stream", func() bool { return l.res != nil && feed.Len() > 0 })
			l.nc.Close()
		}
		awaits(t, "the end", func() bool { return feed.Len() == 3 })
		done := make(chan bool)
		go func() {
			for range 300 {
				send("", strings.Repeat("x", 1000))
			}
			close(done)
		}()
		last := 10
		for round := 0; last < 310; round++ {
			l := listen(t, addr, "/", fmt.Sprint("Last-Event-ID: ", last))
			for n := 0; n < 20 && last < 310; n++ {
				got, err := l.next()
				if err != nil {
					t.Fatal(err)
				}
				var id int
				fmt.Sscan(got.id, &id)
				if id != last+1 {
					t.Fatalf("event %d comes behind %d", id, last)
				}
				last = id
			}
			l.nc.Close()
		}
		<-done
	})
}

// TestEventsOpen holds that what is sent while Open runs comes behind what Open sends, and behind the history, once.
func TestEventsOpen(t *testing.T) {
	eachEventServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		feed := &web.Events{History: 10}
		feed.Open = func(s *web.Stream, _ *http.Request) error {
			feed.Send(web.Event{Data: "change"})
			feed.SendTo("red", web.Event{ID: "3", Data: "with an ID"})
			return s.Send(web.Event{Data: "state"})
		}
		addr := serve(byPath(feed))
		feed.Send(web.Event{ID: "1", Data: "one"})
		feed.Send(web.Event{ID: "2", Data: "two"})
		l := listen(t, addr, "/red", "Last-Event-ID: 1")
		l.wants(t, "state", "two", "change", "with an ID")
		feed.Send(web.Event{Data: "last"})
		l.wants(t, "last")
	})
}

// TestEventsHistoryBounds holds that no more is kept than was asked for, by number and by bytes.
func TestEventsHistoryBounds(t *testing.T) {
	for _, row := range []struct {
		feed *web.Events
		want []string
	}{
		{&web.Events{History: 3}, []string{"3", "4", "5"}},
		{&web.Events{History: 9, HistoryBytes: 40}, []string{"4", "5"}}, // of 16 bytes each
		{&web.Events{HistoryBytes: 40}, nil},
	} {
		addr := serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", row.feed, web.Options{})
		for i := range 5 {
			row.feed.Send(web.Event{ID: fmt.Sprint(i + 1), Data: fmt.Sprint(i + 1)})
		}
		l := listen(t, "http://"+addr, "/", "Last-Event-ID: 1")
		l.wants(t, row.want...)
		awaits(t, "the stream", func() bool { return row.feed.Len() == 1 })
		row.feed.Send(web.Event{Data: "behind"})
		l.wants(t, "behind")
	}
}

// TestEventsAnswer holds what a request is answered.
func TestEventsAnswer(t *testing.T) {
	feed := new(web.Events)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header()["X"] = []string{"a\r\nb: c"}
		w.Header().Set("Content-Length", "3")
		feed.ServeHTTP(w, r)
	})
	statuses := make(chan int, 1)
	o := web.Options{Done: func(r http1.Record) { statuses <- r.Status }}
	for way, h := range map[string]http.Handler{"goroutines": h, "inline": web.Inline(h)} {
		addr := serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, o)
		for _, row := range []struct {
			request string
			status  int
		}{
			{"GET / HTTP/1.1", 200}, {"GET / HTTP/1.0", 200}, {"HEAD / HTTP/1.1", 200}, {"POST / HTTP/1.1", 405},
			{"GET / HTTP/1.1\r\nAccept: text/event-stream", 200},
			{"GET / HTTP/1.1\r\nAccept: text/html, */*;q=0.1", 200},
			{"GET / HTTP/1.1\r\nAccept: text/*", 200},
			{"GET / HTTP/1.1\r\nAccept: application/json", 406},
			{"GET / HTTP/1.1\r\nAccept: */*, text/event-stream;q=0", 406},
			{"HEAD / HTTP/1.1\r\nAccept: text/html", 406},
		} {
			nc, in := open(t, addr)
			fmt.Fprintf(nc, "%s\r\nHost: x\r\nConnection: close\r\n\r\n", row.request)
			method, _, _ := strings.Cut(row.request, " ")
			res, err := http.ReadResponse(in, &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != row.status {
				t.Errorf("%s, %q: %s, want %d", way, row.request, res.Status, row.status)
			}
			if method == "HEAD" {
				if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
					t.Errorf("%s, %q: %q and %v behind the head", way, row.request, rest, err)
				}
			}
			if got := <-statuses; got != row.status {
				t.Errorf("%s, %q: the record has %d", way, row.request, got)
			}
			if h := res.Header; row.status == 200 && (h.Get("Access-Control-Allow-Origin") != "*" || h.Get("B") != "" ||
				h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("Date") == "") {
				t.Errorf("%s, %q: %v", way, row.request, h)
			}
			if res.StatusCode == 200 && method == "GET" && (!res.Close || res.ContentLength != -1 ||
				len(res.TransferEncoding) > 0) {
				t.Errorf("%s, %q: an end of the body that is not the connection's", way, row.request)
			}
			nc.Close()
		}
	}
}

// TestEventsChatter holds that what a client sends behind its request does not harm the stream, and that it can't send
// for ever.
func TestEventsChatter(t *testing.T) {
	for _, driver := range append(drivers(t), "http1") {
		t.Run(driver, func(t *testing.T) {
			ends := make(chan error, 1)
			feed := &web.Events{Closed: func(_ *web.Stream, reason error) { ends <- reason }}
			eachServerOf(t, driver, feed, func(addr string) {
				nc, in := open(t, addr)
				io.WriteString(nc, plainGet+plainGet+"\x00garbage")
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				l := &listener{nc: nc, res: res}
				l.in = bufio.NewReader(res.Body)
				for n := range 10 {
					awaits(t, "the stream", func() bool { return feed.Len() == 1 })
					feed.Send(web.Event{Data: fmt.Sprint(n)})
					l.wants(t, fmt.Sprint(n))
					io.WriteString(nc, strings.Repeat("x", 1000))
				}
				piece := make([]byte, 16<<10)
				for sent := 0; ; sent += len(piece) {
					if _, err := nc.Write(piece); err != nil {
						break
					}
					if sent > 64<<20 {
						t.Fatal("64 MiB were taken")
					}
				}
				if err := <-ends; err != web.ErrChatter {
					t.Errorf("Closed was told %v", err)
				}
			})
		})
	}
}

// eachServerOf serves h by one of the ways of eachEventServer, in plain text.
func eachServerOf(t *testing.T, way string, h http.Handler, f func(addr string)) {
	if way != "http1" {
		f(serve(t, &plexor.Server{Driver: way, Loops: 1}, "tcp://127.0.0.1:0", h, web.Options{}))
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = (&http1.Server{Handler: h, Log: quiet}).ServeConn(nc)
		}
		done <- err
	}()
	f(ln.Addr().String())
	<-done
}
