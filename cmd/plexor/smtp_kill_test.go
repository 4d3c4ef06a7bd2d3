//go:build unix

package main

import (
	"fmt"
	"io"
	"net/smtp"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/internal/mailcatch"
)

// TestServeSMTPKill kills the command while many send: each mail that was taken is there when the Maildir is opened
// again, and each that is there is whole.
func TestServeSMTPKill(t *testing.T) {
	t.Parallel()
	const senders, kill = 8, 60
	dir := filepath.Join(t.TempDir(), "mail")
	s := serve(t, 1, command("serve", "--loops=1", "smtp=tcp://127.0.0.1:0?maildir="+dir))
	body := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000) + "the end\r\n" // two writes to the file, or three
	var mu sync.Mutex
	taken := make(map[string]bool)
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			c, err := smtp.Dial(s.host(0))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := 0; ; i++ {
				subject := fmt.Sprintf("%d-%d", n, i)
				w, err := begin(c)
				if err == nil {
					_, err = io.WriteString(w, "Subject: "+subject+"\r\n\r\n"+body)
				}
				if err == nil {
					err = w.Close()
				}
				if err != nil {
					return // it was killed
				}
				mu.Lock()
				taken[subject] = true
				enough := len(taken) == kill
				mu.Unlock()
				if enough {
					s.signal(syscall.SIGKILL)
				}
			}
		})
	}
	all.Wait()
	s.exit()
	store, err := mailcatch.Open(dir, mailcatch.Options{Rescan: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l, err := store.List(t.Context(), mailcatch.Query{}, 0, 10*kill)
	if err != nil || len(taken) < kill {
		t.Fatalf("%d were taken, %v", len(taken), err)
	}
	for _, m := range l.Mails {
		delete(taken, m.Subject)
		err := store.Read(t.Context(), m.ID, func(_ mailcatch.Mail, b []byte) error {
			if want := "Subject: " + m.Subject + "\r\n\r\n" + body; string(b) != want {
				t.Errorf("%s: %d bytes are there, of %d", m.Subject, len(b), len(want))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if len(taken) > 0 {
		t.Errorf("they were taken, and are not there: %v", taken)
	}
}

// begin begins a mail.
func begin(c *smtp.Client) (io.WriteCloser, error) {
	if err := c.Mail("a@x.example"); err != nil {
		return nil, err
	}
	if err := c.Rcpt("b@x.example"); err != nil {
		return nil, err
	}
	return c.Data()
}
