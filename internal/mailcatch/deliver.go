package mailcatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/letter"
)

// headBytes is how much of a mail is looked at for the list, in bytes: a mail that is shorter is read, written by one
// call, and has all of its attachments counted.
const headBytes = 64 << 10

// heads are buffers of who delivers. A waiting client has none: one is taken when its mail comes.
var heads = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, headBytes+4<<10)) }}

// Deliver keeps a mail, which is read from r to its end, and returns what the list has of it. When it returns without
// an error the mail is in the directory, and on the disk unless Options.NoSync is set. With Options.Behind it may be in
// memory alone, and the Mail then has its ID and nothing else; env.To is the store's. An error of r, or the end of ctx
// between two reads, leaves nothing behind. ErrFull, ErrTooLarge and ErrClosed are found by errors.Is.
func (s *Store) Deliver(ctx context.Context, env Envelope, r io.Reader) (Mail, error) {
	d := &delivery{s: s, now: time.Now()}
	d.base = s.unique(d.now)
	d.head = heads.Get().(*bytes.Buffer)
	d.head.Write(env.appendTrace(d.head.AvailableBuffer(), idOf(d.base), d.now))
	d.trace = int64(d.head.Len())
	_, readErr := io.CopyN(d.head, r, headBytes)
	whole := readErr == io.EOF
	err := readErr
	switch behind := whole && s.options.Behind && (s.options.NoSync || s.journals()); {
	case behind:
		err = s.accept(ctx, d, env)
	case whole || err == nil:
		err = d.block(ctx, func() error {
			if err := d.begin(); err != nil || !whole {
				return err
			}
			return d.end(env)
		})
	}
	if err == nil && !whole {
		if err = d.copy(ctx, r); err == nil {
			err = d.block(ctx, func() error { return d.end(env) })
		}
	}
	var m Mail
	if err == nil {
		m = d.mail
	}
	switch block := s.options.Block; {
	case err == nil || block == nil:
		d.over(err)
	case !errors.Is(err, errAbandoned) && block(ctx, func() { d.over(err) }): // it waits for the disk
	default:
		go d.over(err) // when what still runs has ended
	}
	if err != nil {
		return Mail{}, fmt.Errorf("mailcatch: %w", err)
	}
	return m, nil
}

// errAbandoned is that Options.Block has not waited.
var errAbandoned = errors.New("the delivery was broken off")

// block runs what may wait for the disk.
func (d *delivery) block(ctx context.Context, f func() error) error {
	if d.s.options.Block == nil {
		return f()
	}
	var err error
	if !d.s.options.Block(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.given {
			err = f()
		}
	}) {
		return errAbandoned
	}
	return err
}

// A delivery is a mail that is being written.
type delivery struct {
	s     *Store
	base  string // of the file
	now   time.Time
	head  *bytes.Buffer // how the file begins
	trace int64         // its length in bytes

	mu    sync.Mutex // held by what waits for the disk, unless that is who delivers
	file  *os.File   // nil: there is none, or not any more
	size  int64      // of the file, by now
	begun bool       // claims are made, and stand
	given bool       // over was called
	mail  Mail
}

// claim asks for room. What was claimed is given back when the mail is in the index, or failed.
func (s *Store) claim(mails int, bytes int64) error {
	s.lock()
	defer s.mu.Unlock()
	return s.claimLocked(mails, bytes)
}

// hasRoom reports whether there is room for so much more. The lock is held.
func (s *Store) hasRoom(mails int, bytes int64) bool {
	return len(s.index.order)+s.claims+mails <= s.limits.Messages &&
		s.index.bytes+s.claimed+bytes <= s.limits.Bytes
}

func (s *Store) claimLocked(mails int, bytes int64) error {
	if s.closed {
		return ErrClosed
	}
	var victims []*entry
	moreMails := len(s.index.order) + s.claims + mails - s.limits.Messages
	moreBytes := s.index.bytes + s.claimed + bytes - s.limits.Bytes
	for _, e := range s.index.order { // the oldest first
		if moreMails <= 0 && moreBytes <= 0 || !s.options.DropOldest {
			break
		}
		if e.ours {
			victims = append(victims, e)
			moreMails--
			moreBytes -= e.file
		}
	}
	if moreMails > 0 || moreBytes > 0 {
		return ErrFull // nothing is dropped for a mail that is refused all the same
	}
	for _, e := range victims {
		s.index.remove(e)
		s.count.Dropped++
	}
	s.claims += mails
	s.claimed += bytes
	for _, e := range victims { // with the lock held, for these are as many as come
		s.forget(e)
		if e.behind {
			s.withdraw(e)
			continue
		}
		_ = s.deleteFile(e) // one that somebody else has deleted takes no room either
	}
	return nil
}

