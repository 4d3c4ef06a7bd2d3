// Package mailcatch catches mail for who develops and tests: whatever is delivered is kept in a Maildir, shown on a
// page, told by REST, and sent to nobody. [Store] is the Maildir with an index in memory, [Faults] are rules by which
// an SMTP server refuses, delays and cuts, and [Page] is an http.Handler with both.
//
// What is in a mail is hostile. Nothing of it is fetched, run or believed: the page shows text as text, and HTML in a
// frame that runs and loads nothing.
package mailcatch

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/letter"
)

// Limits bound what a [Store] holds. The zero value of a field means its default.
type Limits struct {
	// Messages is how many mails are kept and listed (default 10,000, of which the index takes some 10 MiB, and up to
	// 200 MiB where each has all that an index keeps). Those beyond are refused, unless Options.DropOldest is set. Of
	// what others have put into the directory the newest are listed.
	Messages int
	// Bytes is how much the mails that are listed may take (default 2 GiB). Those beyond are refused likewise.
	Bytes int64
	// MessageBytes is how long a mail may be (default 32 MiB: the common limit of 25 MB, in base64). It bounds the
	// memory of who looks at one too: of a longer one that others have put there the rest is not shown.
	MessageBytes int64
	// Readers is how many mails are in memory at once since somebody looks at them (default 4, so 128 MiB at the most).
	Readers int
	// Waiters is how many may wait for a mail at once (default 256). Each holds a request of the page's server.
	Waiters int
	// SearchBytes is how much of the mails a search for words reads from the disk, the newest first (default 64 MiB,
	// which take about a second).
	SearchBytes int64
	// TextBytes is how much of the texts stays in memory for the next search (default 32 MiB).
	TextBytes int64
	// Behind and BehindBytes are how many mails wait in memory for their files with Options.Behind, and their bytes
	// (default 4096 and 16 MiB: a second of a busy disk). The next one has its sender wait.
	Behind      int
	BehindBytes int64
	// JournalBytes is how long the journal gets without NoSync (default 16 MiB, some 12,000 mails of 1 KiB) until mails
	// wait for all files to be on the disk.
	JournalBytes int64
	// Letter bounds what is read of one mail.
	Letter letter.Limits
}

// WithDefaults returns the limits with each default filled in.
func (l Limits) WithDefaults() Limits {
	orElse(&l.Messages, 10_000)
	orElse(&l.Bytes, 2<<30)
	orElse(&l.MessageBytes, 32<<20)
	orElse(&l.Readers, 4)
	orElse(&l.Waiters, 256)
	orElse(&l.SearchBytes, 64<<20)
	orElse(&l.TextBytes, 32<<20)
	orElse(&l.Behind, 4096)
	orElse(&l.BehindBytes, 16<<20)
	orElse(&l.JournalBytes, 16<<20)
	l.Letter = l.Letter.WithDefaults()
	return l
}

func orElse[T int | int64 | time.Duration](field *T, def T) {
	if *field <= 0 {
		*field = def
	}
}

// Options are the choices of [Open]. The zero value of each means its default.
type Options struct {
	Limits Limits
	// NoSync leaves out the fsync of each mail: a mail that was taken may be lost when the machine stops, and a test is
	// done sooner.
	NoSync bool
	// Behind has mails of up to 64 KiB taken before they have files, which a goroutine makes. With NoSync they are in
	// memory then, and lost if the process is killed before; Limits.Behind bounds how many. Without it they are in a
	// journal that was synced, once for many of them; on Linux alone, elsewhere each mail is synced on its own.
	Behind bool
	// DropOldest deletes the oldest mails where there is no room, in place of a refusal. Only what this process has
	// caught, or who ran before it, is deleted: no file whose name another program has made.
	DropOldest bool
	// Block, if set, runs what may wait for the disk in a Deliver, and returns true when that has returned, as
	// coro.Await can on a coroutine of a loop. false breaks the delivery off, whether f has begun, will, or not. The
	// other methods do not use it.
	Block func(ctx context.Context, f func()) bool
	// Rescan is how often the directory is looked at for what others have put there (default 2 s; negative: never).
	Rescan time.Duration
	// Log gets what goes wrong with the directory (default slog.Default()).
	Log *slog.Logger

	step func(name string) // of tests: it may end the process
}

