package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// refuser is an office that has no user of the name no, and none of the name later at the first try.
func refuser() *office {
	tries := 0
	return &office{rcpt: func(to string) error {
		switch name, _, _ := strings.Cut(to, "@"); name {
		case "no":
			return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
		case "later":
			if tries++; tries == 1 {
				return &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "not now"}
			}
		}
		return nil
	}}
}

// TestReportWaits: a report is not delivered while its message does not say that it was made, and is then.
func TestReportWaits(t *testing.T) {
	s := new(office)
	w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": refuser()}}
	synctest.Test(t, func(t *testing.T) {
		hold, once := make(chan struct{}), new(sync.Once)
		ran(t, w, Options{step: func(name string) {
			if name == "report is made" {
				once.Do(func() { <-hold })
			}
		}}, func(q *Queue) {
			submit(t, q, letterTo("s@s.example", "no@a.example"), "x\r\n")
			synctest.Wait()
			if got := s.got(); len(got) != 0 {
				t.Errorf("the sender got %+v while the message is there", got)
			}
			close(hold)
			synctest.Wait()
			if got := s.got(); len(got) != 1 || q.Stats().Queued != 0 {
				t.Errorf("the sender got %+v; %+v", got, q.Stats())
			}
		})
	})
}

// A picture is what the disk had, and what the sender had got, at a step.
type picture struct {
	step string
	dir  string
	got  int
}

// TestReportOnce: wherever the process ends, the sender gets a report of each kind once, from this process or from who
// opens the queue next: twice only if the end came between the answer to the report and the note of it.
func TestReportOnce(t *testing.T) {
	for name, row := range map[string]struct {
		to      []string
		delay   time.Duration
		reports int
	}{
		"the only recipient":  {[]string{"no@a.example"}, -1, 1},
		"one of three":        {[]string{"yes@a.example", "no@a.example", "later@a.example"}, -1, 1},
		"two domains":         {[]string{"no@a.example", "no@b.example"}, -1, 2},
		"late, and then done": {[]string{"later@a.example"}, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range pictures(t, row.to, row.delay) {
				s := new(office)
				w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": refuser(), "b.example:25": refuser()}}
				synctest.Test(t, func(t *testing.T) {
					ranIn(t, p.dir, w, Options{Delay: row.delay}, func(q *Queue) {
						<-time.After(time.Hour)
						synctest.Wait()
						if n := q.Stats().Queued; n != 0 {
							t.Errorf("%s: %d messages are left", p.step, n)
						}
					})
				})
				most := row.reports
				if strings.HasSuffix(p.step, "of a report") {
					most++
				}
				if n := p.got + len(s.got()); n < row.reports || n > most {
					t.Errorf("%s: the sender got %d reports before and %d behind it, want %d", p.step, p.got, len(s.got()),
						row.reports)
				}
			}
		})
	}
}

// pictures has a message delivered, and makes a picture at each step from when it was taken on.
func pictures(t *testing.T, to []string, delay time.Duration) (all []picture) {
	root, s := t.TempDir(), new(office)
	w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": refuser(), "b.example:25": refuser()}}
	dir, taken, sent := filepath.Join(root, "spool"), false, 0
	synctest.Test(t, func(t *testing.T) {
		ranIn(t, dir, w, Options{Delay: delay, Deliveries: 1, step: func(name string) {
			if !taken { // Submit's
				taken = name == "env is there for good"
				return
			}
			got := len(s.got())
			p := picture{step: fmt.Sprintf("%d: %s", len(all), name), dir: filepath.Join(root, fmt.Sprint(len(all))), got: got}
			switch {
			case name == "message is answered" && got > sent: // up to "env is gone", the disk does not know that
				sent = got
				p.step += " of a report"
			case len(all) > 0 && strings.HasSuffix(all[len(all)-1].step, "of a report") && name != "env is gone":
				p.step += " of a report"
			}
			if err := os.CopyFS(p.dir, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
			all = append(all, p)
		}}, func(q *Queue) {
			submit(t, q, letterTo("s@s.example", to...), "x\r\n")
			<-time.After(time.Hour)
			synctest.Wait()
		})
	})
	if !slices.ContainsFunc(all, func(p picture) bool { return strings.HasSuffix(p.step, "report is made") }) {
		t.Fatalf("no report was made: %+v", all)
	}
	return all
}

// TestRemovedInPart: a message whose envelope could not be removed for good is removed later, and its report goes out.
func TestRemovedInPart(t *testing.T) {
	s := new(office)
	w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": refuser()}}
	synctest.Test(t, func(t *testing.T) {
		dir, away := t.TempDir(), t.TempDir()
		env, kept, once := filepath.Join(dir, envFolder), filepath.Join(away, envFolder), new(sync.Once)
		ranIn(t, dir, w, Options{step: func(name string) {
			if name == "env is gone" { // the folder can't be opened from now on: it leads out of the spool
				once.Do(func() {
					if err := errors.Join(os.Rename(env, kept), os.Symlink(kept, env)); err != nil {
						t.Error(err)
					}
				})
			}
		}}, func(q *Queue) {
			submit(t, q, letterTo("s@s.example", "no@a.example"), "x\r\n")
			synctest.Wait()
			if st := q.Stats(); len(s.got()) != 0 || st.Queued != 1 {
				t.Errorf("the sender got %+v; %+v", s.got(), st)
			}
			if err := errors.Join(os.Remove(env), os.Rename(kept, env)); err != nil {
				t.Fatal(err)
			}
			<-time.After(firstRetry)
			synctest.Wait()
			if st := q.Stats(); len(s.got()) != 1 || st.Queued != 0 || len(left(t, q)) != 0 {
				t.Errorf("later the sender got %+v; %+v; %q are left", s.got(), st, left(t, q))
			}
		})
	})
}
