// Command gateway holds the connections of devices, which log in with a token, send readings and get commands, and
// those of operators, who ask for readings and send the commands.
//
//	go run ./examples/gateway                    # on tcp://127.0.0.1:9000; stop it with Ctrl-C
//	printf '\0\7Ldev-1x\0\2R7' | nc -N 127.0.0.1 9000 | od -c      # a device that logs in, and sends a reading
//
// A message is a length of two bytes, a letter that says what it is, and the rest:
//
//   - Ltoken: log in, the first message of everybody
//   - Rvalue: from a device, a reading
//   - K: from a device, nothing new, but I am there; who is silent for a minute is closed
//   - Cname command: from an operator, to a device, which gets "Ccommand"
//   - Qname: from an operator, asks for the last reading of a device
//
// The answer to each but R and K is A with the rest, or N with the reason.
//
// A device that waits costs the gateway its session and no stack. One loop runs it all, so the table of devices needs
// no lock.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// patience is how long an operator waits for a device that does not read.
const patience = 5 * time.Second

// A session is a connection of a device, or of an operator.
type session struct {
	c       *plexor.Conn
	name    string // empty: not logged in
	reading string
}

// A gateway knows who is who by token, and who is here by name.
type gateway struct {
	devices  map[string]string
	operator string
	here     map[string]*session
}

func (g *gateway) open(c *plexor.Conn) (*session, error) { return &session{c: c}, nil }

func (g *gateway) message(c *plexor.Conn, s *session, msg []byte) error {
	if len(msg) == 0 {
		return errors.New("an empty message")
	}
	kind, rest := msg[0], string(msg[1:])
	switch {
	case s.name == "" && kind == 'L':
		return g.login(s, rest)
	case s.name == "":
		return errors.New("no login")
	case s.name == "operator" && kind == 'C':
		name, command, _ := strings.Cut(rest, " ")
		return answer(c, g.command(name, command), name)
	case s.name == "operator" && kind == 'Q':
		if d := g.here[rest]; d != nil {
			return answer(c, nil, d.reading)
		}
		return answer(c, errAway, "")
	case s.name != "operator" && kind == 'R':
		s.reading = rest
		return nil
	case s.name != "operator" && kind == 'K':
		return nil
	}
	return errors.New("a message that is not for " + s.name)
}

// login makes a session somebody's. A device that comes again takes the place of its old connection, which may be dead.
func (g *gateway) login(s *session, token string) error {
	name, known := g.devices[token]
	switch {
	case token == g.operator:
		s.name = "operator"
		return answer(s.c, nil, s.name)
	case !known:
		return errors.Join(answer(s.c, errors.New("unknown token"), ""), errors.New("an unknown token"))
	}
	if old := g.here[name]; old != nil {
		if err := old.c.Abort(); err != nil {
			log.Printf("%s: the old connection: %v", name, err)
		}
	}
	s.name, g.here[name] = name, s
	return answer(s.c, nil, name)
}

var errAway = errors.New("not connected")

// command sends a device a command.
func (g *gateway) command(name, command string) error {
	d := g.here[name]
	if d == nil {
		return errAway
	}
	if err := d.c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return d.c.Send([]byte("C" + command))
}

func answer(c *plexor.Conn, err error, text string) error {
	if err != nil {
		return c.Send([]byte("N" + err.Error()))
	}
	return c.Send([]byte("A" + text))
}

// closed is told why: io.EOF, plexor.ErrIdle, a reset, what was wrong with a message.
func (g *gateway) closed(s *session, reason error) {
	log.Printf("%q went: %v", s.name, reason)
	if g.here[s.name] == s {
		delete(g.here, s.name)
	}
}

func main() {
	g := &gateway{
		devices:  map[string]string{"dev-1x": "pump", "dev-2y": "valve"},
		operator: "oper-0",
		here:     make(map[string]*session),
	}
	srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{IdleTimeout: time.Minute}}
	addr, err := srv.Open(append(os.Args, "tcp://127.0.0.1:9000")[1], plexor.Sessions[*session]{
		Codec: frame.Length{Bytes: 2, Max: 1000}, Open: g.open, Message: g.message, Closed: g.closed})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}