// The reasons for which a mail is not taken or not shown.
var (
	// ErrFull means that Limits.Messages or Limits.Bytes are reached. SMTP says 452 to it.
	ErrFull = errors.New("mailcatch: the store is full")
	// ErrTooLarge is a mail that is longer than Limits.MessageBytes. SMTP says 552.
	ErrTooLarge = errors.New("mailcatch: the mail is too large")
	// ErrNoMail means that there is no mail with this id; it may have been deleted.
	ErrNoMail = errors.New("mailcatch: there is no such mail")
	// ErrTooMany means that Limits.Waiters wait already.
	ErrTooMany = errors.New("mailcatch: too many wait for mail")
	// ErrLost is that Close could not make the files of mails that were taken before (Options.Behind).
	ErrLost = errors.New("mailcatch: mails that were taken are lost")
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("mailcatch: the store is closed")
)

// The folders of a Maildir.
const (
	tmpDir = "tmp" // being written
	newDir = "new" // not seen
	curDir = "cur" // seen, or with other flags
)

// tmpAge is for how long nobody touches a file in tmp that is still being written, as Maildir's description has it.
const tmpAge = 36 * time.Hour

// A Store is a Maildir: a file for each mail, written in tmp, renamed into new when it is whole, and moved to cur
// with the flag S when it was read. Other programs may read, deliver and delete there at the same time; what they do
// is seen within Options.Rescan. All is opened by os.Root, so that no name and no symbolic link leads out of the
// directory.
//
// A mail's file has the envelope in front: Return-Path, a Delivered-To for each recipient, and Received. What follows
// is what was sent, byte for byte, with CRLF.
//
// Its methods are for any goroutine. They use the disk, and so may block.
type Store struct {
	root    *os.Root
	options Options
	limits  Limits
	log     *slog.Logger
	host    string // for names of files
	readers chan struct{}
	dirs    dirSync
	folders folders
	stop    chan struct{}
	done    chan struct{}
	journal *journal    // nil: there is none
	broken  atomic.Bool // it can't be written
	missed  atomic.Bool // the last look found a file that could not be read

	mu       sync.Mutex
	index    index
	waiters  map[*waiter]struct{}
	watch    map[int]func()
	watchers int
	closed   bool
	count    Counts
	behind   behind
	claimed  int64 // bytes of mails that are being written
	claims   int   // how many these are
}

// Counts are totals since Open.
type Counts struct {
	Caught   int64 `json:"caught"`   // mails that were taken
	Full     int64 `json:"full"`     // refused with ErrFull
	TooLarge int64 `json:"tooLarge"` // refused with ErrTooLarge
	Failed   int64 `json:"failed"`   // refused since the disk or the sender failed
	Dropped  int64 `json:"dropped"`  // deleted by DropOldest
	Unlisted int64 `json:"unlisted"` // files that were there and found no room in the index, at the last look
	Waits    int64 `json:"waits"`    // refused with ErrTooMany
}

// Open opens the Maildir in dir, which is made if it is not there, and reads what is in it.
func Open(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mailcatch: maildir: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("mailcatch: maildir: %w", err)
	}
	s := &Store{root: root, options: o, limits: o.Limits.WithDefaults(), log: o.Log, stop: make(chan struct{}),
		done: make(chan struct{}), waiters: make(map[*waiter]struct{}), watch: make(map[int]func())}
	s.index.byID = make(map[string]*entry)
	s.behind.leaving = make(map[string]struct{})
	s.behind.wake, s.behind.commit = make(chan struct{}, 1), make(chan struct{}, 1)
	s.readers = make(chan struct{}, s.limits.Readers)
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := s.begin(); err != nil {
		_ = root.Close() // nothing was written
		return nil, fmt.Errorf("mailcatch: maildir %s: %w", dir, err)
	}
	if o.Behind {
		s.behind.done = make(chan struct{})
		go s.writeBehind()
	}
	if s.journal != nil {
		s.behind.committed = make(chan struct{})
		go s.commitAll()
	}
	go s.lookAgain()
	return s, nil
}

