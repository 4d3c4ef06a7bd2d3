package mailcatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// until waits for what must become true.
func until(t testing.TB, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not so after %v", patience)
		}
	}
}

// TestOthers: what other programs deliver, read and delete shows, and what they move while somebody reads is found.
func TestOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{Rescan: 5 * time.Millisecond})
	put(t, dir, "new/1.a", "Return-Path: <env@x>\nDelivered-To: hidden@x\n"+text("one", ""))
	put(t, dir, "cur/2.b"+infoMark+"RS", text("two", ""))
	until(t, func() bool { return len(list(t, s, "")) == len("one two") })
	if got := list(t, s, "is:unread to:hidden from:env"); got != "one" {
		t.Errorf("unread is %q", got)
	}
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	rename("new/1.a", "cur/1.a"+infoMark+"S")
	until(t, func() bool { return list(t, s, "is:unread") == "" })
	if err := os.Remove(filepath.Join(dir, "cur/1.a"+infoMark+"S")); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return list(t, s, "") == "two" })
}

// TestMarkedWhileLooking: a mail that was marked as read while the folders were listed is where it has been moved, and
// a drop or a deletion takes its file with it.
func TestMarkedWhileLooking(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(s *Store, id string) error{
		"deleted": func(s *Store, id string) error { _, err := s.Delete(id); return err },
		"dropped": func(s *Store, _ string) error {
			_, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader(text("next", "")))
			return err
		},
	} {
		dir := t.TempDir()
		s := openStore(t, dir, Options{Rescan: -1, Limits: Limits{Messages: 1}, DropOldest: true})
		m, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader(text("first", "")))
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		e := s.index.byID[m.ID]
		listed := map[string]found{m.ID: {base: e.base, dir: e.dir, info: e.info}}
		s.mu.Unlock()
		if err := s.MarkRead(true, m.ID); err != nil {
			t.Fatal(err)
		}
		s.compare(listed, m.Number)
		if err := drop(s, m.ID); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(filepath.Join(dir, curDir))
		if err != nil || len(left) != 0 {
			t.Errorf("%s: left are %v, %v", name, left, err)
		}
	}
}

// TestLooker: folders that have not changed for a while are not read.
func TestLooker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	old := time.Now().Add(-time.Hour)
	age := func() {
		for _, name := range []string{newDir, curDir} {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	age()
	readable := func(is bool) {
		if err := os.Chmod(filepath.Join(dir, "new/2.b"), map[bool]os.FileMode{true: 0o600}[is]); err != nil {
			t.Fatal(err)
		}
	}
	mayNot := runtime.GOOS != "windows" && os.Geteuid() != 0 // root reads everything
	var l looker
	for i, row := range []struct {
		before func()
		want   bool
	}{
		{func() {}, true}, // it has seen nothing yet
		{func() {}, false},
		{func() { put(t, dir, "new/1.a", text("one", "")) }, true},
		{func() {}, true}, // it has changed just now, and may have once more
		{age, true},
		{func() {}, false},
		{func() { put(t, dir, "new/2.b", text("two", "")); readable(false) }, true},
		{age, true},
		{func() {}, mayNot}, // it could not be read, and this may pass without a change of the folder
		{func() { readable(true) }, mayNot},
		{func() {}, false},
	} {
		row.before()
		if looked, err := l.look(s, time.Now()); looked != row.want || err != nil {
			t.Errorf("%d: looked is %v, %v", i, looked, err)
		}
	}
	if got := list(t, s, ""); got != "two one" {
		t.Errorf("the list is %q", got)
	}
}

// TestMoved: a mail is found where another program has put it since the last look; one that is gone is gone.
func TestMoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	ids := numbered(t, s, 3)
	for _, f := range files(t, dir) {
		base := filepath.Base(f)
		if err := os.Rename(filepath.Join(dir, f), filepath.Join(dir, curDir, base+infoMark+"F")); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Delete(ids[0]); n != 1 || err != nil || len(files(t, dir)) != 2 {
		t.Errorf("deleted %d, %v; there are %q", n, err, files(t, dir))
	}
	if got := content(t, s, ids[1]); got != text("1", "hello") {
		t.Errorf("got %q", got)
	}
	if err := s.MarkRead(true, ids[1], "no such"); err != nil {
		t.Error(err)
	}
	if err := s.MarkRead(false, ids[1]); err != nil {
		t.Error(err)
	}
	if err := s.MarkRead(true, ids[1]); err != nil {
		t.Error(err)
	}
	for _, f := range files(t, dir) {
		if !strings.HasSuffix(f, infoMark+"F") && !strings.HasSuffix(f, infoMark+"FS") {
			t.Errorf("there is %s", f)
		}
		if err := os.Remove(filepath.Join(dir, f)); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := s.Raw(ids[1]); !errors.Is(err, ErrNoMail) {
		t.Errorf("a mail that is gone: %v", err)
	}
	if n, err := s.Delete(ids[2]); err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
}

// TestStrangers: what is no mail in the directory is not shown, holds nobody, and is not deleted; no link leads out.
func TestStrangers(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	put(t, outside, "secret", text("secret", ""))
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, newDir, "link")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("inside", filepath.Join(dir, newDir, "link2")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, curDir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	makeFIFO(t, filepath.Join(dir, newDir, "fifo"))
	put(t, dir, "new/.hidden", text("hidden", ""))
	put(t, dir, "new/inside", text("inside", ""))
	put(t, dir, "new/line\nend \x1b[31m"+infoMark+"S", text("odd", ""))
	put(t, dir, "cur/"+infoMark, text("bare", ""))
	put(t, dir, "new/empty", "")
	if err := s.rescan(); err != nil {
		t.Fatal(err)
	}
	l := list(t, s, "")
	for _, subject := range []string{"inside", "odd", "bare"} {
		if !strings.Contains(l, subject) {
			t.Errorf("the list is %q, without %s", l, subject)
		}
	}
	if strings.Contains(l, "secret") || strings.Contains(l, "hidden") || len(s.index.order) != 4 {
		t.Errorf("the list is %q", l)
	}
	// A mail that becomes a link behind our back.
	id := idOf("inside")
	if err := os.Remove(filepath.Join(dir, "new/inside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "new/inside")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Raw(id); err == nil {
		t.Error("a link out of the directory was opened")
	}
	if _, err := s.DeleteAll(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outside, "secret")); err != nil {
		t.Errorf("what a link led to: %v", err)
	}
}

// TestEscape: a folder of the Maildir that is a link out of it is refused.
func TestEscape(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, newDir)); err != nil {
		t.Skip(err)
	}
	if s, err := Open(dir, Options{Log: quiet}); err == nil {
		_ = s.Close() // the test has failed
		t.Error("it was opened")
	}
}

