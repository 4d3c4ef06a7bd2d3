package ipc

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/sock"
)

// ManagerOptions are the choices of a manager. The zero value of each field means its default.
type ManagerOptions struct {
	// Token is the secret that a client must know (default 32 random bytes: see [Manager.Token]). An empty one that is not
	// nil is refused.
	Token []byte
	// MaxMessage is the greatest size of a message in bytes, so of a key with its value, and of what All returns (default
	// 1 MiB).
	MaxMessage int
	// MaxClients is how many clients may be connected at once (default 1024), and MaxHandshakes how many connections
	// besides may be proving the token (default 128). A client more than that is reset; for a handshake more the oldest
	// one has to go, so that silent connections keep nobody out.
	MaxClients    int
	MaxHandshakes int
	// MaxObjects is how many names there may be (default 65536), and MaxMemory how many bytes all that is kept may take:
	// values, items, and what is on its way to clients, with 64 bytes of overhead for each of them and for each call that
	// waits, each hold, watch and party (default 256 MiB). A watch's event that would be more is lost, and counted as
	// such.
	MaxObjects int
	MaxMemory  int
	// MaxWaits is how many calls of one client may wait at once (default 1024).
	MaxWaits int
	// MaxHolds is how many locks, read locks and shares of semaphores one client may hold (default 16384). They are taken
	// back in one step when it is gone, which takes some milliseconds then.
	MaxHolds int
	// MaxWatches is how many watches one client may have (default 256).
	MaxWatches int
	// MaxEvents is how many events of a watch may wait to be sent (default 256).
	MaxEvents int
	// HandshakeTimeout is how long the proof of the token may take (default 10 s).
	HandshakeTimeout time.Duration
	// Log gets the clients that were refused (default slog.Default()): ten at once, then one a second, of which the
	// attribute "omitted" says how many before it were not written.
	Log *slog.Logger
}

// Defaults of ManagerOptions.
const (
	defaultManagerMessage = 1 << 20
	defaultClients        = 1024
	defaultObjects        = 1 << 16
	defaultMemory         = 256 << 20
	defaultWaits          = 1024
	defaultEvents         = 256
	defaultHolds          = 1 << 14
	defaultWatches        = 256
	defaultUnproven       = 128
)

