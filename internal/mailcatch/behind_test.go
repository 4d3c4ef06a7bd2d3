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
	"testing/synctest"
)

// heldStore is a store in a bubble whose files wait for free.
func heldStore(t *testing.T, dir string, l Limits) (s *Store, free func()) {
	t.Helper()
	hold := make(chan struct{})
	s = openStore(t, dir, Options{Behind: true, Limits: l})
	s.mu.Lock()
	s.behind.before = func() { <-hold }
	s.mu.Unlock()
	return s, sync.OnceFunc(func() { close(hold) })
}

// TestBehind: who asks behind a Deliver finds the mail, though it has no file yet; who opens its file waits for that.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, free := heldStore(t, dir, Limits{})
		told := 0
		s.Watch(func() { told++ })
		waited := make(chan Mail, 1)
		go func() {
			m, _ := s.Wait(t.Context(), Want{To: "two@*"}) // "" below is no mail
			waited <- m
		}()
		synctest.Wait()
		var ids []string
		for i := range 3 {
			ids = append(ids, deliver(t, s, someone("to@b.example"), text(fmt.Sprint("no. ", i), "hello")).ID)
		}
		if got := list(t, s, "no"); got != "no. 2 no. 1 no. 0" || len(files(t, dir)) != 0 {
			t.Errorf("the list has %s; files: %q", got, files(t, dir))
		}
		if m, err := s.Lookup(ids[1]); err != nil || m.Number != 2 || !m.Unread || m.Sender == "" || m.Size == 0 {
			t.Errorf("Lookup: %+v, %v", m, err)
		}
		if n, err := s.Delete(ids[0]); n != 1 || err != nil {
			t.Errorf("Delete: %d, %v", n, err)
		}
		if err := s.rescan(); err != nil || s.Counts().Caught != 3 {
			t.Errorf("a look: %v, %+v", err, s.Counts())
		}
		said := make(chan string, 1)
		go func() { said <- content(t, s, ids[1]) }()
		marked := make(chan error, 1)
		go func() { marked <- s.MarkRead(true, ids[2]) }()
		synctest.Wait()
		select {
		case <-said:
			t.Error("a file was opened before it was there")
		case <-marked:
			t.Error("a file was renamed before it was there")
		default:
		}
		free()
		if got := <-said; got != text("no. 1", "hello") {
			t.Errorf("the file has %q", got)
		}
		if err := <-marked; err != nil {
			t.Errorf("MarkRead: %v", err)
		}
		synctest.Wait()
		if m := <-waited; m.Subject != "no. 0" || told == 0 {
			t.Errorf("who waited got %q; who watches was told %d times", m.Subject, told)
		}
		if got := files(t, dir); len(got) != 2 || !strings.HasPrefix(got[0], newDir) || !strings.HasPrefix(got[1], curDir) {
			t.Errorf("the files are %q", got)
		}
		if err := s.rescan(); err != nil || list(t, s, "") != "no. 2 no. 1" {
			t.Errorf("at last the list has %s, %v", list(t, s, ""), err)
		}
	})
}

// TestBehindBounds: the mail for which there is no room in memory has its sender wait, until a file was made or the
// sender goes; Close makes the files of those that were taken.
func TestBehindBounds(t *testing.T) {
	for _, row := range []struct {
		name string
		l    Limits
		fit  int
	}{
		{"mails", Limits{Behind: 2}, 2},
		{"bytes", Limits{BehindBytes: 1000}, 3}, // of some 300 each
		{"one that is longer than all", Limits{BehindBytes: 1}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				s, free := heldStore(t, dir, row.l)
				ctx, cancel := context.WithCancel(t.Context())
				var mu sync.Mutex
				var ends []error
				send := func(ctx context.Context) {
					_, err := s.Deliver(ctx, someone("to@b.example"), strings.NewReader(text("x", "hello")))
					mu.Lock()
					defer mu.Unlock()
					ends = append(ends, err)
				}
				for range row.fit + 1 {
					go send(ctx)
				}
				synctest.Wait()
				if len(ends) != row.fit || errors.Join(ends...) != nil {
					t.Fatalf("%d of %d returned: %v", len(ends), row.fit+1, ends)
				}
				cancel()
				synctest.Wait()
				if len(ends) != row.fit+1 || !errors.Is(ends[row.fit], context.Canceled) {
					t.Fatalf("who has gone: %v", ends)
				}
				go send(t.Context())
				synctest.Wait()
				if len(ends) != row.fit+1 {
					t.Error("it was taken, without room")
				}
				free()
				synctest.Wait()
				if len(ends) != row.fit+2 || ends[row.fit+1] != nil {
					t.Errorf("with room: %v", ends)
				}
				err := s.Close()
				if got := files(t, dir); err != nil || len(got) != row.fit+1 {
					t.Errorf("%d files, %v", len(got), err)
				}
			})
		})
	}
}

