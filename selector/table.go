//go:build !windows

package selector

// table holds the entries by descriptor. Unix gives out the lowest free descriptor, so that a slice
// with the descriptor as its index is dense, and a look-up costs one comparison. It grows in steps and
// does not shrink: its size follows the highest descriptor that was ever registered.
type table struct {
	entries []entry
	n       int
}

func (t *table) len() int { return t.n }

// at returns the entry, or nil. It stays valid until the next put.
func (t *table) at(fd int) *entry {
	if uint(fd) >= uint(len(t.entries)) || t.entries[fd].serial == 0 {
		return nil
	}
	return &t.entries[fd]
}

func (t *table) put(fd int, e entry) {
	if fd >= len(t.entries) {
		grown := make([]entry, max(64, 2*len(t.entries), (fd|63)+1))
		copy(grown, t.entries)
		t.entries = grown
	}
	if t.entries[fd].serial == 0 {
		t.n++
	}
	t.entries[fd] = e
}

func (t *table) remove(fd int) {
	t.entries[fd] = entry{}
	t.n--
}

// after returns the first entry with a higher descriptor, or nil.
func (t *table) after(fd int) (int, *entry) {
	for fd++; fd < len(t.entries); fd++ {
		if t.entries[fd].serial != 0 {
			return fd, &t.entries[fd]
		}
	}
	return -1, nil
}

// all goes through the entries; put and remove are not allowed meanwhile.
func (t *table) all(yield func(int, *entry) bool) {
	for fd := range t.entries {
		if e := &t.entries[fd]; e.serial != 0 && !yield(fd, e) {
			return
		}
	}
}
