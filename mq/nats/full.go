package nats

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
)

// A server that could not write to a stream, since the disk is full or broken, says so to its log alone: it answers no
// publish to that stream any more, and does not try to write again when there is room. So the home that runs it refuses
// publishes, looks whether the folder can be written, and then starts the server anew. What it has stored is handed out
// meanwhile. Publishes of other processes that use the server have no answer, and are perhaps stored.

// watch waits until a server can't write, and starts another one in its place when that is over.
func (h *home) watch(node *natsnode.Node) {
	select {
	case <-node.Broken():
	case <-h.ended:
		return
	}
	why := node.Fault()
	h.log.Error("nats: the server can't write: nothing is stored until it can", "dir", h.dir, "err", why)
	h.mu.Lock()
	h.setFault(unwritable(h.dir, why))
	h.mu.Unlock()
	if !natsnode.AwaitRoom(h.dir, h.ended) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.stop()
	ctx, cancel := context.WithTimeout(context.Background(), embeddedPatience)
	defer cancel()
	if err := h.start(ctx); err != nil { // Dial tries again; another process may have been quicker
		h.log.Warn("nats: the server that could not write does not start anew", "dir", h.dir, "err", err)
	} else {
		h.log.Info("nats: the server can write again", "dir", h.dir)
	}
	h.setFault(nil)
}

// setFault tells those who publish. h.mu is held.
func (h *home) setFault(err error) {
	h.fault = err
	for a := range h.acks {
		a.setFault(err)
	}
}

// unwritable says what it means that a write failed.
func unwritable(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: the disk of %s is full: make room, and it goes on: %w", mq.ErrFull, dir, err)
	}
	return fmt.Errorf("the server can't write to %s: %w", dir, err)
}