func (s *Store) begin() error {
	for _, name := range []string{tmpDir, newDir, curDir} {
		if err := s.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := s.root.Lstat(name); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is no directory: %w", name, errors.Join(err, fs.ErrInvalid))
		}
	}
	dir, err := s.root.Open(newDir)
	if err != nil {
		return err
	}
	s.dirs.dir = dir
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	s.host = safeHost(host)
	s.sweep()
	if s.options.Behind && !s.options.NoSync {
		err = s.openJournal()
	}
	if err == nil {
		if err = s.folders.open(s.root); err == nil {
			if err = s.rescan(); err != nil {
				_ = s.folders.close() // nothing was written
			}
		}
		if err != nil && s.journal != nil {
			_ = s.journal.f.Close() // it is void
		}
	}
	if err != nil {
		_ = dir.Close() // it was read alone
	}
	return err
}

// safeHost is a host's name as part of a file's name.
func safeHost(host string) string {
	b := []byte(host[:min(len(host), 64)])
	for i, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '.' {
			b[i] = '_'
		}
	}
	return string(b)
}

// sweep removes what was left behind in tmp.
func (s *Store) sweep() {
	names, err := s.names(tmpDir)
	if err != nil {
		s.log.Warn("mailcatch: what lies in tmp is not looked at", "err", err)
		return
	}
	for _, name := range names {
		info, err := s.root.Lstat(tmpDir + "/" + name)
		if err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > tmpAge {
			_ = s.root.Remove(tmpDir + "/" + name) // it is in nobody's way
		}
	}
}

// Close ends the waits and the watching, and makes the files of mails that have none yet. Deliveries that are under way
// fail or end well.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for w := range s.waiters {
		close(w.got)
	}
	clear(s.waiters)
	s.behindChanged()
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	return errors.Join(s.closeBehind(), s.dirs.close(), s.folders.close(), s.root.Close())
}

// closeBehind has what was taken written.
func (s *Store) closeBehind() error {
	b := &s.behind
	if b.done == nil {
		return nil
	}
	if s.journal != nil {
		nudge(b.commit)
		<-b.committed
	}
	s.mu.Lock()
	b.ending = true
	s.mu.Unlock()
	nudge(b.wake)
	<-b.done
	var err error
	if s.journal != nil {
		err = s.closeJournal(b.mails == 0)
	}
	switch n := b.mails; {
	case n > 0 && s.journal != nil:
		err = errors.Join(err, fmt.Errorf("mailcatch: %d mails have no file yet, and wait in the journal: %w", n, b.err))
	case n > 0:
		err = fmt.Errorf("%w: %d: %w", ErrLost, n, b.err)
	}
	return err
}

// Counts returns the totals.
func (s *Store) Counts() Counts {
	s.lock()
	defer s.mu.Unlock()
	return s.count
}

// Limits returns the limits, with their defaults.
func (s *Store) Limits() Limits { return s.limits }

// Watch has changed called when the list of mails has changed, from any goroutine, with nothing held. It must not
// block.
func (s *Store) Watch(changed func()) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers++
	n := s.watchers
	s.watch[n] = changed
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watch, n)
	}
}

// tell calls those who watch.
func (s *Store) tell() {
	s.mu.Lock()
	calls := make([]func(), 0, len(s.watch))
	for _, f := range s.watch {
		calls = append(calls, f)
	}
	s.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// ourMark is in each name that this package makes, and tells which files it may drop.
const ourMark = ".plexor-"

// unique is the name of a new file: the time, what no other process has, and the host, as Maildir wants it.
func (s *Store) unique(now time.Time) string {
	var r [10]byte
	_, _ = rand.Read(r[:]) // it never fails
	b := make([]byte, 0, 96)
	b = strconv.AppendInt(b, now.Unix(), 10)
	b = append(b, ".M"...)
	b = strconv.AppendInt(b, int64(now.Nanosecond()/1000), 10)
	b = append(b, 'P')
	b = strconv.AppendInt(b, int64(os.Getpid()), 10)
	b = append(b, 'R')
	b = append(b, hex.EncodeToString(r[:])...)
	return string(append(append(b, ourMark...), s.host...))
}

// idOf is the id that a mail has outside: it depends on the name of its file alone, so that it stays the same when the
// process ends, and tells nothing of it.
func idOf(base string) string {
	sum := sha256.Sum256([]byte(base))
	return hex.EncodeToString(sum[:10])
}

// infoMark stands between the unique name and the flags of a file in cur. Windows has another sign for it, since
// names of files can't have colons there.
var infoMark = func() string {
	if runtime.GOOS == "windows" {
		return ";2,"
	}
	return ":2,"
}()
