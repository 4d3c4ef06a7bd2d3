// Command chat has rooms: who is there has a name, and what somebody says goes to everybody else in the room.
//
//	go run ./examples/chat                             # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf 'ann\nhello\n' | nc -N 127.0.0.1 9000       # says hello, and goes; without printf it stays, and listens
//
// The first line is the name; "/join garden" goes to another room, "/quit" goes home. With -skip, before the address,
// who reads too slowly misses lines, and is told how many; else they are closed, and the room hears why. Nobody waits
// for them.
//
// With -bus it is one of many nodes, with the same rooms on all: "-bus tcp://127.0.0.1:9100" for the first, which is
// its address for the others, and "-bus tcp://127.0.0.1:9101,tcp://127.0.0.1:9100 tcp://127.0.0.1:9001" for the
// second, so that it finds the first. Or it is the URL of a NATS server, nats://host:4222.
//
// Somebody who only listens costs a session, and no stack. One loop runs it all, so that rooms need no lock.
package main

import (
	"bytes"
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
	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/bus/nats"
	"github.com/plexor-go/plexor/frame"
)

var codec = frame.Pair{In: frame.Line{Max: 1000}, Out: frame.Line{Max: 2100}}

// A guest is a connection.
type guest struct {
	c     *plexor.Conn
	box   *plexor.Outbox
	name  string // empty: not said yet
	room  *room
	leave []func() // the name, and the room
}

// Put is of bus.Outlet: a guest does not hear what it says itself.
func (g *guest) Put(s said) error {
	if s.by == g.name {
		return nil
	}
	return g.box.Put(s.line)
}

// A said is a line that is on its way to guests.
type said struct {
	by   string // empty: the house
	line plexor.Prepared
}

// A room is one that somebody of this node is in.
type room struct {
	bus.Room
	here *bus.Audience[*guest, said]
}

// say says something to all who are in the room.
func (r *room) say(by, line string) {
	if err := r.Post([]byte(by + "\x00" + line)); err != nil {
		log.Print(err)
	}
}

// hear is what guests are sent.
func hear(e bus.Event) (s said, ok bool) {
	line := e.Data
	switch e.Kind {
	case bus.Message:
		by, rest, _ := bytes.Cut(e.Data, []byte{0})
		s.by, line = string(by), rest
		if s.by != "" {
			line = fmt.Appendf(nil, "%s: %s", by, rest)
		}
	case bus.Gap:
		line = []byte("* some lines are missing")
		if e.Missed > 0 {
			line = fmt.Appendf(nil, "* %d lines are missing", e.Missed)
		}
	case bus.NewEpoch:
		if e.Complete {
			return s, false
		}
		line = []byte("* some lines may be missing")
	}
	p, err := plexor.Prepare(codec, line)
	s.line = p
	return s, err == nil
}

// A house knows who is there.
type house struct {
	b     *bus.Bus
	rooms map[string]*room // of this node's guests
}

func (h *house) open(c *plexor.Conn) (*guest, error) {
	return &guest{c: c, box: c.Outbox()}, c.Send([]byte("your name?"))
}

func (h *house) message(c *plexor.Conn, g *guest, msg []byte) error {
	line := strings.TrimSpace(string(msg))
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case g.name == "":
		return h.name(g, line)
	case word == "/join" && rest != "":
		h.leave(g, "to "+rest)
		return h.enter(g, rest)
	case word == "/quit":
		return c.Close()
	}
	g.room.say(g.name, line)
	return nil
}

// name gives a guest its name. Two who ask for the same one on two nodes at the same moment may both get it.
func (h *house) name(g *guest, name string) error {
	names := h.b.Room("names")
	for _, m := range names.Members() {
		if m.ID == name {
			name = ""
		}
	}
	leave, err := names.Enter(name, nil)
	if name == "" || strings.Contains(name, "\x00") || err != nil {
		if err == nil {
			leave()
		}
		return g.box.Send([]byte("that name is taken; another?"))
	}
	g.name, g.leave = name, append(g.leave, leave)
	return h.enter(g, "hall")
}

func (h *house) enter(g *guest, name string) error {
	r := h.rooms[name]
	if r == nil {
		r = &room{Room: h.b.Room("room " + name)}
		var err error
		if r.here, err = bus.NewAudience[*guest](r.Room, hear); err != nil {
			return err
		}
		h.rooms[name] = r
	}
	leave, err := r.Enter(g.name, nil)
	if err != nil {
		return err
	}
	g.room, g.leave = r, append(g.leave, leave)
	if err := r.here.Add(g); err != nil {
		return err
	}
	r.say("", fmt.Sprintf("* %s came to the %s, which has %d", g.name, name, len(r.Members())))
	return nil
}

// leave takes a guest out of its room.
func (h *house) leave(g *guest, why string) {
	r := g.room
	last := len(g.leave) - 1
	g.leave[last]()
	g.leave = g.leave[:last]
	r.here.Remove(g)
	r.say("", fmt.Sprintf("* %s went: %s", g.name, why))
	if r.here.Len() == 0 {
		r.here.Close()
		delete(h.rooms, strings.TrimPrefix(r.Name(), "room "))
	}
}

// closed is told the reason: io.EOF, a reset, plexor.ErrOutboxFull of one who reads too slowly, …
func (h *house) closed(g *guest, reason error) {
	if g.room == nil {
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
	g.leave[0]()
}

// transport leads to the other nodes.
func transport(ctx context.Context, nodes string) (bus.Transport, error) {
	if nodes == "" {
		return nil, nil
	}
	if strings.HasPrefix(nodes, "nats://") {
		return nats.Connect(nodes, nats.Options{})
	}
	all := strings.Split(strings.ReplaceAll(nodes, "tcp://", ""), ",")
	n, err := nats.Embedded(ctx, all[0], all[1:], nats.Options{})
	if err != nil {
		return nil, err
	}
	log.Printf("other nodes find this one at tcp://%s", n.Addr())
	return n, nil
}

func main() {
	skip := flag.Bool("skip", false, "who reads too slowly misses lines")
	nodes := flag.String("bus", "", "this node's `address` for others, and those of others, with commas between")
	flag.Parse()
	address := append(flag.Args(), "tcp://127.0.0.1:9000")[0]
	slow := plexor.OutboxLimits{Entries: 100, WhenFull: plexor.CloseWhenFull} // of 2100 bytes at most
	if *skip {
		slow.WhenFull = plexor.RefuseNewest // so the audience knows, and gives the rest later
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	tr, err := transport(ctx, *nodes)
	if err != nil {
		log.Fatal(err)
	}
	b, err := bus.Open(bus.Options{Transport: tr})
	if err != nil {
		log.Fatal(err)
	}
	h := &house{b: b, rooms: make(map[string]*room)}
	srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{Outbox: slow}}
	addr, err := srv.Open(address, plexor.Sessions[*guest]{Codec: codec,
		Open: h.open, Message: h.message, Closed: h.closed})
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(srv.Shutdown(ctx), b.Close()); err != nil {
		log.Fatal(err)
	}
}