// TestReplaced: folders that somebody has deleted and made again are found again.
func TestReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	for _, name := range []string{tmpDir, newDir} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if name == tmpDir {
			if _, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader("x")); err == nil {
				t.Error("a mail was taken without a folder")
			}
		}
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		id := deliver(t, s, someone("a@b"), text(name, "")).ID
		if got := content(t, s, id); got != text(name, "") {
			t.Errorf("%q came back", got)
		}
		if n, err := s.Delete(id); n != 1 || err != nil {
			t.Errorf("deleted %d, %v", n, err)
		}
	}
}

// TestTmp: what was left in tmp long ago is removed; what may be another's work is not.
func TestTmp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openStore(t, dir, Options{})
	put(t, dir, "tmp/old", "x")
	put(t, dir, "tmp/young", "x")
	old := time.Now().Add(-tmpAge - time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "tmp/old"), old, old); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, Options{})
	if got := files(t, dir); len(got) != 1 || got[0] != filepath.Join("tmp", "young") {
		t.Errorf("there is %q", got)
	}
}

// TestTrace: what a client says stays within its field, whatever it is; a trace is read as it was written.
func TestTrace(t *testing.T) {
	t.Parallel()
	evil := "x\r\nX-Evil: 1\r\n\r\nbody\x00 (y); <z>"
	e := Envelope{From: evil, To: []string{evil, "b@x"}, Helo: evil, Protocol: evil}
	b := e.appendTrace(nil, "id", time.Now())
	if n := strings.Count(string(b), "\r\n"); n != 6 || strings.Contains(string(b), "\nX-Evil") {
		t.Errorf("%d lines: %q", n, b)
	}
	got, n, ok, _ := readTrace(append(b, "Return-Path: <no@x>\r\n"...))
	if !ok || n != len(b) || got.From != inField(evil) || len(got.To) != 2 || got.To[1] != "b@x" ||
		got.Helo != inReceived(evil) {
		t.Errorf("read %+v, %d of %d, %v", got, n, len(b), ok)
	}
	for i := range b {
		if _, _, ok, whole := readTrace(b[:i]); ok || whole {
			t.Errorf("%d bytes are a trace", i)
		}
	}
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	many := someone()
	for i := range 1000 {
		many.To = append(many.To, fmt.Sprintf("%0200d@example.com", i))
	}
	m := deliver(t, s, many, text("many", "hello"))
	s = openStore(t, dir, Options{})
	if got := content(t, s, m.ID); got != text("many", "hello") {
		t.Errorf("with a long trace: %d bytes", len(got))
	}
}

func FuzzTrace(f *testing.F) {
	e := someone("a@b", "c@d")
	f.Add(e.appendTrace(nil, "id", time.Unix(0, 0)))
	f.Add([]byte("Return-Path: <\nDelivered-To: \nReceived: from \n\tby plexor with \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, ok, _ := readTrace(b)
		if n > len(b) || ok == (n == 0) {
			t.Fatalf("%d of %d, %v", n, len(b), ok)
		}
		if !ok {
			return
		}
		again, m, ok, _ := readTrace(e.appendTrace(nil, "id", time.Unix(0, 0)))
		if !ok || m == 0 || len(again.To) != len(e.To) {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}
