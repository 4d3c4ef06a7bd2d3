package queue

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// TestDelay: the sender of a message that waits is told so once, at the time that was set, unless a recipient has
// NOTIFY without DELAY, or there is nobody to tell; what becomes of the message is told on its own.
func TestDelay(t *testing.T) {
	const hour = time.Hour
	for _, row := range []struct {
		name    string
		from    string
		notify  smtp.Notify
		after   time.Duration // of Options
		comes   time.Duration // when the server takes mail; 0: it does not
		reports int           // of delay
	}{
		{"as it is", "s@s.example", 0, 0, 0, 1},
		{"it is asked for", "s@s.example", smtp.NotifyDelay | smtp.NotifyFailure, 3 * hour, 0, 1},
		{"it alone is asked for", "s@s.example", smtp.NotifyDelay, 3 * hour, 0, 1},
		{"failures alone", "s@s.example", smtp.NotifyFailure, 3 * hour, 0, 0},
		{"success alone", "s@s.example", smtp.NotifySuccess, 3 * hour, 0, 0},
		{"never", "s@s.example", smtp.NotifyNever, 3 * hour, 0, 0},
		{"a report", "", 0, 3 * hour, 0, 0},
		{"off", "s@s.example", 0, -1, 0, 0},
		{"it was in time", "s@s.example", 0, 3 * hour, 2 * hour, 0},
		{"it comes later", "s@s.example", 0, 3 * hour, 20 * hour, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, a := new(office), new(office)
			synctest.Test(t, func(t *testing.T) {
				w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": a}}
				begin := time.Now()
				a.rcpt = func(string) error {
					if row.comes > 0 && time.Since(begin) >= row.comes {
						return nil
					}
					return &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "not now"}
				}
				ran(t, w, Options{Delay: row.after}, func(q *Queue) {
					e := letterTo(row.from, "x@a.example")
					e.To[0].Notify, e.Options.Return = row.notify, smtp.ReturnFull
					submit(t, q, e, "Subject: hello\r\n\r\nsecret\r\n")
					<-time.After(4*24*time.Hour + 20*time.Hour)
					synctest.Wait()
					due := row.after
					if due == 0 {
						due = defaultDelay
					}
					checkDelay(t, s.got(), row.reports, begin.Add(due))
					want := 1
					if row.comes > 0 {
						want = 0
					}
					if got := q.Stats().Queued; got != want {
						t.Errorf("%d messages wait, want %d", got, want)
					}
				})
			})
		})
	}
}

// checkDelay checks what a sender got.
func checkDelay(t *testing.T, got []letter, reports int, due time.Time) {
	t.Helper()
	if len(got) != reports {
		t.Fatalf("the sender got %+v", got)
	}
	for _, l := range got {
		for _, want := range []string{"\r\nAction: delayed\r\nStatus: 4.7.1\r\n", "\r\nSubject: Delayed mail\r\n",
			"\r\nFinal-Recipient: rfc822; x@a.example\r\n", "\r\nWill-Retry-Until: ", "\r\nSubject: hello\r\n"} {
			if !strings.Contains(l.text, want) {
				t.Errorf("there is no %q in %s", want, l.text)
			}
		}
		if strings.Contains(l.text, "secret") || l.from != "" {
			t.Errorf("from %q: %s", l.from, l.text)
		}
		if early, late := l.at.Before(due), l.at.After(due.Add(time.Second)); early || late {
			t.Errorf("it came at %v, and was due at %v", l.at, due)
		}
	}
}

// TestDelayBehindRestart: who was told is not told again by who opens the queue next; and a failure is told, too.
func TestDelayBehindRestart(t *testing.T) {
	s := new(office)
	synctest.Test(t, func(t *testing.T) {
		w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": nil}}
		dir := t.TempDir()
		for round := range 3 {
			ranIn(t, dir, w, Options{Delay: time.Hour, Expire: 2 * 24 * time.Hour}, func(q *Queue) {
				if round == 0 {
					submit(t, q, letterTo("s@s.example", "x@a.example"), "x\r\n")
				}
				<-time.After(20 * time.Hour)
				synctest.Wait()
			})
		}
		var actions []string
		for _, l := range s.got() {
			_, rest, _ := strings.Cut(l.text, "\r\nAction: ")
			action, _, _ := strings.Cut(rest, "\r\n")
			actions = append(actions, action)
		}
		if strings.Join(actions, " ") != "delayed failed" {
			t.Errorf("the sender was told: %q", actions)
		}
	})
}
