//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// socketServers echo messages of WebSocket: gws, gorilla/websocket on net/http, Sockets on the engine and under
// net/http.
var socketServers = []string{"gws", "gorilla", "sockets", "sockets-net"}

// roomServers are rooms in which each message goes to all, by a Hub: plain, compressed, and plain with one member
// more who reads nothing.
var roomServers = []string{"plain", "packed", "stalled"}

// roomMessage is how long a message to all is, in bytes.
const roomMessage = 128

// listenSockets begins to serve, and returns the address; a room's has its name behind it.
func listenSockets(service, name, driver string) (string, error) {
	var h http.Handler
	switch {
	case service == "room":
		h = room(name == "packed")
	case name == "gws":
		up := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{CheckUtf8Enabled: true})
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := up.Upgrade(w, r); err == nil {
				go c.ReadLoop()
			}
		})
	case name == "gorilla":
		h = http.HandlerFunc(gorillaEcho)
	default:
		h = websocket.Handler(func(s *websocket.Socket, m websocket.Message) error { return s.Send(m) })
	}
	if service == "room" || name == "sockets" {
		srv := &plexor.Server{Driver: driver}
		a, err := srv.Open("tcp://127.0.0.1:0", web.Handler(h, web.Options{}))
		if err != nil {
			return "", err
		}
		if service == "room" {
			return a.String() + "/" + name, nil
		}
		return a.String(), nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go http.Serve(ln, h)
	return ln.Addr().String(), nil
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	_ = c.WriteMessage(m.Opcode, m.Bytes()) // the reader is told
	m.Close()
}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		op, msg, err := c.ReadMessage()
		if err != nil || c.WriteMessage(op, msg) != nil {
			return
		}
	}
}

// room sends each message to all.
func room(packed bool) http.Handler {
	hub := &web.Hub{Deflate: &websocket.Deflate{Threshold: 1}}
	h := &websocket.Sockets[struct{}]{
		Open:    func(s *websocket.Socket, _ *http.Request) (struct{}, error) { return struct{}{}, hub.Join(s) },
		Message: func(_ *websocket.Socket, _ struct{}, m websocket.Message) error { return hub.Send(m) }}
	if packed {
		h.Options.Deflate = new(websocket.Deflate)
	}
	return h
}

// dialSocket is a client that has done the handshake.
func dialSocket(address string, packed bool) (net.Conn, *bufio.Reader, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	request := "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	if packed {
		request += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(c, 512)
	res, err := http.ReadResponse(r, nil)
	if err == nil && (res.StatusCode != 101 || packed != (res.Header.Get("Sec-Websocket-Extensions") != "")) {
		err = errors.New(res.Status)
	}
	return c, r, err
}

// masked is a client's frame.
func masked(n int) []byte {
	payload := []byte(strings.Repeat("a price of 42.10 ", n/17+1)[:n])
	return websocket.AppendFrame(nil, websocket.Header{Op: websocket.Text, Final: true, Masked: true,
		Key: [4]byte{1, 2, 3, 4}}, payload)
}

// dialEchoSocket asks by a message, which comes back.
func dialEchoSocket(address string) (func() error, error) {
	c, r, err := dialSocket(address, false)
	if err != nil {
		return nil, err
	}
	out, in := masked(bodySize), make([]byte, 2+bodySize)
	return func() error {
		if _, err := c.Write(out); err != nil {
			return err
		}
		_, err := io.ReadFull(r, in)
		return err
	}, nil
}

// A crowd is the members of a room, in the load's process.
type crowd struct {
	send  func() error
	next  []chan time.Time // a message was sent to all
	all   sync.WaitGroup
	mu    sync.Mutex
	spans []time.Duration // from sending to having it, of each member
	err   error
}

// joinRoom is a crowd of n.
func joinRoom(address string, n int) (*crowd, error) {
	address, kind, _ := strings.Cut(address, "/")
	k := new(crowd)
	if kind == "stalled" {
		if _, _, err := dialSocket(address, false); err != nil {
			return nil, err
		}
	}
	for i := range n {
		c, r, err := dialSocket(address, kind == "packed")
		if err != nil {
			return nil, err
		}
		if i == 0 {
			out := masked(roomMessage)
			k.send = func() error { _, err := c.Write(out); return err }
		}
		k.next = append(k.next, make(chan time.Time, 1))
		go k.read(r, k.next[i])
	}
	return k, nil
}

// read reads a message each time that one was sent.
func (k *crowd) read(r *bufio.Reader, next <-chan time.Time) {
	for sent := range next {
		err := readShort(r)
		span := time.Since(sent)
		k.mu.Lock()
		k.spans = append(k.spans, span)
		k.err = errors.Join(k.err, err)
		k.mu.Unlock()
		k.all.Done()
	}
}

// readShort reads a server's frame of less than 64 KiB.
func readShort(r *bufio.Reader) error {
	h, err := r.Peek(4)
	if err != nil {
		return err
	}
	n := 2 + int(h[1])
	if h[1] == 126 {
		n = 4 + int(h[2])<<8 + int(h[3])
	}
	_, err = r.Discard(n)
	return err
}

// ask sends one message, and waits until all have it.
func (k *crowd) ask() error {
	k.all.Add(len(k.next))
	now := time.Now()
	for _, c := range k.next {
		c <- now
	}
	if err := k.send(); err != nil {
		return err
	}
	k.all.Wait()
	return k.err
}

// p99 is that of the spans since the last call.
func (k *crowd) p99() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	spans := k.spans
	k.spans = nil
	if len(spans) == 0 {
		return 0
	}
	slices.Sort(spans)
	return spans[len(spans)*99/100]
}

// beRoom is the process of a crowd: as beLoad, but that a request is one message that all have got.
func beRoom(address string, n int, d time.Duration, lines *bufio.Scanner) error {
	k, err := joinRoom(address, n)
	if err != nil {
		return err
	}
	for lines.Scan() {
		for begun := time.Now(); time.Since(begun) < warmup; {
			if err := k.ask(); err != nil {
				return err
			}
		}
		k.p99()
		fmt.Println("begin")
		begun, asked := time.Now(), 0
		for ; time.Since(begun) < d; asked++ {
			if err := k.ask(); err != nil {
				return err
			}
		}
		fmt.Println(asked*n, time.Since(begun).Nanoseconds(), k.p99().Nanoseconds())
	}
	return nil
}