// TestBehindFails: while files can't be made, what was taken stays, can be seen in the list and deleted, and other
// mails are refused.
func TestBehindFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, free := heldStore(t, dir, Limits{})
		if err := os.Remove(filepath.Join(dir, tmpDir)); err != nil {
			t.Fatal(err)
		}
		ids := numbered(t, s, 2)
		free()
		synctest.Wait()
		_, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader("x"))
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a mail that comes now: %v", err)
		}
		if _, _, err := s.Raw(ids[0]); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its file: %v", err)
		}
		if err := s.MarkRead(true, ids[0]); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its flags: %v", err)
		}
		if n, err := s.Delete(ids[0]); n != 1 || err != nil || list(t, s, "") != "1" {
			t.Errorf("Delete: %d, %v; the list has %s", n, err, list(t, s, ""))
		}
		if err := os.Mkdir(filepath.Join(dir, tmpDir), 0o700); err != nil {
			t.Fatal(err)
		}
		if got := content(t, s, deliverLater(t, s)); got != "later" {
			t.Errorf("it has %q", got)
		}
		if got := files(t, dir); len(got) != 2 || s.Counts().Failed != 1 {
			t.Errorf("the files are %q; %+v", got, s.Counts())
		}
	})
}

// deliverLater delivers when files can be made again.
func deliverLater(t *testing.T, s *Store) (id string) {
	for s.mu.Lock(); s.behind.err != nil; s.mu.Lock() {
		moved := s.behindMoved()
		s.mu.Unlock()
		<-moved
	}
	s.mu.Unlock()
	return deliver(t, s, someone("a@b"), "later").ID
}

// TestBehindLost: what can't be written when the store is closed is told.
func TestBehindLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openStore(t, dir, Options{Behind: true})
		if err := os.Remove(filepath.Join(dir, tmpDir)); err != nil {
			t.Fatal(err)
		}
		numbered(t, s, 1)
		synctest.Wait()
		if err := s.Close(); !errors.Is(err, ErrLost) {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestBehindTogether: many deliver, delete, read and look at once; at the end the files are those of the list, and no
// more mails are there than are to be.
func TestBehindTogether(t *testing.T) {
	t.Parallel()
	const senders, each, keep = 4, 100, 30
	dir := t.TempDir()
	s := openStore(t, dir, Options{Behind: true, DropOldest: true, Limits: Limits{Messages: keep, Behind: 10}})
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for i := range each {
				m, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader(text(fmt.Sprint(i), "x")))
				switch {
				case err != nil:
					t.Error(err)
				case i%5 == 0:
					_, err = s.Delete(m.ID)
				case i%5 == 1:
					err = s.MarkRead(true, m.ID)
				case i%5 == 2:
					f, _, e := s.Raw(m.ID)
					if e == nil {
						_, e = io.Copy(io.Discard, f)
						_ = f.Close() // it was read alone
					}
					if !errors.Is(e, ErrNoMail) { // it was dropped
						err = e
					}
				case i%5 == 3:
					err = s.rescan()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	l, err := s.List(t.Context(), Query{}, 0, 10*keep)
	if err != nil || len(l.Mails) > keep || s.Counts().Caught != senders*each {
		t.Errorf("%d are listed, %v; %+v", len(l.Mails), err, s.Counts())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := files(t, dir); len(got) != l.Total || s.behind.mails != 0 || s.behind.bytes != 0 || s.claims != 0 ||
		s.claimed != 0 || len(s.behind.leaving) != 0 {
		t.Errorf("%d files, %d in the list; left: %+v", len(got), l.Total, s.behind)
	}
}
