package queue

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// left are the files of a queue's spool.
func left(t *testing.T, q *Queue) (files []string) {
	t.Helper()
	err := fs.WalkDir(q.spool.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDelivers: a message goes to the servers of its recipients' domains, once to each, and the spool is empty then.
func TestDelivers(t *testing.T) {
	a, b := new(office), new(office)
	w := &town{offices: map[string]*office{"mx1.a.example:25": nil, "mx2.a.example:25": a, "b.example:25": b},
		mx: map[string][]*net.MX{"a.example": {{Host: "mx2.a.example.", Pref: 20}, {Host: "mx1.a.example.", Pref: 10}}}}
	inTown(t, w, Options{}, func(t *testing.T, q *Queue) {
		submit(t, q, letterTo("s@s.example", "x@a.example", "y@B.example", "z@A.example"), "Subject: x\r\n\r\n.\r\n")
		synctest.Wait()
		for name, row := range map[string]struct {
			o    *office
			want []string
		}{"a": {a, []string{"x@a.example", "z@A.example"}}, "b": {b, []string{"y@B.example"}}} {
			got := row.o.got()
			if len(got) != 1 || !slices.Equal(got[0].to, row.want) || got[0].text != "Subject: x\r\n\r\n.\r\n" ||
				got[0].from != "s@s.example" {
				t.Errorf("%s got %+v", name, got)
			}
		}
		if files := left(t, q); len(files) > 0 {
			t.Errorf("%q are left", files)
		}
		if s := q.Stats(); s != (Stats{Delivered: 3}) {
			t.Errorf("the stats are %+v", s)
		}
	})
}

// TestOneConnection: many messages for a domain go by one connection, up to what the server takes on it.
func TestOneConnection(t *testing.T) {
	for most, dials := range map[int]int{1000: 1, 10: 5} {
		a := &office{limits: smtp.Limits{Messages: most}}
		w := &town{offices: map[string]*office{"a.example:25": a}}
		inTown(t, w, Options{Deliveries: 1}, func(t *testing.T, q *Queue) {
			q.mu.Lock() // so that none is sent before all are there
			var envelopes []*envelope
			for range 50 {
				e := &envelope{From: smtp.Mailbox{}, To: []recipient{{Recipient: letterTo("", "x@a.example").To[0]}}}
				if err := q.spool.add(e, strings.NewReader("x\r\n"), nil); err != nil {
					t.Fatal(err)
				}
				envelopes = append(envelopes, e)
			}
			for _, e := range envelopes {
				q.items[e.ID] = &item{env: e}
			}
			q.mu.Unlock()
			q.nudge()
			synctest.Wait()
			if len(a.got()) != 50 || a.dials != dials {
				t.Errorf("%d on a connection: %d messages by %d connections, want %d", most, len(a.got()), a.dials, dials)
			}
		})
	}
}

// TestRetries: a server that does not take mail now is asked again, later each time, until it does.
func TestRetries(t *testing.T) {
	begin, n := time.Time{}, 0
	a := new(office)
	a.rcpt = func(string) error {
		if n++; n < 9 {
			return &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "not now"}
		}
		return nil
	}
	w := &town{offices: map[string]*office{"a.example:25": a}}
	inTown(t, w, Options{}, func(t *testing.T, q *Queue) {
		begin = time.Now()
		submit(t, q, letterTo("s@s.example", "x@a.example"), "x\r\n")
		<-time.After(30 * time.Hour)
		synctest.Wait()
		var got []time.Duration
		for _, at := range a.tries {
			got = append(got, at.Sub(begin))
		}
		m, h := time.Minute, time.Hour
		want := []time.Duration{0, 5 * m, 15 * m, 35 * m, 75 * m, 155 * m, 315 * m, 315*m + 4*h, 315*m + 8*h}
		if !slices.Equal(got, want) || len(a.got()) != 1 || q.Stats().Queued != 0 || q.Stats().Deferred != 8 {
			t.Errorf("it was tried after %v, want %v; %+v", got, want, q.Stats())
		}
	})
}

// TestReports: what becomes of mail that is refused, or can't be delivered for five days, and who is told.
func TestReports(t *testing.T) {
	for _, row := range []struct {
		name   string
		from   string
		to     string
		notify smtp.Notify
		after  time.Duration
		want   string // in the report; "": there is none
	}{
		{"refused", "s@s.example", "no@a.example", 0, 0, "Status: 5.1.1"},
		{"refused, and it is to be told", "s@s.example", "no@a.example", smtp.NotifyFailure | smtp.NotifyDelay, 0,
			"Final-Recipient: rfc822; no@a.example\r\n"},
		{"refused, and nobody cares", "s@s.example", "no@a.example", smtp.NotifyNever, 0, ""},
		{"refused, and only success counts", "s@s.example", "no@a.example", smtp.NotifySuccess, 0, ""},
		{"a report that is refused", "", "no@a.example", 0, 0, ""},
		{"for five days", "s@s.example", "later@a.example", 0, 5*24*time.Hour + 5*time.Hour, "Status: 4.7.1"},
		{"no domain", "s@s.example", "x@nowhere.example", 0, 0, "Status: 5.1.2"},
		{"a domain without mail", "s@s.example", "x@null.example", 0, 0, "Status: 5.1.10"},
		{"a server that is ours", "s@s.example", "x@loop.example", 0, 0, "Status: 5.4.6"},
		{"a resolver that does not answer", "s@s.example", "x@dark.example", 0, 6 * 24 * time.Hour, "Status: 4.4.3"},
		{"a server that does not answer", "s@s.example", "x@down.example", 0, 6 * 24 * time.Hour, "Status: 4.4.1"},
		{"passed on", "s@s.example", "x@a.example", smtp.NotifySuccess, 0, "Action: relayed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, a := new(office), new(office)
			a.rcpt = func(to string) error {
				switch to {
				case "no@a.example":
					return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
				case "later@a.example":
					return &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "not now"}
				}
				return nil
			}
			w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": a, "mx.down.example:25": nil},
				mx: map[string][]*net.MX{"null.example": {{Host: "."}}, "loop.example": {{Host: "Queue.example.", Pref: 5},
					{Host: "other.example.", Pref: 5}}, "dark.example": nil, "down.example": {{Host: "mx.down.example."}}}}
			inTown(t, w, Options{Delay: -1}, func(t *testing.T, q *Queue) {
				e := letterTo(row.from, row.to)
				e.To[0].Notify = row.notify
				submit(t, q, e, "Subject: hello\r\n\r\nsecret\r\n")
				<-time.After(row.after)
				synctest.Wait()
				got := s.got()
				if row.want == "" && len(got) > 0 || row.want != "" && len(got) != 1 {
					t.Fatalf("the sender got %+v", got)
				}
				if row.want != "" && (!strings.Contains(got[0].text, row.want) || got[0].from != "" ||
					!strings.Contains(got[0].text, "Subject: hello\r\n") || strings.Contains(got[0].text, "secret")) {
					t.Errorf("the sender got %s", got[0].text)
				}
				if files := left(t, q); len(files) > 0 {
					t.Errorf("%q are left", files)
				}
			})
		})
	}
}