func (o ManagerOptions) check() (ManagerOptions, error) {
	for _, f := range []struct {
		name  string
		field *int
		value int
	}{
		{"MaxMessage", &o.MaxMessage, defaultManagerMessage}, {"MaxClients", &o.MaxClients, defaultClients},
		{"MaxObjects", &o.MaxObjects, defaultObjects}, {"MaxMemory", &o.MaxMemory, defaultMemory},
		{"MaxWaits", &o.MaxWaits, defaultWaits}, {"MaxEvents", &o.MaxEvents, defaultEvents},
		{"MaxHolds", &o.MaxHolds, defaultHolds}, {"MaxWatches", &o.MaxWatches, defaultWatches},
		{"MaxHandshakes", &o.MaxHandshakes, defaultUnproven},
	} {
		if *f.field < 0 {
			return o, fmt.Errorf("ManagerOptions.%s is %d: it must be positive", f.name, *f.field)
		}
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if o.MaxMessage > maxManagerMessage {
		return o, fmt.Errorf("ManagerOptions.MaxMessage is %d: it must be %d at most", o.MaxMessage, maxManagerMessage)
	}
	if o.HandshakeTimeout < 0 {
		return o, fmt.Errorf("ManagerOptions.HandshakeTimeout is %v: it must be positive", o.HandshakeTimeout)
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultHandshake
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case o.Token == nil:
		o.Token = make([]byte, nonceSize)
		_, _ = rand.Read(o.Token) // it never fails
	case len(o.Token) == 0:
		return o, errors.New("ManagerOptions.Token is empty: set one, or nil for a random one")
	}
	return o, nil
}

// A Manager serves shared values to other processes over a unix socket: maps, lists, values, counters, locks,
// semaphores, events, barriers and queues, each by its name, which is made when it is first used. Processes use them by
// [DialManager], this one too.
//
// All values belong to one event loop, so that each call, and each batch of [Client.Do], is one step that nobody sees
// half done. What a client has is taken back when its connection ends, as it does when its process is killed: locks and
// units of semaphores are released, its waits forgotten.
//
// The values are in memory and end with the manager. All methods are for any goroutine.
type Manager struct {
	srv     *plexor.Server
	st      store
	path    string
	clients atomic.Int64
	waiting atomic.Int64 // calls that wait
	codec   frame.Codec
	endLog  func() // says what the log was not told

	unproven []*plexor.Conn // have not proved the token yet, oldest first; of the loop
}

// ServeManager serves a manager on the path of a unix socket, with the permissions 0600, until Close. A file that a
// dead process left at the path is replaced.
func ServeManager(path string, o ManagerOptions) (*Manager, error) {
	op := "serve a manager on " + path
	o, err := o.check()
	if err != nil {
		return nil, failed(op, err)
	}
	m := &Manager{path: path, codec: managerCodec(o.MaxMessage + replyOverhead)}
	// Tokens of locks grow over the restarts of a manager too, as long as the clock is not set back.
	m.st = store{opt: o, objects: make(map[string]*object), token: time.Now().UnixNano()}
	if err := m.codec.Check(); err != nil {
		return nil, failed(op, err)
	}
	m.st.opt.Log, m.endLog = sample.New(o.Log, nil)
	m.srv = &plexor.Server{
		Loops: 1,
		Spin:  managerSpin,
		Log:   m.st.opt.Log,
		Limits: plexor.Limits{
			Conns:        o.MaxClients + o.MaxHandshakes + 1,
			IdleTimeout:  -1,
			FrameTime:    -1, // a client that was stopped amid a call goes on with it, and keeps its locks meanwhile
			PartialInput: max(managerPartial, managerPartialMessages*o.MaxMessage),
			HighWater:    managerHighWater,
		},
	}
	a := sock.Addr{Scheme: "unix", Path: path, Query: url.Values{"mode": {fmt.Sprintf("%#o", private)}}}
	if _, err := m.srv.Open(a.String(), plexor.GreeterFunc(m.serve)); err != nil {
		m.endLog()
		return nil, failed(op, err)
	}
	return m, nil
}

// managerPartial is how many bytes calls that have come in part may take, and managerPartialMessages of how many of the
// longest calls at least: more than clients of good will ever send at once, as long as they are not stopped.
const (
	managerPartial         = 64 << 20
	managerPartialMessages = 8
)

// managerSpin is how long the loop looks for the next call before it sleeps, while that pays: longer than a client
// takes from a reply to its next call.
const managerSpin = 20 * time.Microsecond

// managerHighWater is how many bytes for a client may wait in its connection; more wait in its session.
const managerHighWater = 64 << 10

// Token is what clients need to connect: hand it to them in a way that others can't see, through a pipe or the
// environment, never on a command line.
func (m *Manager) Token() []byte { return append([]byte(nil), m.st.opt.Token...) }

// Path is the path of the manager's socket.
func (m *Manager) Path() string { return m.path }

// Clients is how many clients have proved the token and are connected.
func (m *Manager) Clients() int { return int(m.clients.Load()) }

// Close ends the manager and its values, and removes the socket's file. What clients wait for fails.
func (m *Manager) Close() error {
	err := m.srv.Close()
	m.endLog()
	return failed("close the manager on "+m.path, err)
}

// serve is the coroutine of a client.
func (m *Manager) serve(c *plexor.Conn) {
	err := m.prove(c)
	if err == nil && m.Clients() >= m.st.opt.MaxClients {
		err = fmt.Errorf("%d clients are connected already (ManagerOptions.MaxClients)", m.Clients())
		_ = c.Abort() // err is the one to tell
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			m.st.opt.Log.Warn("ipc: a client of the manager is refused", "manager", m.path, "err", err)
		}
		return
	}
	s := &session{
		m: m, c: c,
		waits: make(map[uint64]*waiter), held: make(map[int64]*hold),
		watches: make(map[uint64]*watcher), barriers: make(map[*object]bool),
	}
	m.clients.Add(1)
	defer m.clients.Add(-1)
	_ = coro.Group(c.Context(), func(g *coro.Tasks) error { // its errors end the connection, and were logged
		s.g = g
		defer func() {
			s.over = true
			m.st.leave(s)
			g.Cancel(net.ErrClosed) // what is on its way out has nobody any more
		}()
		plexor.Messages(m.codec, s.request).ServeConn(c)
		return nil
	})
}

var errCrowdedOut = errors.New("too many handshakes at once (ManagerOptions.MaxHandshakes): the oldest has to go")

// prove is admit in one of the places for it. When they are taken the oldest one is given up: whoever has the token
// needs a moment, and only the silent grow old.
func (m *Manager) prove(c *plexor.Conn) error {
	if len(m.unproven) >= m.st.opt.MaxHandshakes {
		oldest := m.unproven[0]
		m.unproven = m.unproven[1:]
		_ = oldest.Abort() // its coroutine sees it
	}
	m.unproven = append(m.unproven, c)
	err := m.admit(c)
	if i := slices.Index(m.unproven, c); i >= 0 {
		m.unproven = slices.Delete(m.unproven, i, i+1)
	} else if err != nil {
		err = errCrowdedOut
	}
	return err
}

