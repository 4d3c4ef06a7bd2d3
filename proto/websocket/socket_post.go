package websocket

import (
	"errors"

	"github.com/plexor-go/plexor/proto/http1"
)

// ErrFull is what does not fit into the queue of what was posted: it was not taken.
var ErrFull = errors.New("websocket: the queue of posts is full (PostLimits)")

// PostLimits bound what waits of what was posted to a Socket that has a goroutine. On an engine the Outbox of the
// connection has its own.
type PostLimits struct {
	Bytes   int // 0: 256 KiB
	Entries int // 0: 1024
	// When it is full, the newest is refused with ErrFull; or the oldest are dropped; or the connection is closed.
	DropOldest, Close bool
}

const (
	defaultPostBytes   = 256 << 10
	defaultPostEntries = 1024
)

// A post is what was posted: on an engine until the connection has its Box, else until it was written.
type post struct {
	box     http1.Box
	asked   bool // for a Box, or there is a goroutine that writes
	queue   []posted
	bytes   int
	limits  PostLimits
	dropped int64
}

type posted struct {
	key   any
	frame []byte
}

// box is the connection's, if somebody has posted. s.mu is held.
func (s *Socket) box() http1.Box {
	if s.post == nil {
		return nil
	}
	return s.post.box
}

// SetPostLimits changes the bounds of what is posted, where the Socket has a goroutine.
func (s *Socket) SetPostLimits(l PostLimits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.getPost().limits = l
}

// Dropped counts what was posted and not sent for want of room, where the Socket has a goroutine.
func (s *Socket) Dropped() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.post == nil {
		return 0
	}
	return s.post.dropped
}

func (s *Socket) getPost() *post {
	if s.post == nil {
		s.post = new(post)
	}
	return s.post
}

// PostFrame is Post for a frame, or several, as a server sends them: see [Prepared.Frame]. It is not to be changed from
// then on. Where the Socket has a goroutine, one that waits with the same key, which is not nil, is replaced.
func (s *Socket) PostFrame(key any, frame []byte) error {
	s.mu.Lock()
	if s.flags&(closeSent|over) != 0 {
		s.mu.Unlock()
		return ErrClosed
	}
	p := s.getPost()
	if box := p.box; box != nil {
		s.mu.Unlock()
		_, err := box.Write(frame)
		return err
	}
	err := p.take(posted{key, frame})
	begins := err == nil && !p.asked
	p.asked = p.asked || begins
	closes := err != nil && p.limits.Close
	s.mu.Unlock()
	switch {
	case closes && s.conn != nil:
		s.because(ErrFull)
		_ = s.conn.CloseNow()
	case begins && s.conn != nil:
		go s.writePosts()
	case begins:
		return s.link.Go("websocket box", s.openBox)
	}
	return err
}

// take puts one into the queue.
func (p *post) take(e posted) error {
	bytes, entries := p.limits.Bytes, p.limits.Entries
	if bytes <= 0 {
		bytes = defaultPostBytes
	}
	if entries <= 0 {
		entries = defaultPostEntries
	}
	if e.key != nil {
		for i := range p.queue {
			if q := &p.queue[i]; q.key == e.key && p.bytes+len(e.frame)-len(q.frame) <= bytes {
				p.bytes += len(e.frame) - len(q.frame)
				q.frame = e.frame
				return nil
			}
		}
	}
	for len(p.queue) >= entries || p.bytes+len(e.frame) > bytes {
		p.dropped++
		if !p.limits.DropOldest || len(p.queue) == 0 {
			return ErrFull
		}
		p.pop()
	}
	p.queue = append(p.queue, e)
	p.bytes += len(e.frame)
	return nil
}

func (p *post) pop() []byte {
	frame := p.queue[0].frame
	p.queue[0] = posted{}
	p.bytes -= len(frame)
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		p.queue = nil
	}
	return frame
}

// openBox puts what waits into the connection's Box. It is for a coroutine of the loop.
func (s *Socket) openBox() {
	box := s.link.Box()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.post
	for len(p.queue) > 0 {
		_, _ = box.Write(p.pop()) // what finds no room is counted there
	}
	p.box = box
}

// writePosts writes what was posted, until there is none.
func (s *Socket) writePosts() {
	for {
		s.mu.Lock()
		p := s.post
		if len(p.queue) == 0 || s.flags&over != 0 {
			p.asked = false
			s.mu.Unlock()
			return
		}
		frame := p.pop()
		s.mu.Unlock()
		if s.conn.writeWhole(frame) != nil {
			s.stopPosts()
		}
	}
}

// stopPosts drops what waits, for a connection that is over.
func (s *Socket) stopPosts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.post; p != nil {
		p.dropped += int64(len(p.queue))
		p.queue, p.bytes = nil, 0
	}
}
