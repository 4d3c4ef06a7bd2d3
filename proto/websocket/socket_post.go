package websocket

import (
	"errors"
	"slices"

	"github.com/plexor-go/plexor/proto/http1"
)

// What was not taken, as it does not fit into the queue of what was posted.
var (
	ErrFull    = errors.New("websocket: the queue of posts is full (PostLimits)")
	ErrTooLong = errors.New("websocket: it is longer than all that the queue of posts may hold (PostLimits.Bytes)")
)

// PostLimits bound what waits of what was posted to a Socket that has a goroutine. On an engine the Outbox of the
// connection has its own.
type PostLimits struct {
	Bytes   int // 0: 256 KiB
	Entries int // 0: 1024
	// When it is full, the newest is refused with ErrFull; or the oldest are dropped; or the connection is closed. What
	// never fits is refused with ErrTooLong.
	DropOldest, Close bool
}

const (
	defaultPostBytes   = 256 << 10
	defaultPostEntries = 1024
)

func (l PostLimits) withDefaults() PostLimits {
	if l.Bytes <= 0 {
		l.Bytes = defaultPostBytes
	}
	if l.Entries <= 0 {
		l.Entries = defaultPostEntries
	}
	return l
}

// A post is what was posted: on an engine until the connection has its Box, else until it was written.
type post struct {
	box      http1.Box
	asked    bool // for a Box, or there is a goroutine that writes
	queue    []posted
	bytes    int
	limits   PostLimits
	dropped  int64
	farewell *farewell // to be sent behind all
}

// A farewell is a close frame that waits for what is before it.
type farewell struct {
	code   Code
	reason string
}

type posted struct {
	key   any
	frame []byte
}

// SetPostLimits changes the bounds of what is posted, where the Socket has a goroutine.
func (s *Socket) SetPostLimits(l PostLimits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.getPost().limits = l
}

// PostLimits are the bounds of what is posted, where the Socket has a goroutine, with no field that stands for a
// default.
func (s *Socket) PostLimits() PostLimits {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.post == nil {
		return PostLimits{}.withDefaults()
	}
	return s.post.limits.withDefaults()
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
	if err := s.enter(); err != nil {
		return err
	}
	defer s.exit()
	s.mu.Lock()
	p := s.getPost()
	if box := p.box; box != nil {
		s.mu.Unlock()
		_, err := box.Write(frame)
		return err
	}
	err := p.take(posted{key, frame})
	begins := err == nil && !p.asked
	p.asked = p.asked || begins
	closes := err == ErrFull && p.limits.Close
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
	l := p.limits.withDefaults()
	bytes, entries := l.Bytes, l.Entries
	if len(e.frame) > bytes {
		p.dropped++
		return ErrTooLong
	}
	i := slices.IndexFunc(p.queue, func(q posted) bool { return e.key != nil && q.key == e.key })
	if i >= 0 && p.bytes+len(e.frame)-len(p.queue[i].frame) <= bytes {
		p.bytes += len(e.frame) - len(p.queue[i].frame)
		p.queue[i].frame = e.frame
		return nil
	}
	if i >= 0 && p.limits.DropOldest { // then it is the newest of all
		p.bytes -= len(p.queue[i].frame)
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	for len(p.queue) >= entries || p.bytes+len(e.frame) > bytes {
		p.dropped++
		if !p.limits.DropOldest {
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
	if p.box != nil {
		return
	}
	for len(p.queue) > 0 {
		_, _ = box.Write(p.pop()) // what finds no room is counted there
	}
	p.box = box
}

// beginClose notes what to say behind all that is sent now. False: a close has begun.
func (s *Socket) beginClose(code Code, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flags&(closeSent|over) != 0 {
		return false
	}
	s.flags |= closeSent
	s.getPost().farewell = &farewell{code, reason}
	return true
}

// takeFarewell is what is to be said now; nil: nothing, or not yet. The caller says it.
func (s *Socket) takeFarewell() *farewell {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sending > 0 || s.post == nil {
		return nil
	}
	f := s.post.farewell
	s.post.farewell = nil
	return f
}

// closeBehindPosts has the goroutine that writes what was posted say farewell behind it, within CloseWait.
func (s *Socket) closeBehindPosts() {
	s.mu.Lock()
	begins := !s.post.asked
	s.post.asked = true
	s.mu.Unlock()
	if begins {
		go s.writePosts()
	}
}

// writePosts writes what was posted, until there is none, and then says farewell, if that is to be.
func (s *Socket) writePosts() {
	for {
		s.mu.Lock()
		p := s.post
		if len(p.queue) == 0 || s.flags&over != 0 {
			p.asked = false
			s.mu.Unlock()
			if f := s.takeFarewell(); f != nil {
				_ = s.conn.sendClose(f.code, f.reason) // who reads is told
			}
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
