package mailcatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// TestDeliver: what comes is kept byte for byte, in a Maildir that others can read, with its envelope, also by who
// opens it next.
func TestDeliver(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "mail")
	s := openStore(t, dir, Options{})
	short := text("short", "hello\r\n.\r\n\x00\xff")
	long := text("long", strings.Repeat("0123456789abcdef\r\n", 1<<16))
	edge := text("edge", strings.Repeat("x", headBytes-len(text("edge", ""))))
	to := someone("a@example.com", "hidden@example.com")
	var mails []Mail
	for _, mail := range []string{short, long, edge, ""} {
		m, err := s.Deliver(t.Context(), to, iotest.DataErrReader(strings.NewReader(mail)))
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, s, m.ID); got != mail || m.Size != int64(len(mail)) {
			t.Errorf("%d bytes came back, of %d; the size is %d", len(got), len(mail), m.Size)
		}
		mails = append(mails, m)
	}
	for _, f := range files(t, dir) {
		if !strings.HasPrefix(f, "new/") {
			t.Errorf("there is %s", f)
		}
	}
	if m := mails[0]; m.Subject != "short" || m.From.Name != "Some One" || m.Snippet == "" || !m.Unread || m.Number != 1 ||
		m.Recipients[1] != "hidden@example.com" || m.Peer != "192.0.2.7" || m.Protocol != "ESMTPS" || len(m.ID) != 20 {
		t.Errorf("the list has %+v", m)
	}
	if err := s.MarkRead(true, mails[0].ID); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Deliver(t.Context(), to, strings.NewReader(short)); !errors.Is(err, ErrClosed) {
		t.Errorf("behind Close: %v", err)
	}
	s = openStore(t, dir, Options{})
	for i, was := range mails {
		m, err := s.Lookup(was.ID)
		if err != nil {
			t.Fatal(err)
		}
		if m.Unread == (i == 0) {
			t.Errorf("%d: unread is %v", i, m.Unread)
		}
		m.Number, m.Received, m.Unread = was.Number, was.Received, was.Unread
		if fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", was) {
			t.Errorf("opened again:\n%+v\nwas\n%+v", m, was)
		}
	}
}

// TestDeliverFails: nothing is left of a mail that did not come whole, or that there is no room for.
func TestDeliverFails(t *testing.T) {
	t.Parallel()
	const most = 200_000
	for _, blocks := range []bool{false, true} {
		dir := t.TempDir()
		o := Options{Limits: Limits{MessageBytes: most, Bytes: 2 * most, Messages: 3}}
		if blocks {
			o.Block = func(_ context.Context, f func()) bool { f(); return true }
		}
		s := openStore(t, dir, o)
		half := strings.NewReader
		for _, row := range []struct {
			name string
			r    io.Reader
			want error
		}{
			{"broken early", brokenReader{half("x")}, errBroken},
			{"broken late", brokenReader{half(strings.Repeat("x", 150_000))}, errBroken},
			{"too large", half(strings.Repeat("x", most+1)), ErrTooLarge},
			{"endless", neverEnds{}, ErrTooLarge},
		} {
			if _, err := s.Deliver(t.Context(), someone("a@b"), row.r); !errors.Is(err, row.want) {
				t.Errorf("%s: %v, want %v", row.name, err, row.want)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errBroken)
		if _, err := s.Deliver(ctx, someone("a@b"), half(strings.Repeat("x", most))); !errors.Is(err, errBroken) {
			t.Errorf("cancelled: %v", err)
		}
		if left := files(t, dir); left != nil {
			t.Errorf("there is %q", left)
		}
		deliver(t, s, someone("a@b"), strings.Repeat("x", most))
		if _, err := s.Deliver(t.Context(), someone("a@b"), half(strings.Repeat("x", most))); !errors.Is(err, ErrFull) {
			t.Errorf("too many bytes: %v", err)
		}
		deliver(t, s, someone("a@b"), "x")
		last := deliver(t, s, someone("a@b"), "x")
		if _, err := s.Deliver(t.Context(), someone("a@b"), half("x")); !errors.Is(err, ErrFull) {
			t.Errorf("too many mails: %v", err)
		}
		if n, err := s.Delete(last.ID, "", "../new"); n != 1 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
		deliver(t, s, someone("a@b"), "x")
		if got := files(t, dir); len(got) != 3 {
			t.Errorf("there is %q", got)
		}
		c := s.Counts()
		if c.Caught != 4 || c.Full != 2 || c.TooLarge != 2 || c.Failed != 3 {
			t.Errorf("counted %+v", c)
		}
	}
}

// neverEnds is an endless mail.
type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return len(p), nil }

// TestDeliverAbandoned: who waits for the disk may be called off before, while and after it is written; what was not
// taken leaves nothing, and no buffer is used by two.
func TestDeliverAbandoned(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"never", "while", "after"} {
		dir := t.TempDir()
		var behind sync.WaitGroup
		n := 0
		s := openStore(t, dir, Options{Block: func(_ context.Context, f func()) bool {
			if n++; n < 2 { // the head is written, the rest is not
				f()
				return true
			}
			switch when {
			case "while":
				behind.Go(f)
			case "after":
				f()
			}
			return false
		}})
		_, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader(strings.Repeat("x", 2*headBytes)))
		if !errors.Is(err, errAbandoned) {
			t.Errorf("%s: %v", when, err)
		}
		behind.Wait()
		until(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.claims == 0 && s.claimed == 0
		})
		if left := files(t, dir); left != nil {
			t.Errorf("%s: there is %q", when, left)
		}
	}
}

