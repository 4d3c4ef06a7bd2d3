package mailcatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// With Options.Behind and NoSync a mail is taken when it is in memory, and its file is made by a goroutine of the store
// (without NoSync it is in the journal before, see journal.go):
//
//	accept: data copied, room claimed ─▶ fresh ─▶ Deliver returns
//	absorb: fresh ─▶ the index, by the goroutine or by the next who looks at it ─▶ unplaced
//	place:  unplaced ─▶ tmp ─▶ new; entry.behind ends
//
// So whoever asks behind a Deliver finds the mail, and who opens its file waits for that alone. accept takes the
// store's lock only if that is free, since it runs on event loops, and the lock is held by others while they wait for
// the disk.
//
// A file that can't be made is tried again each second, while mails that come are refused: what was taken stays in
// memory until it has its file, is deleted, or the store is closed.

// An unwritten is a mail that was taken and has no file yet. The store's lock is held for all but data.
type unwritten struct {
	base  string
	now   time.Time
	env   Envelope
	trace int
	data  []byte     // of the file
	e     *entry     // nil: it is not in the index yet
	gen   uint64     // of the journal; 0: it is not there
	done  chan error // of who waits for the journal; holds one
}

// behind is what a store has of them. Its lock is the store's.
type behind struct {
	fresh     []*unwritten // in the order of their coming
	unplaced  []*unwritten // in the index; those whose mails were deleted are passed over
	waiting   []*unwritten // for the journal
	gone      []string     // names of deleted mails, for the journal
	mails     int          // of all that have no file yet
	bytes     int64
	published int                 // mails without those that wait
	ending    bool                // nothing more is published
	err       error               // why the last file could not be made
	leaving   map[string]struct{} // ids of deleted mails whose file may come yet
	moved     chan struct{}       // closed when something of this changes; nil: nobody waits
	wake      chan struct{}       // of the goroutine; holds one
	done      chan struct{}       // it has ended; nil: there is none
	commit    chan struct{}       // wakes who commits; holds one
	committed chan struct{}       // that has ended; nil: there is none
	before    func()              // of tests: it is called before a file is made
}

// behindRetry is how long after a failure a file is tried again.
const behindRetry = time.Second

// accept takes a mail whose file is d.head. d.base is its name.
func (s *Store) accept(ctx context.Context, d *delivery, env Envelope) error {
	u := &unwritten{base: d.base, now: d.now, env: env, trace: int(d.trace), data: bytes.Clone(d.head.Bytes())}
	if int64(len(u.data))-d.trace > s.limits.MessageBytes {
		return ErrTooLarge
	}
	if !s.options.NoSync {
		return s.submit(ctx, d, u)
	}
	if s.mu.TryLock() {
		ok := !s.closed && s.behindRoom(u) && s.hasRoom(1, int64(len(u.data)))
		if ok {
			s.take(u)
			d.mail.ID = idOf(d.base)
		}
		s.mu.Unlock()
		if ok {
			return nil
		}
	}
	return d.block(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.await(ctx, u); err != nil {
			return err
		}
		s.take(u)
		d.mail.ID = idOf(d.base)
		return nil
	})
}

