package nats

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/plexor-go/plexor/internal/natsnode"
)

// A door is the socket in a folder by which other processes reach the server of the one that has the folder. It is in a
// folder that nobody but the user may enter. The server itself knows no such sockets, so what comes in is copied to
// connections within the process.
type door struct {
	l    net.Listener
	node *natsnode.Node
	log  *slog.Logger
	all  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// doorFolder and doorName are where the socket is in the folder.
const (
	doorFolder = "door"
	doorName   = "socket"
)

// openDoor listens. The caller has the folder to itself, so a socket that is there is of a process that has ended.
func openDoor(dir string, p promise, node *natsnode.Node, log *slog.Logger) (*door, error) {
	folder := filepath.Join(dir, doorFolder)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(folder, doorName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := p.write(folder); err != nil {
		return nil, err
	}
	path, done, err := shortPath(folder)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the next one does, who has the folder by then
	d := &door{l: l, node: node, log: log, conns: make(map[net.Conn]struct{})}
	d.all.Go(d.accept)
	return d, nil
}

// knock connects to the door of a folder.
func knock(dir string) (net.Conn, error) {
	path, done, err := shortPath(filepath.Join(dir, doorFolder))
	if err != nil {
		return nil, err
	}
	defer done()
	return net.Dial("unix", path)
}

func (d *door) accept() {
	for {
		c, err := d.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.log.Warn("nats: a process could not be let in", "err", err)
			continue
		}
		in, err := d.node.Pipe()
		if err != nil || !d.keep(c, in) {
			_ = c.Close()
			if in != nil {
				_ = in.Close()
			}
			continue
		}
		d.all.Go(func() { d.pass(c, in) })
		d.all.Go(func() { d.pass(in, c) })
	}
}

// keep notes connections, for close.
func (d *door) keep(cs ...net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range cs {
		d.conns[c] = struct{}{}
	}
	return !d.closed
}

// pass copies until one side ends, and ends both: NATS has no half-closed connections.
func (d *door) pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either side's end is the end
	_ = to.Close()
	_ = from.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, to)
	delete(d.conns, from)
}

// close lets nobody in any more, and puts out who is in.
func (d *door) close() {
	_ = d.l.Close()
	d.mu.Lock()
	d.closed = true
	for c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.all.Wait()
}