// TestSomeFail: recipients have each their own end.
func TestSomeFail(t *testing.T) {
	s, a := new(office), new(office)
	tries := 0
	a.rcpt = func(to string) error {
		switch tries++; {
		case strings.HasPrefix(to, "no"):
			return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
		case strings.HasPrefix(to, "later") && tries < 5:
			return &smtp.Error{Code: 450, Enhanced: smtp.Enhanced{4, 2, 1}, Text: "busy"}
		}
		return nil
	}
	w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": a}}
	inTown(t, w, Options{}, func(t *testing.T, q *Queue) {
		submit(t, q, letterTo("s@s.example", "yes@a.example", "no@a.example", "later@a.example"), "x\r\n")
		<-time.After(time.Hour)
		synctest.Wait()
		got := a.got()
		if len(got) != 2 || !slices.Equal(got[0].to, []string{"yes@a.example"}) ||
			!slices.Equal(got[1].to, []string{"later@a.example"}) || len(s.got()) != 1 {
			t.Errorf("they got %+v, the sender %+v", got, s.got())
		}
		if st := q.Stats(); st.Delivered != 3 || st.Failed != 1 || st.Reports != 1 || st.Queued != 0 {
			t.Errorf("the stats are %+v", st)
		}
	})
}

// TestOpenAgain: what was not delivered is, by who opens the queue next, at the time that was set.
func TestOpenAgain(t *testing.T) {
	a := new(office)
	w := &town{offices: map[string]*office{"a.example:25": nil}}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := Options{Resolver: w, Dial: w.dial, Log: quiet}
		for round := range 2 {
			q, err := Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				submit(t, q, letterTo("s@s.example", "x@a.example"), "x\r\n")
			} else {
				w.offices["a.example:25"] = a
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- q.Run(ctx) }()
			<-time.After(2 * time.Minute)
			if len(a.got()) > 0 || q.Stats().Queued != 1 {
				t.Errorf("round %d: %+v, %+v", round, a.got(), q.Stats())
			}
			if round == 1 {
				<-time.After(2 * time.Minute)
				if len(a.got()) != 1 || q.Stats().Queued != 0 {
					t.Errorf("at last: %+v, %+v", a.got(), q.Stats())
				}
			}
			cancel()
			<-ended
			_ = q.Close()
		}
	})
}

