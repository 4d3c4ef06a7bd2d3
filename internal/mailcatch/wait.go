package mailcatch

import (
	"context"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/internal/letter"
)

// A Want is a mail that somebody waits for. All of it must be met.
type Want struct {
	// To and From are patterns of addresses: * stands for any characters and ? for one, in whatever case. To is met by a
	// recipient of the envelope or an address of To or Cc, From by the sender or an address of From. "": any.
	To, From string
	// Subject is a part of the subject, in whatever case.
	Subject string
	// After is a number: only mails that came behind that one are meant, the first of them first. If it is not set, the
	// newest one that is there is taken.
	After *uint64
}

// A waiter waits. got has room for one mail, and is closed when the store is.
type waiter struct {
	want Want
	got  chan Mail
}

// Wait returns a mail that is wanted: one that is there, or the next that comes. Its error is the end of ctx,
// ErrTooMany or ErrClosed.
func (s *Store) Wait(ctx context.Context, want Want) (Mail, error) {
	w := &waiter{want, make(chan Mail, 1)}
	s.lock()
	if s.closed {
		s.mu.Unlock()
		return Mail{}, ErrClosed
	}
	if e := s.index.wanted(want); e != nil {
		m := e.Mail
		s.mu.Unlock()
		return m, nil
	}
	if len(s.waiters) >= s.limits.Waiters {
		s.count.Waits++
		s.mu.Unlock()
		return Mail{}, ErrTooMany
	}
	s.waiters[w] = struct{}{}
	s.mu.Unlock()
	select {
	case m, ok := <-w.got:
		if !ok {
			return Mail{}, ErrClosed
		}
		return m, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	delete(s.waiters, w)
	s.mu.Unlock()
	select {
	case m, ok := <-w.got: // it came in the same moment
		if ok {
			return m, nil
		}
	default:
	}
	return Mail{}, context.Cause(ctx)
}

// Waiting is how many wait.
func (s *Store) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiters)
}

// hand gives a mail to all who wait for it. The store's lock is held.
func (s *Store) hand(e *entry) {
	for w := range s.waiters {
		if w.want.met(e) {
			w.got <- e.Mail
			delete(s.waiters, w)
		}
	}
}

// wanted finds a mail that is there; nil: none.
func (x *index) wanted(want Want) *entry {
	if want.After != nil {
		return x.oldest(want.met)
	}
	for _, e := range slices.Backward(x.order) {
		if want.met(e) {
			return e
		}
	}
	return nil
}

func (w Want) met(e *entry) bool {
	if w.After != nil && e.Number <= *w.After {
		return false
	}
	if w.Subject != "" && !contains(e.Subject, strings.ToLower(w.Subject)) {
		return false
	}
	if w.From != "" && !glob(w.From, e.Sender) && !glob(w.From, e.From.Address) {
		return false
	}
	in := func(a letter.Address) bool { return glob(w.To, a.Address) }
	return w.To == "" || slices.ContainsFunc(e.Recipients, func(to string) bool { return glob(w.To, to) }) ||
		slices.ContainsFunc(e.To, in) || slices.ContainsFunc(e.Cc, in)
}

// glob reports whether s is what the pattern says: * is any characters, ? is one, letters are of any case. It takes at
// most len(pattern)·len(s) steps.
func glob(pattern, s string) bool {
	pattern, s = strings.ToLower(pattern), strings.ToLower(s)
	p, i := 0, 0
	star, from := -1, 0 // the last *, and where what it stands for ends
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p, i = p+1, i+1
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
