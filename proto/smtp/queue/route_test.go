package queue

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// TestRoutes: the servers of a domain, in their order (RFC 5321, section 5.1; RFC 7505).
func TestRoutes(t *testing.T) {
	mx := func(list ...string) (all []*net.MX) { // the host's number is its preference
		for _, h := range list {
			all = append(all, &net.MX{Host: h + ".example.", Pref: uint16(h[len(h)-1] - '0')})
		}
		return all
	}
	w := &town{mx: map[string][]*net.MX{"one": mx("a1"), "two": mx("b2", "a1"), "own": mx("queue2", "a1", "c3", "b2"),
		"best": mx("queue1", "b2"), "null": {{Host: "."}}, "dark": nil, "empty": {},
		"many": mx(strings.Split("a1 a1 a1 a1 a1 a1 a1 a1 a1 a1 a1 a1 a1", " ")...)}}
	q, err := Open(t.TempDir(), Options{Resolver: w, Name: "Queue2.example", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for domain, want := range map[string]string{"one": "a1.example", "two": "a1.example b2.example", "own": "a1.example",
		"none": "none", "empty": "empty", "[192.0.2.1]": "192.0.2.1", "[ipv6:2001:db8::1]": "2001:db8::1",
		"null": "5.1.10", "dark": "4.4.3", "best": "queue1.example b2.example",
		"many": strings.TrimSpace(strings.Repeat("a1.example ", mostHosts))} {
		got, failed := q.hosts(t.Context(), domain)
		if failed != nil {
			got = []string{failed.Enhanced.String()}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", domain, got, want)
		}
	}
	q.o.Name = "queue1.example"
	if _, failed := q.hosts(t.Context(), "best"); failed != errLoop {
		t.Errorf("a server that is ours: %v", failed)
	}
	w.mx["equal"] = mx("a1", "b1")
	first := make(map[string]int)
	for range 200 {
		got, _ := q.hosts(t.Context(), "equal")
		first[got[0]]++
	}
	if first["a1.example"] < 20 || first["b1.example"] < 20 {
		t.Errorf("equals are first %v times", first)
	}
}

// TestSchedule: the times are the owner's.
func TestSchedule(t *testing.T) {
	var got []int
	w := &town{offices: map[string]*office{"a.example:25": nil}}
	o := Options{Expire: 10 * time.Minute, Retry: func(n int) time.Duration { got = append(got, n); return time.Minute }}
	inTown(t, w, o, func(t *testing.T, q *Queue) {
		submit(t, q, letterTo("", "x@a.example"), "x\r\n")
		<-time.After(time.Hour)
		synctest.Wait()
		if !slices.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) || q.Stats().Failed != 1 {
			t.Errorf("tries %v, %+v", got, q.Stats())
		}
	})
}

// TestSlowDomain: a domain whose servers let us wait has a part of the connections and not all of them.
func TestSlowDomain(t *testing.T) {
	for _, row := range []struct {
		o     Options
		dials int // to the slow one
	}{{Options{Deliveries: 2}, 1}, {Options{Deliveries: 8}, 4}, {Options{Deliveries: 8, PerDomain: 3}, 3},
		{Options{Deliveries: 3, Smarthost: "slow.example:25", Security: smtp.NoTLS}, 3}} {
		var hold chan struct{} // of the bubble
		slow, quick := new(office), new(office)
		slow.rcpt = func(string) error { <-hold; return nil }
		w := &town{offices: map[string]*office{"slow.example:25": slow, "quick.example:25": quick}}
		inTown(t, w, row.o, func(t *testing.T, q *Queue) {
			hold = make(chan struct{})
			for range 10 {
				submit(t, q, letterTo("", "x@slow.example"), "x\r\n")
				synctest.Wait() // so that each has a delivery of its own, if there is one
			}
			submit(t, q, letterTo("", "x@slow.example", "x@quick.example"), "x\r\n")
			synctest.Wait()
			quicker := len(quick.got()) == 1 || row.o.Smarthost != ""
			if slow.dials != row.dials || !quicker {
				t.Errorf("%+v: %d connections to the slow domain, want %d; the quick one got %+v", row.o, slow.dials, row.dials,
					quick.got())
			}
			close(hold)
			synctest.Wait()
			if n := len(slow.got()); n != 11 && row.o.Smarthost == "" || q.Stats().Queued != 0 || len(q.under) != 0 {
				t.Errorf("%+v: at last the slow domain got %d messages, %+v, %v", row.o, n, q.Stats(), q.under)
			}
		})
	}
}

// TestReportFields: a report says what the sender said, and can't be broken out of.
func TestReportFields(t *testing.T) {
	s := new(office)
	w := &town{offices: map[string]*office{"s.example:25": s}}
	inTown(t, w, Options{}, func(t *testing.T, q *Queue) {
		e := letterTo("s@s.example", "x@nowhere.example")
		e.Options = smtp.MailOptions{EnvelopeID: "id 7\r\nEvil: x", Return: smtp.ReturnFull}
		e.To[0].OriginalType, e.To[0].Original = "rfc822", "y@z.example"
		submit(t, q, e, "Subject: x\r\n\r\nthe text\r\n")
		synctest.Wait()
		got := s.got()
		if len(got) != 1 {
			t.Fatalf("the sender got %+v", got)
		}
		for _, want := range []string{"\r\nOriginal-Envelope-Id: id 7  Evil: x\r\n",
			"\r\nReporting-MTA: dns; queue.example\r\n",
			"\r\nOriginal-Recipient: rfc822; y@z.example\r\n", "\r\nFinal-Recipient: rfc822; x@nowhere.example\r\n",
			"\r\nAction: failed\r\n", "\r\nDiagnostic-Code: smtp; 550 5.1.2 ", "\r\nthe text\r\n",
			"\r\nContent-Type: message/rfc822\r\n", "\r\nAuto-Submitted: auto-replied\r\n"} {
			if !strings.Contains(got[0].text, want) {
				t.Errorf("there is no %q in %s", want, got[0].text)
			}
		}
	})
}

// TestRequireTLS: a message that must go by TLS does not go without, and its report must, too (RFC 8689).
func TestRequireTLS(t *testing.T) {
	s, a := new(office), new(office)
	w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": a}}
	inTown(t, w, Options{}, func(t *testing.T, q *Queue) {
		e := letterTo("s@s.example", "x@a.example")
		e.Options.RequireTLS, e.Options.Return = true, smtp.ReturnFull
		var report string
		q.o.step = func(name string) {
			if name != "report is made" {
				return
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			for _, it := range q.items {
				for _, made := range it.env.held {
					if !made.From.IsNull() || !made.Options.RequireTLS {
						continue
					}
					b, err := q.spool.root.ReadFile(dataFolder + "/" + made.ID)
					if err != nil {
						t.Error(err)
					}
					report = string(b)
				}
			}
		}
		submit(t, q, e, "Subject: x\r\n\r\nsecret\r\n")
		synctest.Wait()
		if len(a.got())+len(s.got()) > 0 || !strings.Contains(report, "Status: 5.7.10") ||
			strings.Contains(report, "secret") {
			t.Errorf("%+v, %+v, the report: %s", a.got(), s.got(), report)
		}
	})
}

// TestReasons: what is not a server's word is tried again, unless no try changes it.
func TestReasons(t *testing.T) {
	for err, temporary := range map[error]bool{errors.New("connection reset"): true, smtp.ErrNotOffered: false,
		smtp.ErrAddress: false, smtp.ErrLeaving: true, smtp.ErrTooLarge: false} {
		if got := reason(err); got == nil || got.Temporary() != temporary {
			t.Errorf("%v is %v", err, got)
		}
	}
	if reason(nil) != nil {
		t.Error("nothing is something")
	}
}