// TestFull: a queue has a bound.
func TestFull(t *testing.T) {
	w := &town{offices: map[string]*office{"a.example:25": nil}}
	inTown(t, w, Options{Most: 2}, func(t *testing.T, q *Queue) {
		for i, want := range []error{nil, nil, ErrFull} {
			if _, err := q.Submit(letterTo("", "x@a.example"), strings.NewReader("x\r\n")); err != want {
				t.Errorf("message %d: %v", i, err)
			}
		}
	})
}

// TestHalfNoted: a message whose envelope is there, and not for sure, was not taken; it leaves no envelope without a
// message behind, which nobody could deliver or report.
func TestHalfNoted(t *testing.T) {
	dir, away := t.TempDir(), t.TempDir()
	env, kept := filepath.Join(dir, envFolder), filepath.Join(away, envFolder)
	o := Options{Log: quiet, step: func(name string) {
		if name == "env is there" { // the folder can't be opened from now on: it leads out of the spool
			if err := errors.Join(os.Rename(env, kept), os.Symlink(kept, env)); err != nil {
				t.Error(err)
			}
		}
	}}
	q, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Submit(letterTo("", "x@a.example"), strings.NewReader("x\r\n")); err == nil {
		t.Error("the message was taken")
	}
	if err := errors.Join(os.Remove(env), os.Rename(kept, env)); err != nil {
		t.Fatal(err)
	}
	got := left(t, q)
	if len(got) != 2 || filepath.Base(got[0]) != filepath.Base(got[1]) {
		t.Errorf("%q are left, want an envelope with its message, or neither", got)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestNotedLater: where what became of a message could not be noted, that is tried again, and nothing is sent: not to
// the server of this machine, either, which is that of no name.
func TestNotedLater(t *testing.T) {
	s, here := new(office), new(office)
	w := &town{offices: map[string]*office{"s.example:25": s, ":25": here}}
	inTown(t, w, Options{Most: 1}, func(t *testing.T, q *Queue) {
		submit(t, q, letterTo("s@s.example", "x@nowhere.example"), "x\r\n")
		synctest.Wait()
		if st := q.Stats(); st.Failed != 1 || st.Queued != 1 || st.Reports != 0 {
			t.Fatalf("there is no room for a report: %+v", st)
		}
		q.mu.Lock()
		q.o.Most = 2
		q.mu.Unlock()
		<-time.After(firstRetry)
		synctest.Wait()
		if st := q.Stats(); len(s.got()) != 1 || st.Queued != 0 || here.dials != 0 {
			t.Errorf("the sender got %+v; %d connections to this machine; %+v", s.got(), here.dials, st)
		}
	})
}

// TestBackend: a server that puts mail into the queue.
func TestBackend(t *testing.T) {
	a := new(office)
	w := &town{offices: map[string]*office{"a.example:25": a}}
	inTown(t, w, Options{}, func(t *testing.T, q *Queue) {
		srv := &smtp.Server{Log: quiet, Name: "queue.example", Backend: q.Backend(
			func(_ context.Context, _ smtp.Peer, to smtp.Mailbox) error {
				if to.Domain != "a.example" {
					return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "no relay"}
				}
				return nil
			})}
		client, server := net.Pipe()
		go func() { _ = srv.Serve(t.Context(), server) }()
		c, err := smtp.NewClient(t.Context(), client, smtp.ClientOptions{Name: "s.example"})
		if err != nil {
			t.Fatal(err)
		}
		m := &smtp.Message{To: letterTo("", "x@a.example", "y@b.example").To,
			Data: strings.NewReader("Subject: x\r\n\r\nx\r\n")}
		if r, err := c.Send(t.Context(), m); err != nil || r.Errors[0] != nil || r.Errors[1] == nil {
			t.Errorf("Send: %v, %+v", err, r)
		}
		synctest.Wait()
		got := a.got()
		if len(got) != 1 || !strings.HasPrefix(got[0].text, "Received: from s.example\r\n\tby queue.example with ESMTP\r\n"+
			"\tfor <x@a.example>;\r\n\t") || !strings.HasSuffix(got[0].text, "\r\nSubject: x\r\n\r\nx\r\n") {
			t.Errorf("it got %+v", got)
		}
		m.Data, m.To = strings.NewReader(strings.Repeat("Received: x\r\n", 100)+"\r\nx\r\n"), m.To[:1]
		if _, err := c.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "5.4.6") {
			t.Errorf("a message that goes round: %v", err)
		}
		_ = c.Quit(t.Context())
		if files := left(t, q); len(files) > 0 {
			t.Errorf("%q are left", files)
		}
	})
}