// TestDeliverWaitsInBlock: who delivers waits for the store's lock in Options.Block alone, for others hold it while
// they wait for the disk, and a loop would.
func TestDeliverWaitsInBlock(t *testing.T) {
	t.Parallel()
	var s *Store
	locked := false
	s = openStore(t, t.TempDir(), Options{Limits: Limits{MessageBytes: 200_000},
		Block: func(_ context.Context, f func()) bool {
			if locked {
				s.mu.Unlock()
			}
			f()
			s.mu.Lock() // somebody else has it all the time but for this
			locked = true
			return true
		}})
	for name, r := range map[string]io.Reader{"short": strings.NewReader("x"),
		"broken": brokenReader{strings.NewReader("x")},
		"long":   strings.NewReader(strings.Repeat("x", 150_000)), "endless": neverEnds{}} {
		done := make(chan error, 1)
		go func() {
			_, err := s.Deliver(context.Background(), someone("a@b"), r)
			done <- err
		}()
		select {
		case err := <-done:
			if (err == nil) != (name == "short" || name == "long") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: it waits for the lock", name)
		}
	}
	s.mu.Unlock()
	if c := s.Counts(); c.Caught != 2 || c.TooLarge != 1 || c.Failed != 1 || s.claims != 0 || s.claimed != 0 {
		t.Errorf("counted %+v; %d claims of %d bytes", c, s.claims, s.claimed)
	}
}

// TestDropOldest: of what was caught the oldest makes room; what others have put there stays.
func TestDropOldest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{DropOldest: true, Limits: Limits{Messages: 3}})
	put(t, dir, "new/1.other", text("other", ""))
	if err := s.rescan(); err != nil {
		t.Fatal(err)
	}
	numbered(t, s, 5)
	if got := list(t, s, ""); got != "4 3 other" || s.Counts().Dropped != 3 || len(files(t, dir)) != 3 {
		t.Errorf("the list is %q, %+v", got, s.Counts())
	}
	s = openStore(t, dir, Options{DropOldest: true, Limits: Limits{Messages: 1}})
	if got := list(t, s, ""); got != "4" || s.Counts().Unlisted != 2 {
		t.Errorf("with room for one the list is %q, %+v", got, s.Counts())
	}
	big := text("big", strings.Repeat("x", 10_000))
	put(t, dir, "new/2.other", big)
	s = openStore(t, dir, Options{DropOldest: true, Limits: Limits{Bytes: 12_000}})
	was, there := list(t, s, ""), len(files(t, dir))
	if _, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader(big)); !errors.Is(err, ErrFull) {
		t.Errorf("what can be dropped is not enough: %v", err)
	}
	if got := list(t, s, ""); got != was || len(files(t, dir)) != there || s.Counts().Dropped != 0 {
		t.Errorf("behind a mail that was refused the list is %q, was %q; %+v", got, was, s.Counts())
	}
	none := openStore(t, filepath.Join(dir, "x"), Options{DropOldest: true, Limits: Limits{Bytes: 1}})
	if _, err := none.Deliver(t.Context(), someone("a@b"), strings.NewReader("xx")); !errors.Is(err, ErrFull) {
		t.Errorf("nothing to drop: %v", err)
	}
}

// put writes a file into the Maildir, as another program does: it is there when it is whole.
func put(t testing.TB, dir, name, mail string) {
	t.Helper()
	whole := filepath.Join(dir, ".being-written")
	err := os.WriteFile(whole, []byte(mail), 0o600)
	if err == nil {
		err = os.Rename(whole, filepath.Join(dir, name))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestConcurrent: many deliver, read, mark and delete at once, and the disk and the index agree in the end.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{Rescan: 1})
	s.options.NoSync = false
	var all sync.WaitGroup
	const senders, each = 8, 12
	for n := range senders {
		all.Go(func() {
			for i := range each {
				m := deliver(t, s, someone(fmt.Sprintf("%d@x", n)), text(fmt.Sprint(i), "hello"))
				if err := s.MarkRead(true, m.ID); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					if n, err := s.Delete(m.ID); n != 1 || err != nil {
						t.Errorf("deleted %d, %v", n, err)
					}
				}
				if l, err := s.List(context.Background(), ParseQuery("text:hello"), 0, 10); err != nil || len(l.Mails) > 10 {
					t.Errorf("%d listed, %v", len(l.Mails), err)
				}
			}
		})
	}
	all.Wait()
	if err := s.rescan(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	n := len(files(t, dir))
	if n != senders*each/2 || len(s.index.order) != n || len(s.index.byID) != n ||
		s.claims != 0 || s.claimed != 0 || s.index.unread != 0 {
		t.Errorf("%d files, %d in the list, %d claims of %d bytes", n, len(s.index.order), s.claims, s.claimed)
	}
}

// TestWatch: who watches is told once of each change.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{})
	told := 0
	cancel := s.Watch(func() { told++ })
	m := deliver(t, s, someone("a@b"), text("x", ""))
	if err := s.MarkRead(true, m.ID); err != nil {
		t.Error(err)
	}
	if n, err := s.DeleteAll(); n != 1 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	cancel()
	numbered(t, s, 1)
	if told != 3 {
		t.Errorf("told %d times", told)
	}
}
