package selector

import "slices"

// table holds the entries by socket handle. Windows promises nothing about the size of those, so that
// it is a map here; select holds few enough of them.
type table struct {
	entries map[int]*entry
}

func (t *table) len() int { return len(t.entries) }

func (t *table) at(fd int) *entry { return t.entries[fd] }

func (t *table) put(fd int, e entry) {
	if t.entries == nil {
		t.entries = make(map[int]*entry)
	}
	t.entries[fd] = &e
}

func (t *table) remove(fd int) { delete(t.entries, fd) }

// after returns the first entry with a higher descriptor, or nil.
func (t *table) after(fd int) (int, *entry) {
	next := -1
	for k := range t.entries {
		if k > fd && (next < 0 || k < next) {
			next = k
		}
	}
	return next, t.entries[next]
}

// all goes through the entries, in ascending order.
func (t *table) all(yield func(int, *entry) bool) {
	fds := make([]int, 0, len(t.entries))
	for fd := range t.entries {
		fds = append(fds, fd)
	}
	slices.Sort(fds)
	for _, fd := range fds {
		if !yield(fd, t.entries[fd]) {
			return
		}
	}
}
