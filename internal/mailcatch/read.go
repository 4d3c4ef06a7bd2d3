package mailcatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Lookup returns what the list has of a mail, or ErrNoMail.
func (s *Store) Lookup(id string) (Mail, error) {
	s.lock()
	defer s.mu.Unlock()
	e := s.index.byID[id]
	if e == nil {
		return Mail{}, ErrNoMail
	}
	return e.Mail, nil
}

// Read calls use with a mail as it was sent, without the trace, whose bytes are use's until it returns. So are use's as
// are Limits.Readers at once; others wait for their turn, or for the end of ctx.
func (s *Store) Read(ctx context.Context, id string, use func(m Mail, b []byte) error) error {
	select {
	case s.readers <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.readers }()
	m, b, err := s.load(id, s.limits.MessageBytes)
	if err != nil {
		return err
	}
	return use(m, b)
}

// load reads a mail's file behind its trace, up to most bytes.
func (s *Store) load(id string, most int64) (Mail, []byte, error) {
	m, err := s.Lookup(id)
	if err != nil {
		return m, nil, err
	}
	f, size, err := s.Raw(id)
	if err != nil {
		return m, nil, err
	}
	defer f.Close()
	b := make([]byte, min(size, most))
	n, err := io.ReadFull(f, b)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF { // then somebody cuts it
		return m, nil, fmt.Errorf("mailcatch: %w", err)
	}
	return m, b[:n], nil
}

// MarkRead marks mails as read, or unread, by the flag S: a mail that was read moves to cur. Ids of no mail are passed
// over.
func (s *Store) MarkRead(read bool, ids ...string) error {
	var failed error
	for _, id := range ids {
		s.lock()
		if e := s.index.byID[id]; e != nil && e.Unread == read {
			if err := s.settled(e); err != nil {
				failed = err
				s.mu.Unlock()
				continue
			}
			if s.index.byID[id] != e || e.Unread != read { // somebody was here meanwhile
				s.mu.Unlock()
				continue
			}
			f := found{base: e.base, dir: curDir, info: withSeen(e.info, read)}
			// With the lock held, so that two who mark it do not rename one after the other.
			if err := s.root.Rename(e.path(), f.path()); err == nil {
				s.moved(e, f)
			} else if !errors.Is(err, fs.ErrNotExist) { // then another program has moved it, as the next look shows
				failed = fmt.Errorf("mailcatch: %w", err)
			}
		}
		s.mu.Unlock()
	}
	s.tell()
	return failed
}

// withSeen is the rest of a file's name with the flag S, or without it. Flags stand in the order of their letters.
func withSeen(info string, seen bool) string {
	flags := []byte(strings.TrimPrefix(info, infoMark))
	flags = slices.DeleteFunc(flags, func(c byte) bool { return c == 'S' })
	if seen {
		flags = append(flags, 'S')
		slices.Sort(flags)
	}
	return infoMark + string(flags)
}

// Delete deletes mails, and returns how many there were.
func (s *Store) Delete(ids ...string) (n int, err error) {
	for _, id := range ids {
		was, failed := s.deleteOne(id)
		if was {
			n++
		}
		if failed != nil {
			err = fmt.Errorf("mailcatch: %w", failed)
		}
	}
	if n > 0 {
		s.tell()
	}
	return n, err
}

func (s *Store) deleteOne(id string) (was bool, err error) {
	s.lock()
	defer s.mu.Unlock()
	e := s.index.byID[id]
	if e == nil {
		return false, nil
	}
	if e.behind {
		s.forget(e)
		s.withdraw(e)
		s.index.remove(e)
		return true, nil
	}
	if err := s.deleteFile(e); err != nil {
		return false, err
	}
	s.forget(e)
	s.index.remove(e)
	return true, nil
}

// DeleteAll deletes all mails that the list has.
func (s *Store) DeleteAll() (n int, err error) {
	s.lock()
	ids := make([]string, 0, len(s.index.order))
	for _, e := range s.index.order {
		ids = append(ids, e.ID)
	}
	s.mu.Unlock()
	return s.Delete(ids...)
}

// DeleteFound deletes the mails that meet a query, as List finds them.
func (s *Store) DeleteFound(ctx context.Context, q Query) (n int, err error) {
	for before, more := uint64(0), true; more; {
		l, err := s.List(ctx, q, before, mostListed)
		if err != nil {
			return n, err
		}
		ids := make([]string, 0, len(l.Mails))
		for _, m := range l.Mails {
			ids = append(ids, m.ID)
			before = m.Number
		}
		deleted, err := s.Delete(ids...)
		if n += deleted; err != nil {
			return n, err
		}
		more = l.More
	}
	return n, nil
}

// deleteFile deletes a mail's file, wherever it is. The lock is held.
func (s *Store) deleteFile(e *entry) error {
	err := s.root.Remove(e.path())
	if errors.Is(err, fs.ErrNotExist) { // another program has moved it, or deleted it
		err = s.deleteMoved(e)
	}
	return err
}

// deleteMoved deletes a file that is not where it was known to be. The lock is held.
func (s *Store) deleteMoved(e *entry) error {
	for _, dir := range []string{curDir, newDir} {
		names, err := s.names(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if base, _, _ := strings.Cut(name, infoMark); base == e.base {
				return s.root.Remove(dir + "/" + name)
			}
		}
	}
	return nil
}

// Raw opens a mail as it was sent, of size bytes. The caller closes it.
func (s *Store) Raw(id string) (f *os.File, size int64, err error) {
	for again := false; ; again = true {
		s.lock()
		e := s.index.byID[id]
		if e == nil || s.closed {
			s.mu.Unlock()
			return nil, 0, ErrNoMail
		}
		if err := s.settled(e); err != nil {
			s.mu.Unlock()
			return nil, 0, err
		}
		path, prefix := e.path(), e.prefix
		s.mu.Unlock()
		f, info, err := s.openFile(path)
		if err == nil {
			if _, err = f.Seek(prefix, io.SeekStart); err == nil {
				return f, max(info.Size()-prefix, 0), nil
			}
			_ = f.Close() // it was read alone
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, fmt.Errorf("mailcatch: %w", err)
		}
		if again {
			return nil, 0, ErrNoMail
		}
		if err := s.rescan(); err != nil { // another program has moved it
			return nil, 0, fmt.Errorf("mailcatch: %w", err)
		}
	}
}
