package mailcatch

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/internal/letter"
)

// names are those in a folder of the Maildir, but hidden ones.
func (s *Store) names(dir string) ([]string, error) {
	f, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") }), err
}

// scanShare is the part of the time that looking at the directory may take: a large one is looked at less often.
const scanShare = 20

// lookAgain looks at the directory from time to time, until the store is closed.
func (s *Store) lookAgain() {
	defer close(s.done)
	every := s.options.Rescan
	if every < 0 {
		<-s.stop
		return
	}
	orElse(&every, 2*time.Second)
	timer := time.NewTimer(every)
	defer timer.Stop()
	failed := false
	var l looker
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		began := time.Now()
		_, err := l.look(s, began)
		if err != nil && !failed {
			s.log.Warn("mailcatch: the maildir can't be read; no more is said until it can", "err", err)
		}
		failed = err != nil
		timer.Reset(max(every, scanShare*time.Since(began)))
	}
}

// A looker knows what it has seen of the folders.
type looker struct {
	times [2]time.Time // when new and cur have changed last
	at    time.Time    // of the look
}

// clockSlack is how long before a look a folder must have changed last for its time to tell that nothing has come
// since: file systems have clocks of up to a second.
const clockSlack = 2 * time.Second

// look is rescan, unless the folders have not changed. looked tells.
func (l *looker) look(s *Store, now time.Time) (looked bool, err error) {
	var times [2]time.Time
	for i, dir := range []string{newDir, curDir} {
		info, err := s.root.Lstat(dir)
		if err != nil {
			return false, err
		}
		times[i] = info.ModTime()
	}
	if times == l.times && !s.missed.Load() && l.at.Sub(times[0]) > clockSlack && l.at.Sub(times[1]) > clockSlack {
		return false, nil
	}
	if err := s.rescan(); err != nil {
		return true, err
	}
	l.times, l.at = times, now
	return true, nil
}

// A found is a file that was seen in the directory.
type found struct{ base, dir, info string }

// rescan looks at the directory, and makes the index that of what is there.
func (s *Store) rescan() error {
	s.mu.Lock()
	last := s.index.last // what comes later may not be in the lists below
	s.mu.Unlock()
	s.missed.Store(false)
	files := make(map[string]found) // by id
	for _, dir := range []string{newDir, curDir} {
		names, err := s.names(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			f := found{base: name, dir: dir}
			if i := strings.LastIndex(name, infoMark); i > 0 {
				f.base, f.info = name[:i], name[i:]
			}
			files[idOf(f.base)] = f // in both: it was moved while we looked, and cur is where it is
		}
	}
	fresh, changed := s.compare(files, last)
	added := s.addFound(fresh)
	if changed || added {
		s.tell()
	}
	return nil
}

// compare takes out of the index what is gone, notes what was moved, and returns what is new.
func (s *Store) compare(files map[string]found, last uint64) (fresh map[string]found, changed bool) {
	s.lock()
	defer s.mu.Unlock()
	for _, e := range slices.Clone(s.index.order) {
		f, ok := files[e.ID]
		switch {
		case ok && (f.dir != e.dir || f.info != e.info):
			if !s.there(e) { // else we have moved it since the lists were read
				s.moved(e, f)
				changed = true
			}
		case !ok && e.Number <= last && !e.behind && !s.there(e):
			s.index.remove(e)
			changed = true
		}
	}
	fresh = make(map[string]found)
	for id, f := range files {
		if _, leaving := s.behind.leaving[id]; !leaving && s.index.byID[id] == nil {
			fresh[id] = f
		}
	}
	return fresh, changed
}

// there reports whether the file is where it was known to be: it may have been moved while we looked.
func (s *Store) there(e *entry) bool {
	_, err := s.root.Lstat(e.path())
	return !errors.Is(err, fs.ErrNotExist) // no descriptor is left, say: the next look shows
}

// moved notes where a file is now. The lock is held.
func (s *Store) moved(e *entry, f found) {
	e.dir, e.info = f.dir, f.info
	if unread := !f.seen(); unread != e.Unread {
		e.Unread = unread
		if unread {
			s.index.unread++
		} else {
			s.index.unread--
		}
	}
}

// seen reports whether somebody has read it: it has the flag S.
func (f found) seen() bool { return f.dir == curDir && strings.Contains(f.info, "S") }

// addFound adds the newest of what was found, as far as there is room.
func (s *Store) addFound(fresh map[string]found) (added bool) {
	type candidate struct {
		found
		id   string
		info fs.FileInfo
	}
	var all []candidate
	for id, f := range fresh {
		info, err := s.root.Lstat(f.path())
		if err == nil && info.Mode().IsRegular() {
			all = append(all, candidate{f, id, info})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if c := a.info.ModTime().Compare(b.info.ModTime()); c != 0 {
			return c
		}
		return strings.Compare(a.base, b.base)
	})
	s.mu.Lock()
	mails, bytes := s.limits.Messages-len(s.index.order)-s.claims, s.limits.Bytes-s.index.bytes-s.claimed
	s.mu.Unlock()
	from := len(all)
	for ; from > 0 && mails > 0 && bytes >= all[from-1].info.Size(); from-- {
		mails--
		bytes -= all[from-1].info.Size()
	}
	for _, c := range all[from:] {
		e, err := s.readFound(c.found, c.id)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoFile) {
				s.missed.Store(true) // nobody may read it, or no descriptor is left: it is looked at again
			}
			continue
		}
		s.mu.Lock()
		if s.index.byID[e.ID] == nil && !s.closed {
			s.index.add(e)
			s.hand(e)
			added = true
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.count.Unlisted = int64(from)
	s.mu.Unlock()
	return added
}

func (f found) path() string { return f.dir + "/" + f.base + f.info }

// readFound makes an entry of a file.
func (s *Store) readFound(f found, id string) (*entry, error) {
	file, info, err := s.openFile(f.path())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := make([]byte, min(info.Size(), headBytes+4<<10))
	n, err := io.ReadFull(file, b)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	b = b[:n]
	env, prefix, ours, whole := readTrace(b)
	if !whole && info.Size() > int64(n) {
		more, err := io.ReadAll(io.LimitReader(file, mostTrace))
		if err != nil {
			return nil, err
		}
		b = append(b, more...)
		env, prefix, ours, _ = readTrace(b)
	}
	e := &entry{base: f.base, dir: f.dir, info: f.info, prefix: int64(prefix), file: info.Size(),
		ours: strings.Contains(f.base, ourMark)}
	e.Mail = summarize(b[prefix:], s.limits.Letter)
	if !ours {
		h, _ := letter.ReadHeader(b, s.limits.Letter)
		env = envelopeOf(h)
	}
	e.envelope(env)
	e.ID, e.Received, e.Unread = id, info.ModTime().Truncate(time.Millisecond), !f.seen()
	e.Size = info.Size() - e.prefix
	return e, nil
}

// errNoFile is what has the name of a mail and is none.
var errNoFile = errors.New("mailcatch: it is no regular file")

// openFile opens a mail's file. What is no regular file is refused, and does not hold us: a FIFO is opened without a
// wait.
func (s *Store) openFile(path string) (*os.File, fs.FileInfo, error) {
	if info, err := s.root.Lstat(path); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() { // a symbolic link too
		return nil, nil, errNoFile
	}
	f, err := s.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() { // it was put in its place meanwhile
		err = errNoFile
	}
	if err != nil {
		_ = f.Close() // it was read alone
		return nil, nil, err
	}
	return f, info, nil
}