// admit has the client prove the token, and proves it to the client.
func (m *Manager) admit(c *plexor.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(m.st.opt.HandshakeTimeout)); err != nil {
		return err
	}
	codec := managerCodec(maxHello)
	var theirs, mine [nonceSize]byte
	_, _ = rand.Read(mine[:]) // it never fails
	out, err := frame.NewWriter(c, codec)
	if err != nil {
		return err
	}
	if _, err := out.Write(append([]byte(greeting), mine[:]...)); err != nil {
		return err
	}
	in, err := frame.NewReader(c, codec)
	if err != nil {
		return err
	}
	hello, err := in.Next()
	if err != nil {
		return err
	}
	if len(hello) != nonceSize+proofSize {
		return fmt.Errorf("%w: a hello of %d bytes", ErrMalformed, len(hello))
	}
	copy(theirs[:], hello)
	if !hmac.Equal(hello[nonceSize:], tokenProof(m.st.opt.Token, "client", mine[:], theirs[:])) { // in constant time
		_, _ = out.Write([]byte(verdictNo)) // the refusal is the error to tell
		return ErrAuth
	}
	verdict := append([]byte(verdictOK), tokenProof(m.st.opt.Token, "server", mine[:], theirs[:])...)
	if _, err := out.Write(binary.AppendUvarint(verdict, uint64(m.st.opt.MaxMessage))); err != nil {
		return err
	}
	return c.SetReadDeadline(time.Time{})
}

// A session is a client. All of it belongs to the manager's loop.
type session struct {
	m        *Manager
	c        *plexor.Conn
	g        *coro.Tasks
	waits    map[uint64]*waiter
	held     map[int64]*hold
	watches  map[uint64]*watcher
	barriers map[*object]bool
	over     bool

	steps []step // of the request at hand
	buf   []byte // for its reply

	out      []output // what others have for the client
	outBytes int
	sending  bool
}

// An output is a reply that was brought about by another client, or an event.
type output struct {
	msg []byte
	of  *watcher // nil: a reply
}

// request does one request of the client.
func (s *session) request(c *plexor.Conn, msg []byte) error {
	if len(msg) > s.m.st.opt.MaxMessage {
		return fmt.Errorf("%w: a request of %d bytes, ManagerOptions.MaxMessage is %d", frame.ErrTooLong, len(msg),
			s.m.st.opt.MaxMessage)
	}
	id, what, steps, err := readRequest(msg, s.steps[:0])
	if err != nil {
		return err
	}
	defer func() {
		clear(steps)
		s.steps = steps[:0]
	}()
	if what == kindCancel {
		w := s.waits[id]
		if w == nil {
			return nil // its reply is on its way
		}
		s.m.st.forget(w)
		return s.answer(id, errorReply(refuse(codeCancelled, "cancelled")))
	}
	if s.waits[id] != nil || s.watches[id] != nil {
		return fmt.Errorf("%w: a request with the id of one that is open", ErrMalformed)
	}
	var rp reply
	var later bool
	if what == kindBatch {
		rp, err = s.m.st.batch(steps)
	} else {
		rp, later, err = s.m.st.exec(s, id, &steps[0])
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		rp = errorReply(r)
	}
	if later {
		return nil
	}
	return s.answer(id, rp)
}

func errorReply(r *refusal) reply {
	return reply{status: statusError, n: r.code, items: [][]byte{[]byte(r.text)}}
}

// answer sends the reply of the request at hand. It waits while the client does not read.
func (s *session) answer(id uint64, rp reply) error {
	s.buf = rp.append(s.buf[:0], id)
	err := s.c.Send(s.buf)
	if cap(s.buf) > recvBuffer {
		s.buf = nil // one long reply does not keep its memory
	}
	return err
}

// maxOutput is how many bytes may wait for a client that does not read, besides one message: it is reset then.
const maxOutput = 1 << 20

// push sends what another client brought about. It never waits: a coroutine of the session's does.
func (s *session) push(msg []byte, of *watcher) {
	if s.over {
		return
	}
	s.out = append(s.out, output{msg, of})
	if s.charge(len(msg)); s.outBytes > maxOutput+s.m.st.opt.MaxMessage {
		s.m.st.opt.Log.Warn("ipc: a client of the manager does not read: it is reset", "manager", s.m.path, "bytes",
			s.outBytes)
		s.over = true
		_ = s.c.Abort() // its coroutine sees it
		return
	}
	if !s.sending {
		s.sending = true
		s.g.Go(s.flush)
	}
}

// charge counts what is on its way to the client.
func (s *session) charge(n int) {
	s.outBytes += n
	s.m.st.bytes += n
}

func (s *session) flush(context.Context) error {
	for len(s.out) > 0 && !s.over {
		next := s.out[0]
		s.out[0] = output{}
		s.out = s.out[1:]
		s.charge(-len(next.msg))
		if err := s.c.Send(next.msg); err != nil {
			return err
		}
		if next.of != nil {
			next.of.sent()
		}
	}
	s.out, s.sending = nil, false
	return nil
}
