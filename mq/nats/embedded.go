package nats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
)

// A home is a folder with jobs, as this process uses it. The server in it is run by the first process that opens it; a
// home that runs none connects through the socket of the one that does, and starts the server when nobody does any
// more.
type home struct {
	dir   string
	o     natsnode.Options
	log   *slog.Logger
	users int // under homes

	ended    chan struct{} // closed with closed
	watching sync.WaitGroup

	mu     sync.Mutex
	node   *natsnode.Node // nil: another process runs it
	door   *door
	stage  heldStage
	closed bool
	fault  error // why nothing can be stored, as far as is known; nil: it can
	acks   map[*acks]struct{}
}

var homes struct {
	sync.Mutex
	of map[string]*home
}

// Bounds of an embedded server, unless the URL says something else.
const (
	embeddedStore   = 8 << 30
	embeddedMemory  = 64 << 20
	embeddedPayload = 1<<20 + 64<<10 // bytes of a message with its headers
)

// openEmbedded opens nats+embedded://.
func openEmbedded(ctx context.Context, u *url.URL, o mq.Options) (mq.Backend, error) {
	if u.Host != "" || u.Path == "" || u.Path == "/" {
		return nil, errors.New("nats: nats+embedded takes the folder of its data: nats+embedded:///var/lib/app/jobs")
	}
	set, err := embeddedOptions(u)
	if err != nil {
		return nil, err
	}
	h, err := enter(filepath.Clean(filepath.FromSlash(u.Path)), set, o.Log)
	if err != nil {
		return nil, err
	}
	b := &backend{log: o.Log, replicas: 1, maxStore: set.Limits.Store, can: capabilities("nats+embedded")}
	b.end = func() {
		h.mu.Lock()
		delete(h.acks, b.acks)
		h.mu.Unlock()
		h.leave()
	}
	if set.SyncAlways {
		b.names = newNames(h.dir)
		if _, err := memory(); err == nil {
			b.stage = &stage{home: h.dir, log: o.Log}
		}
	} else {
		b.can.Durability = mq.Written
	}
	ctx, cancel := context.WithTimeout(ctx, embeddedPatience)
	defer cancel()
	if err := b.enter(ctx, h, u.User); err != nil {
		h.leave()
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acks[b.acks] = struct{}{}
	b.acks.setFault(h.fault)
	return b, nil
}

// enter connects to the server of a home. The process that runs it may end meanwhile: then it is done again.
func (b *backend) enter(ctx context.Context, h *home, user *url.Userinfo) error {
	server := url.URL{Scheme: "nats", User: user, Host: "embedded:4222"} // a host that Dial does not look at
	for {
		first, err := h.first(ctx)
		if err != nil {
			return err
		}
		_ = first.Close() // the server can be reached
		err = b.connect(ctx, server.String(), h)
		gone := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
			errors.Is(err, natsgo.ErrConnectionClosed) || errors.Is(err, natsnode.ErrInUse)
		if err == nil {
			return nil
		}
		if !gone || !pause(ctx, reconnectWait) {
			return advice(err, h.dir)
		}
	}
}

// pause waits; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// embeddedPatience is how long the server may take to read its data, or another process to let go of it.
const embeddedPatience = time.Minute

func embeddedOptions(u *url.URL) (set natsnode.Options, err error) {
	set = natsnode.Options{JetStream: true, SyncAlways: true, Limits: natsnode.Limits{Store: embeddedStore,
		Memory: embeddedMemory, Payload: embeddedPayload}}
	for name, values := range u.Query() {
		value := values[len(values)-1]
		switch name {
		case "store":
			set.Limits.Store, err = size(value)
		case "memory":
			set.Limits.Memory, err = size(value)
		case "sync":
			set.SyncAlways = value != "off"
			if value != "off" && value != "always" {
				err = errors.New("it is always or off")
			}
		case "listen":
			set.Client = value
		case "cluster", "route", "routes", "replicas", "name":
			return set, fmt.Errorf("nats: parameter %q: a server in the process stands alone. plexor mq serve runs the nodes "+
				"of a cluster, and nats:// connects to it", name)
		default:
			return set, fmt.Errorf("nats: unknown parameter %q: there are store, memory, sync and listen", name)
		}
		if err != nil {
			return set, fmt.Errorf("nats: %s=%s: %w", name, value, err)
		}
	}
	if u.User != nil {
		set.User = u.User.Username()
		set.Password, _ = u.User.Password()
	}
	return set, nil
}

// size reads bytes: 1000, 64MiB, 8GiB.
func size(s string) (int64, error) {
	unit := int64(1)
	for name, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if rest, ok := strings.CutSuffix(s, name); ok {
			s, unit = rest, n
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<50/unit {
		return 0, errors.New("it is a number of bytes, as 1000, 64MiB, 8GiB")
	}
	return n * unit, nil
}

// enter makes the home of a folder, or finds the one that this process has.
func enter(dir string, o natsnode.Options, log *slog.Logger) (*home, error) {
	homes.Lock()
	defer homes.Unlock()
	h := homes.of[dir]
	if h == nil {
		o.Dir, o.Log = dir, log
		h = &home{dir: dir, o: o, log: log, ended: make(chan struct{}), acks: make(map[*acks]struct{})}
		if homes.of == nil {
			homes.of = make(map[string]*home)
		}
		homes.of[dir] = h
	}
	mine := o
	mine.Dir, mine.Log = h.o.Dir, h.o.Log
	if !sameOptions(mine, h.o) {
		return nil, fmt.Errorf("nats: %s is open in this process with other parameters", dir)
	}
	h.users++
	return h, nil
}

func sameOptions(a, b natsnode.Options) bool {
	return a.SyncAlways == b.SyncAlways && a.Client == b.Client && a.User == b.User && a.Password == b.Password &&
		a.Limits == b.Limits
}

// leave ends the server when the last of this process goes. Who opens the folder meanwhile has a home of its own, which
// waits for the end of this one as for that of another process.
func (h *home) leave() {
	homes.Lock()
	h.users--
	last := h.users == 0
	if last {
		delete(homes.of, h.dir)
	}
	homes.Unlock()
	if !last {
		return
	}
	h.mu.Lock()
	h.closed = true
	close(h.ended)
	if h.node != nil {
		h.stop()
	}
	h.mu.Unlock()
	h.watching.Wait()
}

// stop ends the server that runs here. h.mu is held.
func (h *home) stop() {
	h.door.close()
	h.stage.close(h.dir) // while nobody else has the folder
	h.node.Close()
	if h.stage.folder != "" {
		_ = os.RemoveAll(h.stage.folder) // what the server's end made anew
	}
	h.node, h.stage = nil, heldStage{}
}

// Dial connects to the server, wherever it runs. The client calls it anew whenever its connection has broken.
func (h *home) Dial(_, _ string) (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, mq.ErrClosed
	case h.node != nil:
		return h.node.Pipe()
	}
	c, err := knock(h.dir)
	if err == nil {
		return h.compare(c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), embeddedPatience)
	defer cancel()
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	h.setFault(nil)
	return h.node.Pipe()
}

// compare returns a connection to the server of another process, if that has the parameters that are wanted. Else those
// who publish are told that it has not. h.mu is held.
func (h *home) compare(c net.Conn) (net.Conn, error) {
	err := promiseOf(h.o).check(h.dir)
	if err != nil {
		_ = c.Close() // nothing was written to it
		c = nil
		if h.fault == nil && len(h.acks) > 0 { // else it is Open's error
			h.log.Error("nats: nothing can be stored", "err", err)
		}
	}
	h.setFault(err)
	return c, err
}

// start runs the server here. h.mu is held.
func (h *home) start(ctx context.Context) error {
	o := h.o
	if o.SyncAlways {
		o.Locked = func() error { return dropStage(h.dir) }
	}
	node, err := natsnode.Start(ctx, o)
	if err != nil {
		return err
	}
	if h.door, err = openDoor(h.dir, promiseOf(o), node, h.log); err != nil {
		node.Close()
		return fmt.Errorf("nats: %s: the socket for other processes: %w", h.dir, err)
	}
	if h.o.SyncAlways {
		if h.stage, err = openStage(h.dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			h.log.Info("nats: each job is synced by itself: there is no memory to hold batches in", "err", err)
		}
	}
	h.node = node
	h.watching.Go(func() { h.watch(node) })
	return nil
}

// first dials until the server can be reached: another process may be about to start it, or to end it.
func (h *home) first(ctx context.Context) (net.Conn, error) {
	for {
		c, err := h.Dial("", "")
		if err == nil || !errors.Is(err, natsnode.ErrInUse) {
			return c, err
		}
		if !pause(ctx, reconnectWait) {
			return nil, fmt.Errorf("nats: %s is locked by a process that does not answer: %w", h.dir, context.Cause(ctx))
		}
	}
}

var _ natsgo.CustomDialer = (*home)(nil)
