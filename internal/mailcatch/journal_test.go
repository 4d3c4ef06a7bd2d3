package mailcatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journaled opens a store with a journal.
func journaled(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if !canJournal {
		t.Skip("there is no journal on " + runtime.GOOS)
	}
	o.Behind, o.Log, o.Rescan = true, quiet, -1
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests close it
	return s
}

// The variables by which this program is a process that delivers and ends itself.
const (
	childFolder = "PLEXOR_MAILCATCH_FOLDER"
	childStep   = "PLEXOR_MAILCATCH_STEP"
	childTime   = "PLEXOR_MAILCATCH_TIME"
)

// journalChild delivers mails, says which were taken, and ends at a step.
func journalChild(dir string) {
	at, _ := strconv.Atoi(os.Getenv(childTime))
	var mu sync.Mutex
	o := Options{Behind: true, Log: quiet, Rescan: -1, Limits: Limits{JournalBytes: 8 << 10}}
	o.step = func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if name == os.Getenv(childStep) {
			if at--; at == 0 {
				os.Exit(7)
			}
		}
	}
	s, err := Open(dir, o)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 30 {
				subject := fmt.Sprintf("%d-%d", n, i)
				_, err := s.Deliver(context.Background(), someone("a@b"), strings.NewReader(text(subject, subject)))
				if err != nil {
					fmt.Println("failed:", err)
					os.Exit(1)
				}
				fmt.Println(subject)
			}
		})
	}
	all.Wait()
	if err := s.Close(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestJournalKilled: whenever the process is killed, each mail that was taken is there, once and whole, for who opens
// the store next; also if the machine stops and files that were not synced are lost, or empty.
func TestJournalKilled(t *testing.T) {
	t.Parallel()
	if !canJournal {
		t.Skip("there is no journal on " + runtime.GOOS)
	}
	for _, step := range []string{"record written", "record synced", "place", "checkpoint", "files synced", "void"} {
		for _, n := range []int{1, 2, 11} {
			for _, machine := range []bool{false, true} {
				if n > 2 && (testing.Short() || step == "files synced" || step == "void" || step == "checkpoint") {
					continue
				}
				t.Run(fmt.Sprint(step, " ", n, " ", machine), func(t *testing.T) {
					t.Parallel()
					journalKilled(t, step, n, machine)
				})
			}
		}
	}
}

func journalKilled(t *testing.T, step string, n int, machine bool) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childFolder+"="+dir, childStep+"="+step, childTime+"="+strconv.Itoa(n))
	out, err := cmd.Output()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("it was not killed at the step: %v, %s", err, out)
	}
	if machine {
		b, err := os.ReadFile(filepath.Join(dir, journalName))
		if err != nil {
			t.Fatal(err)
		}
		gen := uint64(0)
		for i := 0; ; i++ { // what is in the journal was not synced for sure; behind it may be what was, of another time
			r, rest, ok := readRecord(b)
			if !ok || i > 0 && r.gen != gen {
				break
			}
			gen, b = r.gen, rest
			file := filepath.Join(dir, newDir, r.base)
			if _, err := os.Lstat(file); err == nil && i%2 == 0 {
				err = os.Truncate(file, int64(i%4*100))
				if i%8 == 0 {
					err = os.Remove(file)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	s := journaled(t, dir, Options{})
	l, err := s.List(t.Context(), Query{}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, m := range l.Mails {
		seen[m.Subject]++
		err := s.Read(t.Context(), m.ID, func(_ Mail, b []byte) error {
			if string(b) != text(m.Subject, m.Subject) {
				t.Errorf("%q has %q", m.Subject, b)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for subject := range strings.FieldsSeq(string(out)) {
		if seen[subject] != 1 {
			t.Errorf("%s was taken, and is there %d times", subject, seen[subject])
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, journalName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is there behind Close: %v", err)
	}
}

// TestJournalTogether: those who come while a sync goes on share the next one.
func TestJournalTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := journaled(t, t.TempDir(), Options{})
		hold := make(chan struct{})
		syncs := 0
		s.mu.Lock()
		s.journal.sync = func() error {
			syncs++
			<-hold
			return nil
		}
		s.mu.Unlock()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { deliver(t, s, someone("a@b"), text("x", "y")) })
			synctest.Wait()
		}
		if syncs != 1 || s.Counts().Caught != 0 {
			t.Errorf("%d syncs, %+v", syncs, s.Counts())
		}
		close(hold)
		all.Wait()
		if syncs != 2 || s.Counts().Caught != 20 {
			t.Errorf("%d syncs, %+v", syncs, s.Counts())
		}
	})
}

// TestJournalFails: who waits for a sync that fails is refused, and mails that come are synced on their own; nothing
// that was taken is lost.
func TestJournalFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := journaled(t, dir, Options{})
	deliver(t, s, someone("a@b"), text("before", "x"))
	broken := errors.New("the disk is gone")
	s.mu.Lock()
	s.journal.sync = func() error { return broken }
	s.mu.Unlock()
	if _, err := s.Deliver(t.Context(), someone("a@b"), strings.NewReader(text("refused", "x"))); !errors.Is(err, broken) {
		t.Errorf("with a sync that fails: %v", err)
	}
	deliver(t, s, someone("a@b"), text("behind", "x"))
	if got := list(t, s, ""); got != "behind before" || s.Counts().Failed != 1 {
		t.Errorf("the list has %s; %+v", got, s.Counts())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	got := list(t, journaled(t, dir, Options{}), "")
	if !strings.Contains(got, "before") || !strings.Contains(got, "behind") {
		t.Errorf("the next one has %s", got)
	}
}

// TestJournalDeleted: a mail that was deleted does not come back from the journal.
func TestJournalDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := journaled(t, dir, Options{DropOldest: true, Limits: Limits{Messages: 3}})
	var ids []string
	for i := range 4 { // of which the first one is dropped
		ids = append(ids, deliver(t, s, someone("a@b"), text(fmt.Sprint(i), "x")).ID)
	}
	if n, err := s.Delete(ids[1]); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	deliver(t, s, someone("a@b"), text("4", "x")) // whose record comes behind that
	b, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, journalName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := journaled(t, other, Options{}).List(t.Context(), Query{}, 0, 10)
	var got []string
	for _, m := range l.Mails {
		got = append(got, m.Subject)
	}
	slices.Sort(got)
	if err != nil || strings.Join(got, " ") != "2 3 4" {
		t.Errorf("%q came from the journal, %v", got, err)
	}
}

// TestJournalIdle: when nothing comes the journal is voided, so that nothing comes back later.
func TestJournalIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := journaled(t, dir, Options{})
		deliver(t, s, someone("a@b"), text("x", "y"))
		<-time.After(idleCheck + time.Second)
		synctest.Wait()
		b, err := os.ReadFile(filepath.Join(dir, journalName))
		if _, _, ok := readRecord(b); ok || err != nil || len(b) == 0 {
			t.Errorf("it has a record still: %d bytes, %v", len(b), err)
		}
	})
}

