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
)

type attack struct {
	loops   int
	bound   int // Limits.PartialInput
	clients int // that leave a message unfinished
	size    int // bytes of a message
	honest  int // messages of the honest client
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
	first := func(c *plexor.Conn, msg []byte) error { return c.Send(msg[:1]) }
	addr, err := srv.Open("tcp://127.0.0.1:0", plexor.Messages(frame.Length{Bytes: 4, Max: a.size}, first))
	if err != nil {
		return r, err
	}
	whole := append(binary.BigEndian.AppendUint32(nil, uint32(a.size)), bytes.Repeat([]byte("x"), a.size)...)
	runtime.GC() // twice empties the pools of buffers
	before := heap()
	var clients []net.Conn
	defer func() {
		for _, c := range clients {
			_ = c.Close() // most were reset
		}
	}()
	for i := range a.clients {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			return r, err
		}
		clients = append(clients, c)
		_, _ = c.Write(whole[:len(whole)-1]) // it may be reset meanwhile, which is what the server is to do
		if a.honest*(i+1)/a.clients > a.honest*i/a.clients && ask(addr, whole) == nil {
			r.answered++
		}
		if i%samples == 0 || i == a.clients-1 {
			r.grew = max(r.grew, heap()-before)
		}
	}
	r.evicted = srv.Stats().EvictedInputs
	return r, nil
}

// ask has one message answered.
func ask(addr net.Addr, whole []byte) error {
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(whole); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 5))
	return err
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