// begin makes the file, and writes its head.
func (d *delivery) begin() (err error) {
	if err := d.s.claim(1, 0); err != nil {
		return err
	}
	d.begun = true
	if err := d.grow(d.head.Len()); err != nil {
		return err
	}
	d.file, err = d.s.folders.create(d.base)
	if err == nil {
		_, err = d.file.Write(d.head.Bytes())
	}
	return err
}

// copy writes what follows the head.
func (d *delivery) copy(ctx context.Context, r io.Reader) error {
	buf := make([]byte, headBytes)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, readErr := r.Read(buf)
		var err error
		if n > 0 {
			err = d.block(ctx, func() error {
				err := d.grow(n)
				if err == nil {
					_, err = d.file.Write(buf[:n])
				}
				return err
			})
		}
		switch {
		case err != nil:
			return err
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return fmt.Errorf("read: %w", readErr)
		}
	}
}

// grow claims room for n more bytes of the file.
func (d *delivery) grow(n int) error {
	if d.size+int64(n)-d.trace > d.s.limits.MessageBytes {
		return ErrTooLarge
	}
	if err := d.s.claim(0, int64(n)); err != nil {
		return err
	}
	d.size += int64(n)
	return nil
}

// end puts the file into its place, and the mail into the index.
func (d *delivery) end(env Envelope) error {
	s, sync := d.s, !d.s.options.NoSync
	var err error
	if sync {
		err = d.file.Sync()
	}
	err = errors.Join(err, d.file.Close())
	d.file = nil
	if err == nil {
		err = s.folders.publish(d.base)
	}
	if err == nil && sync {
		if err = s.dirs.sync(); err != nil { // the sender tries again
			err = errors.Join(err, s.root.Remove(newDir+"/"+d.base))
		}
	}
	if err != nil {
		return err
	}
	e := &entry{base: d.base, dir: newDir, prefix: d.trace, file: d.size, ours: true}
	e.Mail = summarize(d.head.Bytes()[d.trace:], s.limits.Letter)
	e.envelope(env)
	e.ID, e.Received, e.Unread = idOf(d.base), d.now.Truncate(time.Millisecond), true
	e.Size = d.size - d.trace
	d.mail = s.keep(e, d)
	s.tell()
	return nil
}

// over leaves nothing of what failed, its claims neither. What was abandoned is over when what it waits for is. Only if
// it failed it waits, for the disk and the store's lock, which others hold while they wait for the disk.
func (d *delivery) over(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.given {
		return
	}
	d.given = true
	if d.file != nil {
		_ = d.file.Close() // it is removed
	}
	if err != nil && d.mail.ID == "" {
		_ = d.s.root.Remove(tmpDir + "/" + d.base) // it may not be there
		d.s.failed(d, err)
	}
	if d.head.Cap() <= 4*headBytes { // a thousand recipients have made it larger
		d.head.Reset()
		heads.Put(d.head)
	}
}

// failed gives the claims of a delivery back, and counts it.
func (s *Store) failed(d *delivery, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.begun {
		s.claims--
		s.claimed -= d.size
	}
	switch {
	case errors.Is(err, ErrFull):
		s.count.Full++
	case errors.Is(err, ErrTooLarge):
		s.count.TooLarge++
	default:
		s.count.Failed++
	}
}

// keep puts a mail into the index in the place of its claims, and gives it to those who wait for it.
func (s *Store) keep(e *entry, d *delivery) Mail {
	s.lock()
	defer s.mu.Unlock()
	s.claims--
	s.claimed -= d.size
	d.begun = false
	s.count.Caught++
	if was := s.index.byID[e.ID]; was != nil { // a look at the directory has found it first
		return was.Mail
	}
	s.index.add(e)
	s.hand(e)
	return e.Mail
}

// summarize is what a list shows of a mail, of which b is the head.
func summarize(b []byte, l letter.Limits) Mail {
	m := letter.Read(b, l)
	var s Mail
	s.Subject = letter.Clip(letter.Words(m.Header.Get("Subject")), mostSubject)
	if from := letter.Addresses(m.Header.Get("From")); len(from) > 0 {
		s.From = clipAddress(from[0])
	}
	s.To, s.Cc = clipAddresses(m.Header.Get("To")), clipAddresses(m.Header.Get("Cc"))
	s.Date = letter.Clip(letter.Words(m.Header.Get("Date")), mostDate)
	s.MessageID = letter.Clip(letter.Words(m.Header.Get("Message-ID")), mostSubject)
	s.Snippet = letter.Line(m.Said(4*mostSnippet), mostSnippet)
	for i := range m.Parts {
		if m.Attached(i) {
			s.Attachments++
		}
	}
	return s
}