// TestJournalDamaged: of a journal counts what is whole, up to what is not, or is of another time.
func TestJournalDamaged(t *testing.T) {
	t.Parallel()
	rec := func(gen uint64, kind byte, n int, data string) []byte {
		return appendRecord(nil, gen, kind, 0, fmt.Sprintf("%d%sx", n, ourMark), []byte(text(data, "x")))
	}
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	}
	evil := appendRecord(nil, 1, 'm', 0, "../../evil"+ourMark, []byte("x"))
	foreign := appendRecord(nil, 1, 'm', 0, "somebody's", []byte("x"))
	for _, row := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, ""},
		{"zeros", make([]byte, 1000), ""},
		{"text", []byte(strings.Repeat("hello ", 100)), ""},
		{"two", slices.Concat(rec(1, 'm', 1, "a"), rec(1, 'm', 2, "b")), "a b"},
		{"one of another time", slices.Concat(rec(2, 'm', 1, "a"), rec(1, 'm', 2, "b")), "a"},
		{"a torn one", slices.Concat(rec(1, 'm', 1, "a"), rec(1, 'm', 2, "b")[:50]), "a"},
		{"a flipped bit", slices.Concat(rec(1, 'm', 1, "a"), flip(rec(1, 'm', 2, "b")), rec(1, 'm', 3, "c")), "a"},
		{"a deletion", slices.Concat(rec(1, 'm', 1, "a"), rec(1, 'm', 2, "b"), rec(1, 'd', 1, "")), "b"},
		{"a name that leads out", slices.Concat(rec(1, 'm', 1, "a"), evil), "a"},
		{"a name that is not ours", slices.Concat(foreign, rec(1, 'm', 1, "a")), ""},
		{"a long length", []byte("\x00\x00\x00\x00\xff\xff\xff\xff" + strings.Repeat("x", 100)), ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, journalName), row.b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := journaled(t, dir, Options{})
		got := strings.Fields(list(t, s, ""))
		slices.Sort(got)
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: %q, want %s", row.name, got, row.want)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TestJournalShared: a second process on the same Maildir has no journal, and takes mail all the same.
func TestJournalShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := journaled(t, dir, Options{})
	deliver(t, a, someone("a@b"), text("one", "x"))
	b := journaled(t, dir, Options{})
	deliver(t, b, someone("a@b"), text("two", "x"))
	if b.journals() || !a.journals() {
		t.Errorf("they have journals: %v, %v", a.journals(), b.journals())
	}
	if err := errors.Join(b.Close(), a.Close()); err != nil {
		t.Error(err)
	}
	if got := files(t, dir); len(got) != 2 {
		t.Errorf("the files are %q", got)
	}
}

