package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

type attack struct {
	protocol
	loops   int
	bound   int // Limits.PartialInput
	clients int // that leave a message unfinished
	size    int // bytes of a message
	honest  int // messages of the honest client
}

// A protocol is one of which a message is sent in part. A handler answers each by its first byte.
type protocol struct {
	handler func(size int) plexor.Handler
	open    func(net.Conn) error  // nil: messages may come at once
	head    func(size int) []byte // of a message of that many bytes
	answer  int                   // bytes of an answer
}

var protocols = map[string]protocol{
	"frames": {
		handler: func(size int) plexor.Handler {
			return plexor.Messages(frame.Length{Bytes: 4, Max: size},
				func(c *plexor.Conn, msg []byte) error { return c.Send(msg[:1]) })
		},
		head:   func(size int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(size)) },
		answer: 4 + 1,
	},
	"websocket": {
		handler: func(size int) plexor.Handler {
			first := func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
				return s.Send(websocket.Message{Op: m.Op, Data: m.Data[:1]})
			}
			return web.Handler(&websocket.Sockets[struct{}]{Message: first,
				Options: websocket.Options{Limits: websocket.Limits{Message: int64(size)}}}, web.Options{})
		},
		open: func(c net.Conn) error {
			_, err := websocket.Dial(c, "ws://"+c.RemoteAddr().String()+"/", nil)
			return err
		},
		head: func(size int) []byte { // masked by zeros
			return websocket.AppendHeader(nil, websocket.Header{Final: true, Op: websocket.Binary, Masked: true,
				Length: int64(size)})
		},
		answer: 2 + 1,
	},
}

type result struct {
	grew     int   // bytes of heap, at most
	evicted  int64 // connections
	answered int   // honest messages
}

// fitting leaves room for both ends of all clients in this process: select(2) takes no descriptor from 1024 on.
func (a attack) fitting(driver string) attack {
	if driver == "select" {
		a.clients = min(a.clients, 400)
	}
	return a
}

// samples is after how many clients the heap is looked at.
const samples = 50

// run attacks a server of this process.
func (a attack) run(driver string) (r result, err error) {
	srv := &plexor.Server{Driver: driver, Loops: a.loops, Limits: plexor.Limits{PartialInput: a.bound},
		Log: slog.New(slog.DiscardHandler), Stall: -1} // it shares its processors with the clients
	defer func() { err = errors.Join(err, srv.Close()) }()
	addr, err := srv.Open("tcp://127.0.0.1:0", a.handler(a.size))
	if err != nil {
		return r, err
	}
	whole := append(a.head(a.size), bytes.Repeat([]byte("x"), a.size)...)
	runtime.GC() // twice empties the pools of buffers
	before := heap()
	var clients []net.Conn
	defer func() {
		for _, c := range clients {
			_ = c.Close() // most were reset
		}
	}()
	for i := range a.clients {
		c, err := a.dial(addr)
		if err != nil {
			return r, err
		}
		clients = append(clients, c)
		_, _ = c.Write(whole[:len(whole)-1]) // it may be reset meanwhile, which is what the server is to do
		if a.honest*(i+1)/a.clients > a.honest*i/a.clients && a.ask(addr, whole) == nil {
			r.answered++
		}
		if i%samples == 0 || i == a.clients-1 {
			r.grew = max(r.grew, heap()-before)
		}
	}
	r.evicted = srv.Stats().EvictedInputs
	return r, nil
}

// dial makes a connection on which a message may be sent.
func (a attack) dial(addr net.Addr) (net.Conn, error) {
	c, err := net.Dial("tcp", addr.String())
	if err == nil && a.open != nil {
		if err = a.open(c); err != nil {
			_ = c.Close()
		}
	}
	return c, err
}

// ask has one message answered.
func (a attack) ask(addr net.Addr, whole []byte) error {
	c, err := a.dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(whole); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, a.answer))
	return err
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
