package mailcatch

import (
	"os"
	"sync"
)

// A dirSync syncs a directory for all who have put a file there, as many at once as have come while the last sync went
// on: a sync covers what was renamed before it began.
type dirSync struct {
	dir  *os.File
	work sync.Mutex // held by who syncs
	mu   sync.Mutex
	next *round
}

// A round is a sync that has not begun.
type round struct {
	done chan struct{}
	err  error
}

// sync returns when all that was renamed into the directory is on the disk.
func (d *dirSync) sync() error {
	d.mu.Lock()
	r := d.next
	if r != nil {
		d.mu.Unlock()
		<-r.done
		return r.err
	}
	r = &round{done: make(chan struct{})}
	d.next = r
	d.mu.Unlock()

	d.work.Lock()
	d.mu.Lock()
	d.next = nil // who comes now may have renamed too late
	d.mu.Unlock()
	r.err = syncDir(d.dir)
	d.work.Unlock()
	close(r.done)
	return r.err
}

func (d *dirSync) close() error {
	d.work.Lock()
	defer d.work.Unlock()
	return d.dir.Close()
}
