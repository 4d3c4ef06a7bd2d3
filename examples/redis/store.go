package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// overhead is what a key, or a value in a list, counts besides its bytes.
const overhead = 64

// looked is how many keys each command that writes looks at, whether they have expired: so what nobody asks for any
// more goes too, some time.
const looked = 2

// A store is all that there is. Redis's rules: a list that is empty is no key.
type store struct {
	lock    sync.Mutex // with Go's net
	entries map[string]*entry
	used    int // bytes, by count
	most    int
	expires int          // how many entries have an end
	lent    atomic.Int32 // replies that are being sent with big values in them, from where those lie
	now     func() time.Time
}

// An entry is a string, or a list.
type entry struct {
	text []byte // not overwritten while it is big and lent
	list *list
	end  int64 // when it expires, in milliseconds of Unix time; 0: never
}

func newStore(most int) *store {
	return &store{entries: make(map[string]*entry), most: most, now: time.Now}
}

// find is the entry of a key, nil if there is none.
func (s *store) find(key []byte) *entry {
	e := s.entries[string(key)]
	if e != nil && e.end != 0 && e.end <= s.now().UnixMilli() {
		s.remove(string(key), e)
		return nil
	}
	return e
}

func (s *store) remove(key string, e *entry) {
	s.used -= len(key) + overhead + len(e.text)
	if e.list != nil {
		s.used -= e.list.bytes
	}
	s.setEnd(e, 0)
	delete(s.entries, key)
}

func (s *store) setEnd(e *entry, end int64) {
	if e.end != 0 {
		s.expires--
	}
	if e.end = end; end != 0 {
		s.expires++
	}
}

// expire looks at some keys, whichever come first.
func (s *store) expire() {
	if s.expires == 0 {
		return
	}
	n, now := 0, s.now().UnixMilli()
	for key, e := range s.entries {
		if e.end != 0 && e.end <= now {
			s.remove(key, e)
		}
		if n++; n == looked {
			return
		}
	}
}

// room reports whether n more bytes may be kept.
func (s *store) room(n int) bool { return s.used+n <= s.most }

// setText makes a key a string. It copies text.
func (s *store) setText(key, text []byte) *entry {
	e := s.entries[string(key)]
	if e == nil {
		e = new(entry)
		s.entries[string(key)] = e
		s.used += len(key) + overhead
	}
	if e.list != nil {
		s.used -= e.list.bytes
		e.list = nil
	}
	s.setEnd(e, 0)
	s.used += len(text) - len(e.text)
	if len(e.text) >= big && s.lent.Load() > 0 || cap(e.text) > 2*len(text)+overhead {
		e.text = nil
	}
	e.text = append(e.text[:0], text...)
	return e
}

// push puts values at an end of a key's list, which is made if there is none, and returns the list's length.
func (s *store) push(key []byte, left bool, values [][]byte) int {
	e := s.entries[string(key)]
	if e == nil {
		e = &entry{list: new(list)}
		s.entries[string(key)] = e
		s.used += len(key) + overhead
	}
	before := e.list.bytes
	for _, v := range values {
		e.list.push(left, append([]byte(nil), v...))
	}
	s.used += e.list.bytes - before
	return e.list.len()
}

// pop takes a value off an end of a key's list.
func (s *store) pop(key []byte, e *entry, left bool) []byte {
	before := e.list.bytes
	v := e.list.pop(left)
	s.used += e.list.bytes - before
	if e.list.len() == 0 {
		s.remove(string(key), e)
	}
	return v
}

// A list is two stacks, back to back: the first of the list is the top of left, or, if that is empty, the bottom of
// right.
type list struct {
	left, right [][]byte
	bytes       int // what it counts
}

func (l *list) len() int { return len(l.left) + len(l.right) }

func (l *list) at(i int) []byte {
	if n := len(l.left); i < n {
		return l.left[n-1-i]
	}
	return l.right[i-len(l.left)]
}

func (l *list) push(left bool, v []byte) {
	l.bytes += len(v) + overhead
	if left {
		l.left = append(l.left, v)
	} else {
		l.right = append(l.right, v)
	}
}

// pop is for a list that is not empty.
func (l *list) pop(left bool) []byte {
	from, other := &l.right, &l.left
	if left {
		from, other = other, from
	}
	if len(*from) == 0 { // half of the other one comes over, so that ends in turn cost no more
		half := (len(*other) + 1) / 2
		for i := half - 1; i >= 0; i-- {
			*from = append(*from, (*other)[i])
		}
		*other = append([][]byte(nil), (*other)[half:]...)
	}
	last := len(*from) - 1
	v := (*from)[last]
	(*from)[last] = nil
	*from = (*from)[:last]
	l.bytes -= len(v) + overhead
	return v
}
