package mailcatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// With Options.Behind and without NoSync a mail is taken when it is in the journal and that was synced, once for all
// mails that have come while the last sync went on. Files are made behind that, without fsync, as behind.go has it:
//
//	Deliver: room claimed ─▶ waiting
//	commit:  records of all that wait, written, synced ─▶ fresh ─▶ Deliver returns
//	place:   tmp ─▶ new, as without fsync
//	checkpoint, when the journal is full or nothing comes: all files made ─▶ their file system synced ─▶ the journal void
//
// What a record is of whose file is not there, or not the same, when the store is opened is made again. A mail that
// was deleted has a record, too; one that another program has deleted may come back if the process is killed before
// the next checkpoint.
//
// A record is, in big endian:
//
//	sum (4)   of what follows, CRC-32C
//	len (4)   of what follows behind it
//	gen (8)   that of the records before it, or they are of another time
//	kind (1)  'm' a mail, 'd' a deletion
//	trace (4) length of the trace
//	base (2)  length of the name, then the name, then the file
//
// A sync that fails ends the journal: who waits is refused, and mails that come are synced one by one.

// journalName is the journal's file, in the folder of the Maildir.
const journalName = "plexor-journal"

const (
	recordHead  = 4 + 4 + 8 + 1 + 4 + 2
	journalStep = 1 << 20         // the file grows by so much, of zeros, so that most syncs change no size
	idleCheck   = 5 * time.Second // nothing has come for so long: a checkpoint
	mostName    = 255
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A journal is the open file. It is the committing goroutine's, but for gen.
type journal struct {
	f         *os.File
	off, size int64
	gen       uint64 // of the records; the store's lock is held to change it
	buf       []byte
	sync      func() error // of tests: in place of fdatasync
}

// appendRecord adds a record to b.
func appendRecord(b []byte, gen uint64, kind byte, trace int, base string, data []byte) []byte {
	begin := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(recordHead-8+len(base)+len(data)))
	b = binary.BigEndian.AppendUint64(b, gen)
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(trace))
	b = binary.BigEndian.AppendUint16(b, uint16(len(base)))
	b = append(append(b, base...), data...)
	binary.BigEndian.PutUint32(b[begin:], crc32.Checksum(b[begin+4:], castagnoli))
	return b
}

// A logged is a record that was read.
type logged struct {
	gen  uint64
	kind byte
	base string
	data []byte
}

// readRecord reads the record at the begin of b. ok is false if there is none.
func readRecord(b []byte) (r logged, rest []byte, ok bool) {
	if len(b) < recordHead {
		return r, nil, false
	}
	n := int64(binary.BigEndian.Uint32(b[4:]))
	if n < recordHead-8 || n > int64(len(b)-8) || crc32.Checksum(b[4:8+n], castagnoli) != binary.BigEndian.Uint32(b) {
		return r, nil, false
	}
	rest, b = b[8+n:], b[8:8+n]
	r.gen, r.kind = binary.BigEndian.Uint64(b), b[8]
	name := int(binary.BigEndian.Uint16(b[13:]))
	if b = b[15:]; name > len(b) || name > mostName {
		return r, nil, false
	}
	r.base, r.data = string(b[:name]), b[name:]
	if strings.ContainsAny(r.base, "/\\\x00") || !strings.Contains(r.base, ourMark) {
		return r, nil, false
	}
	return r, rest, true
}

// openJournal opens the journal, makes the files again that it has and the folders have not, and begins it anew. Where
// there can't be one, or another process has it, there is none.
func (s *Store) openJournal() error {
	if !canJournal {
		return nil
	}
	if info, err := s.root.Lstat(journalName); err == nil && !info.Mode().IsRegular() { // a symbolic link too
		return fmt.Errorf("%s is no regular file: %w", journalName, fs.ErrInvalid)
	}
	f, err := s.root.OpenFile(journalName, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file: %w", journalName, fs.ErrInvalid)
	}
	if err == nil && !lockFile(f) {
		s.log.Warn("mailcatch: another process has the journal of this Maildir, so each mail is synced on its own")
		return f.Close()
	}
	j := &journal{f: f, gen: uint64(time.Now().UnixNano())}
	if err == nil {
		j.size = info.Size()
		err = s.restore(j)
	}
	if err != nil {
		_ = f.Close() // err is the one to tell
		return fmt.Errorf("%s: %w", journalName, err)
	}
	s.journal = j
	return nil
}

// restore makes the files again that the journal has.
func (s *Store) restore(j *journal) error {
	b, err := io.ReadAll(j.f)
	if err != nil {
		return err
	}
	var order []string
	mails := make(map[string][]byte)
	gen := uint64(0)
	for {
		r, rest, ok := readRecord(b)
		if !ok || gen != 0 && r.gen != gen {
			break
		}
		gen, b = r.gen, rest
		if r.kind == 'd' {
			delete(mails, r.base)
			continue
		}
		order = append(order, r.base)
		mails[r.base] = r.data
	}
	if gen == 0 {
		return nil
	}
	paths := make(map[string]string) // by base
	for _, dir := range []string{newDir, curDir} {
		names, err := s.names(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			base, _, _ := strings.Cut(name, infoMark)
			paths[base] = dir + "/" + name
		}
	}
	made := 0
	for _, base := range order {
		data, ok := mails[base]
		if !ok || paths[base] != "" && s.hasFile(paths[base], data) {
			continue
		}
		to := paths[base]
		if to == "" {
			to = newDir + "/" + base
		}
		if err := s.remake(base, to, data); err != nil {
			return err
		}
		made++
	}
	if made > 0 {
		s.log.Info("mailcatch: mails that had no file yet have one", "mails", made)
	}
	return j.void(s)
}

// hasFile reports whether a file is there with this in it.
func (s *Store) hasFile(path string, data []byte) bool {
	f, info, err := s.openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if info.Size() != int64(len(data)) {
		return false
	}
	b, err := io.ReadAll(f)
	return err == nil && string(b) == string(data)
}

// remake makes a file in the place of what is there.
func (s *Store) remake(base, to string, data []byte) error {
	tmp := tmpDir + "/" + base
	if err := s.root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.root.Rename(tmp, to)
}

// void forgets the records, all of whose files are there: first these are on the disk.
func (j *journal) void(s *Store) error {
	s.step("checkpoint")
	if err := syncAll(s.dirs.dir); err != nil {
		return err
	}
	s.step("files synced")
	if _, err := j.f.WriteAt(make([]byte, recordHead), 0); err != nil {
		return err
	}
	if err := j.datasync(); err != nil {
		return err
	}
	s.step("void")
	s.mu.Lock()
	defer s.mu.Unlock()
	j.off = 0
	j.gen++
	return nil
}

func (j *journal) datasync() error {
	if j.sync != nil {
		return j.sync()
	}
	return datasync(j.f)
}

// write writes j.buf and syncs it.
func (j *journal) write(s *Store) error {
	end := j.off + int64(len(j.buf))
	for j.size < end {
		n, err := j.f.WriteAt(make([]byte, journalStep), j.size)
		j.size += int64(n)
		if err != nil {
			return err
		}
	}
	if _, err := j.f.WriteAt(j.buf, j.off); err != nil {
		return err
	}
	s.step("record written")
	if err := j.datasync(); err != nil {
		return err
	}
	j.off = end
	s.step("record synced")
	return nil
}

// step is for tests, which end the process there.
func (s *Store) step(name string) {
	if s.options.step != nil {
		s.options.step(name)
	}
}
