// Command chat has rooms: who is there has a name, and what somebody says goes to everybody else in the room.
//
//	go run ./examples/chat                             # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf 'ann\nhello\n' | nc -N 127.0.0.1 9000       # says hello, and goes; without printf it stays, and listens
//
// The first line is the name; "/join garden" goes to another room, "/quit" goes home. With -skip, before the address,
// who reads too slowly misses the oldest lines; else they are closed, and the room hears why. Nobody waits for them.
//
// Somebody who only listens costs a session, and no stack. One loop runs it all, so that names and rooms need no lock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// A guest is a connection.
type guest struct {
	c    *plexor.Conn
	box  *plexor.Outbox
	name string // empty: not said yet
	room string
}

// A house knows who is there. A room is there as long as somebody is in it.
type house struct {
	names map[string]bool
	rooms map[string]*plexor.Audience
}

func (h *house) open(c *plexor.Conn) (*guest, error) {
	return &guest{c: c, box: c.Outbox()}, c.Send([]byte("your name?"))
}

func (h *house) message(c *plexor.Conn, g *guest, msg []byte) error {
	line := strings.TrimSpace(string(msg))
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case g.name == "":
		if line == "" || h.names[line] {
			return g.box.Send([]byte("that name is taken; another?"))
		}
		g.name, h.names[line] = line, true
		return h.enter(g, "hall")
	case word == "/join" && rest != "":
		h.leave(g, "to "+rest)
		return h.enter(g, rest)
	case word == "/quit":
		return c.Close()
	}
	return h.rooms[g.room].SendExcept(g.box, []byte(g.name+": "+line))
}

func (h *house) enter(g *guest, name string) error {
	room := h.rooms[name]
	if room == nil {
		room = new(plexor.Audience)
		h.rooms[name] = room
	}
	g.room = name
	if err := room.Add(g.box); err != nil {
		return err
	}
	return room.Send(fmt.Appendf(nil, "* %s came to the %s, which has %d", g.name, name, room.Len()))
}

func (h *house) leave(g *guest, why string) {
	room := h.rooms[g.room]
	room.Remove(g.box) // one that is closed has left by itself
	if room.Len() == 0 {
		delete(h.rooms, g.room)
	} else if err := room.Send(fmt.Appendf(nil, "* %s went: %s", g.name, why)); err != nil {
		log.Print(err)
	}
}

// closed is told the reason: io.EOF, a reset, plexor.ErrOutboxFull of one who reads too slowly, …
func (h *house) closed(g *guest, reason error) {
	if g.name == "" {
		return
	}
	why := reason.Error()
	if reason == io.EOF || errors.Is(reason, net.ErrClosed) {
		why = "bye"
	}
	if errors.Is(reason, plexor.ErrOutboxFull) {
		why = "too slow"
	}
	h.leave(g, why)
	delete(h.names, g.name)
}

func main() {
	skip := flag.Bool("skip", false, "who reads too slowly misses lines")
	flag.Parse()
	address := append(flag.Args(), "tcp://127.0.0.1:9000")[0]
	slow := plexor.OutboxLimits{Entries: 100, WhenFull: plexor.CloseWhenFull} // of 2100 bytes at most
	if *skip {
		slow.WhenFull = plexor.DropOldest
	}
	h := &house{names: make(map[string]bool), rooms: make(map[string]*plexor.Audience)}
	srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{Outbox: slow}}
	addr, err := srv.Open(address, plexor.Sessions[*guest]{
		Codec: frame.Pair{In: frame.Line{Max: 1000}, Out: frame.Line{Max: 2100}},
		Open:  h.open, Message: h.message, Closed: h.closed})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}
