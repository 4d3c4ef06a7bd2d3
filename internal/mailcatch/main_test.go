package mailcatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		journalChild(dir)
	}
	os.Exit(leak.Main(m))
}

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// someone is an envelope as the server of these tests has them.
func someone(to ...string) Envelope {
	return Envelope{From: "sender@example.com", To: to, Helo: "client.example.com", Peer: netip.MustParseAddr("192.0.2.7"),
		Protocol: "ESMTPS"}
}

// text is a mail with a subject.
func text(subject, body string) string {
	mail := "From: Some One <one@example.com>\nTo: two@example.com\nSubject: " + subject + "\n\n" + body + "\n"
	return strings.ReplaceAll(mail, "\n", "\r\n")
}

// openStore opens a store for a test.
func openStore(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	o.NoSync = true
	o.Log = quiet
	if o.Rescan == 0 {
		o.Rescan = -1
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests close it
	return s
}

func deliver(t testing.TB, s *Store, e Envelope, mail string) Mail {
	t.Helper()
	m, err := s.Deliver(context.Background(), e, strings.NewReader(mail))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// content is a mail's bytes.
func content(t testing.TB, s *Store, id string) string {
	t.Helper()
	f, size, err := s.Raw(id)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("%d bytes of %d: %v", len(b), size, err)
	}
	return string(b)
}

// files are those of the Maildir, by folder.
func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	for _, d := range []string{tmpDir, newDir, curDir} {
		found, err := filepath.Glob(filepath.Join(dir, d, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(dir, f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, rel)
		}
	}
	return all
}

// list is the subjects of what a query finds.
func list(t testing.TB, s *Store, q string) string {
	t.Helper()
	l, err := s.List(context.Background(), ParseQuery(q), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var subjects []string
	for _, m := range l.Mails {
		subjects = append(subjects, m.Subject)
	}
	return strings.Join(subjects, " ")
}

// brokenReader fails behind its text.
type brokenReader struct{ r io.Reader }

var errBroken = errors.New("the sender has gone")

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

// numbered is n mails, of which each has its number as its subject.
func numbered(t testing.TB, s *Store, n int) (ids []string) {
	t.Helper()
	for i := range n {
		ids = append(ids, deliver(t, s, someone("to@example.com"), text(fmt.Sprint(i), "hello")).ID)
	}
	return ids
}
