package mailcatch

import (
	"context"
	"fmt"
	"time"
)

// journals reports whether mails go by the journal.
func (s *Store) journals() bool { return s.journal != nil && !s.broken.Load() }

// submit takes a mail by the journal: it returns when that is synced.
func (s *Store) submit(ctx context.Context, d *delivery, u *unwritten) error {
	u.done = make(chan error, 1)
	return d.block(ctx, func() error {
		s.mu.Lock()
		err := s.await(ctx, u)
		if err == nil {
			s.reserve(u)
			s.behind.waiting = append(s.behind.waiting, u)
			nudge(s.behind.commit)
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if err := <-u.done; err != nil {
			return err
		}
		d.mail.ID = idOf(d.base)
		return nil
	})
}

// forget has a mail not come back from the journal. The lock is held.
func (s *Store) forget(e *entry) {
	if s.journal != nil && e.gen == s.journal.gen {
		s.behind.gone = append(s.behind.gone, e.base)
		nudge(s.behind.commit)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// commitAll writes the journal, until the store is closed and nothing waits.
func (s *Store) commitAll() {
	b, j := &s.behind, s.journal
	defer close(b.committed)
	idle := time.NewTimer(idleCheck)
	defer idle.Stop()
	for {
		s.mu.Lock()
		batch, gone, closed := b.waiting, b.gone, s.closed
		b.waiting, b.gone = nil, nil
		s.mu.Unlock()
		switch {
		case len(batch) > 0 || len(gone) > 0:
			s.commit(batch, gone)
			idle.Reset(idleCheck)
			continue
		case closed:
			return
		}
		select {
		case <-b.commit:
		case <-idle.C:
			if j.off > 0 && !s.broken.Load() {
				s.checkpoint()
			}
		}
	}
}

// commit writes records, and has the mails go on.
func (s *Store) commit(batch []*unwritten, gone []string) {
	j := s.journal
	j.buf = j.buf[:0]
	for _, base := range gone {
		j.buf = appendRecord(j.buf, j.gen, 'd', 0, base, nil)
	}
	for _, u := range batch {
		j.buf = appendRecord(j.buf, j.gen, 'm', u.trace, u.base, u.data)
	}
	var err error
	if s.broken.Load() {
		err = errNoJournal
	} else if err = j.write(s); err != nil {
		s.giveUp(err)
	}
	s.mu.Lock()
	for _, u := range batch {
		if err != nil {
			s.unreserve(u)
			continue
		}
		u.gen = j.gen
		s.publish(u)
	}
	s.behindChanged()
	s.mu.Unlock()
	for _, u := range batch {
		u.done <- err
	}
	if cap(j.buf) > 4<<20 {
		j.buf = nil // a burst has made it larger
	}
	if err == nil && j.off > s.limits.JournalBytes {
		s.checkpoint()
	}
}

// errNoJournal is for who had waited for a journal that is broken by then; the sender tries again.
var errNoJournal = fmt.Errorf("the journal can't be written")

// giveUp ends the journal. What it has stays there, for the next who opens the store, unless it can be voided.
func (s *Store) giveUp(err error) {
	s.broken.Store(true)
	s.log.Error("mailcatch: the journal can't be written: each mail is synced on its own from now on", "err", err)
}

// checkpoint voids the journal, when all that it has have files.
func (s *Store) checkpoint() {
	b := &s.behind
	s.mu.Lock()
	for b.published > 0 {
		moved := s.behindMoved()
		s.mu.Unlock()
		select {
		case <-moved:
		case <-s.stop: // Close does it, when the files are there
			return
		}
		s.mu.Lock()
	}
	s.mu.Unlock()
	if err := s.journal.void(s); err != nil {
		s.giveUp(err)
	}
}

// closeJournal ends the journal, when nothing is written any more. It is removed when all that it has are on the disk.
func (s *Store) closeJournal(all bool) error {
	j := s.journal
	if all {
		if err := j.void(s); err == nil {
			_ = s.root.Remove(journalName) // an empty one is in nobody's way
		} else {
			s.log.Error("mailcatch: the journal stays, since files can't be synced", "err", err)
		}
	}
	return j.f.Close()
}