// await waits until there is room for a mail. The lock is held, and given up meanwhile.
func (s *Store) await(ctx context.Context, u *unwritten) error {
	for !s.closed && !s.behindRoom(u) && s.behind.err == nil {
		moved := s.behindMoved()
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if err := s.behind.err; err != nil {
		return fmt.Errorf("mails that were taken can't be written: %w", err)
	}
	s.absorbLocked() // what has come may be what is to be dropped
	if err := s.claimLocked(1, int64(len(u.data))); err != nil {
		return err
	}
	s.claims-- // reserve has it
	s.claimed -= int64(len(u.data))
	return nil
}

// behindRoom reports whether there is room in memory.
func (s *Store) behindRoom(u *unwritten) bool {
	b := &s.behind
	return b.err == nil &&
		(b.mails == 0 || b.mails < s.limits.Behind && b.bytes+int64(len(u.data)) <= s.limits.BehindBytes)
}

// take puts a mail where absorb finds it. The lock is held.
func (s *Store) take(u *unwritten) {
	s.reserve(u)
	s.publish(u)
}

// reserve holds room for a mail, and unreserve gives it back. The lock is held.
func (s *Store) reserve(u *unwritten) {
	s.behind.mails++
	s.behind.bytes += int64(len(u.data))
	s.claims++
	s.claimed += int64(len(u.data))
}

func (s *Store) unreserve(u *unwritten) {
	s.behind.mails--
	s.behind.bytes -= int64(len(u.data))
	s.claims--
	s.claimed -= int64(len(u.data))
}

// publish has a mail go into the index, and get its file. The lock is held.
func (s *Store) publish(u *unwritten) {
	s.behind.published++
	s.behind.fresh = append(s.behind.fresh, u)
	nudge(s.behind.wake)
}

// lock locks the store for who looks at the index: all that was taken is in it.
func (s *Store) lock() {
	s.mu.Lock()
	s.absorbLocked()
}

// absorbLocked puts into the index what has come. The lock is held.
func (s *Store) absorbLocked() {
	for len(s.behind.fresh) > 0 {
		u := s.behind.fresh[0]
		s.absorb(u, summarize(u.data[u.trace:], s.limits.Letter))
	}
}

// absorb puts the mail that has come first into the index. The lock is held.
func (s *Store) absorb(u *unwritten, m Mail) {
	b := &s.behind
	b.fresh[0] = nil
	b.fresh = b.fresh[1:]
	b.unplaced = append(b.unplaced, u)
	size := int64(len(u.data))
	u.e = &entry{Mail: m, base: u.base, dir: newDir, prefix: int64(u.trace), file: size, ours: true, behind: true,
		gen: u.gen}
	u.e.envelope(u.env)
	u.e.ID, u.e.Received, u.e.Unread = idOf(u.base), u.now.Truncate(time.Millisecond), true
	u.e.Size = size - int64(u.trace)
	s.claims--
	s.claimed -= size
	s.count.Caught++
	s.index.add(u.e)
	s.hand(u.e)
}

// behindMoved is closed when something changes. The lock is held.
func (s *Store) behindMoved() chan struct{} {
	if s.behind.moved == nil {
		s.behind.moved = make(chan struct{})
	}
	return s.behind.moved
}

func (s *Store) behindChanged() {
	if s.behind.moved != nil {
		close(s.behind.moved)
		s.behind.moved = nil
	}
}

// settled returns when the mail has its file. The lock is held, and given up meanwhile.
func (s *Store) settled(e *entry) error {
	for e.behind {
		if s.behind.err != nil {
			return fmt.Errorf("mailcatch: the mail has no file yet: %w", s.behind.err)
		}
		moved := s.behindMoved()
		s.mu.Unlock()
		<-moved
		s.mu.Lock()
	}
	return nil
}

// withdraw has no file come of a mail. The lock is held.
func (s *Store) withdraw(e *entry) { s.behind.leaving[e.ID] = struct{}{} }

// writeBehind makes files until the store is closed and none is to be made any more.
func (s *Store) writeBehind() {
	b := &s.behind
	defer close(b.done)
	for {
		s.absorbAll()
		s.mu.Lock()
		ending := b.ending
		all := b.unplaced
		b.unplaced = nil
		s.mu.Unlock()
		if len(all) == 0 {
			if ending {
				return
			}
			<-b.wake
			continue
		}
		if !s.placeAll(all) {
			return
		}
	}
}

// absorbAll puts into the index what has come, reading it without the lock.
func (s *Store) absorbAll() {
	some := false
	for {
		s.mu.Lock()
		if len(s.behind.fresh) == 0 {
			s.mu.Unlock()
			break
		}
		u := s.behind.fresh[0]
		s.mu.Unlock()
		m := summarize(u.data[u.trace:], s.limits.Letter)
		s.mu.Lock()
		if u.e == nil { // else somebody was here meanwhile
			s.absorb(u, m)
		}
		s.mu.Unlock()
		some = true
	}
	if some {
		s.tell()
	}
}

// placeAll makes files of all. It returns false when the store is closed and one can't be made.
func (s *Store) placeAll(all []*unwritten) bool {
	for i, u := range all {
		for {
			err := s.place(u)
			if err == nil {
				break
			}
			select {
			case <-time.After(behindRetry):
			case <-s.stop:
				return false
			}
		}
		all[i] = nil
		if i%placesAtOnce == 0 {
			s.absorbAll()
		}
	}
	return true
}

// placesAtOnce is how many files are made until those who wait for mail, or watch the list, are told of what has come
// meanwhile.
const placesAtOnce = 64

// place makes a mail's file, or notes why that can't be.
func (s *Store) place(u *unwritten) error {
	b := &s.behind
	s.mu.Lock()
	_, gone := b.leaving[u.e.ID]
	s.mu.Unlock()
	var err error
	s.step("place")
	if b.before != nil {
		b.before()
	}
	if !gone {
		err = s.writeFile(u)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.behindChanged()
	if err != nil {
		if b.err == nil {
			s.log.Error("mailcatch: mails that were taken can't be written: others are refused until they can", "err", err)
		}
		b.err = err
		return err
	}
	if b.err != nil {
		s.log.Info("mailcatch: mails can be written again")
		b.err = nil
	}
	if _, late := b.leaving[u.e.ID]; late {
		if !gone {
			_ = s.root.Remove(u.e.path()) // another program may have deleted it
		}
		delete(b.leaving, u.e.ID)
	}
	u.e.behind = false
	b.published--
	b.mails--
	b.bytes -= int64(len(u.data))
	return nil
}

// writeFile makes a mail's file.
func (s *Store) writeFile(u *unwritten) error {
	f, err := s.folders.create(u.base)
	if err != nil {
		return err
	}
	_, err = f.Write(u.data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.folders.publish(u.base)
	}
	if err != nil {
		_ = s.root.Remove(tmpDir + "/" + u.base) // the next try makes it anew
	}
	return err
}