// TestJournalIsNone: what is no regular file is not taken for a journal, and nothing is waited for.
func TestJournalIsNone(t *testing.T) {
	t.Parallel()
	if !canJournal {
		t.Skip("there is no journal on " + runtime.GOOS)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, makeIt := range map[string]func(path string) error{
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link within": func(path string) error {
			return errors.Join(os.WriteFile(filepath.Join(filepath.Dir(path), "x"), nil, 0o600), os.Symlink("x", path))
		},
		"a link that leads out": func(path string) error { return os.Symlink(secret, path) },
		"a FIFO":                func(path string) error { makeFIFO(t, path); return nil },
	} {
		dir := t.TempDir()
		if err := makeIt(filepath.Join(dir, journalName)); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir, Options{Behind: true, Log: quiet}); err == nil {
			_ = s.Close()
			t.Errorf("%s is taken for a journal", name)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("what lies outside has %q, %v", b, err)
	}
}

// FuzzJournal reads records of any bytes, and those that are written are read back.
func FuzzJournal(f *testing.F) {
	f.Add([]byte("x"), "1"+ourMark+"h", uint64(1))
	f.Add(appendRecord(nil, 3, 'm', 5, "2"+ourMark+"h", []byte("data")), "y"+ourMark, uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, base string, gen uint64) {
		if r, rest, ok := readRecord(b); ok && (len(rest) >= len(b) || strings.Contains(r.base, "/")) {
			t.Errorf("%+v, %d bytes of %d are left", r, len(rest), len(b))
		}
		written := append(appendRecord(nil, gen, 'm', 7, base, b), "rest"...)
		r, rest, ok := readRecord(written)
		valid := len(base) <= mostName && !strings.ContainsAny(base, "/\\\x00") && strings.Contains(base, ourMark)
		if ok != valid || ok && (r.gen != gen || r.base != base || !bytes.Equal(r.data, b) || string(rest) != "rest") {
			t.Errorf("it is %+v, %v", r, ok)
		}
	})
}

// TestJournalCheckpoint: a full journal is voided when all that it has have files, and not before; mails that come
// meanwhile wait.
func TestJournalCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := journaled(t, dir, Options{Limits: Limits{JournalBytes: 1}})
		hold := make(chan struct{})
		s.mu.Lock()
		s.behind.before = func() { <-hold }
		s.mu.Unlock()
		deliver(t, s, someone("a@b"), text("first", "x"))
		next := make(chan struct{})
		go func() {
			defer close(next)
			deliver(t, s, someone("a@b"), text("next", "x"))
		}()
		synctest.Wait()
		record := func() bool {
			b, err := os.ReadFile(filepath.Join(dir, journalName))
			if err != nil {
				t.Fatal(err)
			}
			_, _, ok := readRecord(b)
			return ok
		}
		select {
		case <-next:
			t.Error("a mail was taken while the journal was full")
		default:
		}
		if !record() || len(files(t, dir)) != 0 || list(t, s, "") != "first" {
			t.Errorf("the journal is void, and the files are %q", files(t, dir))
		}
		close(hold)
		<-next
		synctest.Wait()
		if record() || len(files(t, dir)) != 2 {
			t.Errorf("the journal is not void; the files are %q", files(t, dir))
		}
	})
}
