package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/proto/smtp/queue"
)

// A program is what the power is cut under, as two processes: one writes to a folder on the disk, and prints the name
// of each thing as soon as it is promised to be safe, until it is killed; the other, after the failure, prints those
// of all that there is.
type program struct {
	write, read func(dir string, print func(name string)) error
}

var programs = map[string]program{
	"mail queue": {writeMail, readMail},
	"jobs":       jobs(""),
	"many jobs":  manyJobs(),
	"lazy jobs":  jobs("?sync=off"),
	"slow jobs":  {write: publishSlowly},
	"careless":   {writeCarelessly, readFiles},
	"careful":    {writeCarefully, readFiles},
}

// roleVariable names the program and the half of it that this process is: "mail queue/write".
const roleVariable, dirVariable = "PLEXOR_POWERCUT", "PLEXOR_POWERCUT_DIR"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	name, half, _ := strings.Cut(role, "/")
	f := programs[name].read
	if half == "write" {
		f = programs[name].write
	}
	var mu sync.Mutex
	err := f(os.Getenv(dirVariable), func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Println(name); err != nil {
			os.Exit(1) // nobody hears it
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writers is how many things are written at once.
const writers = 4

// write has things written until one fails, which the power failure makes them.
func write(print func(string), writers int, one func(name string) error) error {
	failed := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d", w, i)
				if err := one(name); err != nil {
					failed <- err
					return
				}
				print(name)
			}
		}()
	}
	return <-failed
}

// writeCarelessly makes files as many programs do: without fsync.
func writeCarelessly(dir string, print func(string)) error {
	return write(print, writers, func(name string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600)
	})
}

// writeCarefully syncs each file, gives it its name, and syncs that.
func writeCarefully(dir string, print func(string)) error {
	return write(print, writers, func(name string) error {
		f, err := os.Create(filepath.Join(dir, name+".tmp"))
		if err != nil {
			return err
		}
		_, err = io.WriteString(f, name)
		if err := errors.Join(err, f.Sync(), f.Close(), os.Rename(f.Name(), filepath.Join(dir, name))); err != nil {
			return err
		}
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	})
}

// readFiles prints the names of files that are whole.
func readFiles(dir string, print func(string)) error {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		if string(b) == f.Name() {
			print(f.Name())
		}
	}
	return err
}

// writeMail submits messages to the mail queue. What it has taken, it has to deliver.
func writeMail(dir string, print func(string)) error {
	q, err := queue.Open(dir, queue.Options{Name: "queue.test"})
	if err != nil {
		return err
	}
	return write(print, writers, func(name string) error {
		m := smtp.Mailbox{Local: "someone", Domain: "example.org"}
		_, err := q.Submit(queue.Envelope{From: m, To: []smtp.Recipient{{Mailbox: m}}},
			strings.NewReader("Subject: "+name+"\r\n\r\nhello\r\n"))
		return err
	})
}

// readMail has the queue deliver what it has, to a server of this process.
func readMail(dir string, print func(string)) error {
	srv := &smtp.Server{Name: "server.test", Backend: smtp.BackendFunc(
		func(context.Context, smtp.Peer) (smtp.Session, error) { return &printer{print: print}, nil })}
	q, err := queue.Open(dir, queue.Options{Name: "queue.test", Smarthost: "server.test:25", Security: smtp.NoTLS,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _ = srv.Serve(context.Background(), theirs) }() // its end is the client's
			return ours, nil
		}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()
	looks := time.NewTicker(5 * time.Millisecond)
	defer looks.Stop()
	for end := time.Now().Add(patience); q.Stats().Queued > 0; <-looks.C {
		if time.Now().After(end) {
			return fmt.Errorf("the queue does not deliver: %+v", q.Stats())
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return q.Close()
}

// A printer is a session that prints the subjects of messages.
type printer struct{ print func(string) }

func (*printer) Mail(context.Context, smtp.Mailbox, *smtp.MailOptions) error { return nil }
func (*printer) Rcpt(context.Context, smtp.Mailbox, *smtp.RcptOptions) error { return nil }
func (*printer) Reset()                                                      {}
func (*printer) Close(error)                                                 {}

func (p *printer) Data(_ context.Context, r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "Subject: "); ok {
			p.print(strings.TrimSpace(name))
			return "", nil
		}
	}
	return "", fmt.Errorf("a message of %d bytes without its subject", len(b))
}

// patience is how long a step may take.
const patience = time.Minute

// cuts is how often the power is cut under each program: PLEXOR_POWER_CUTS, or a few times.
func cuts(t *testing.T) int {
	s := os.Getenv("PLEXOR_POWER_CUTS")
	if s == "" {
		return 6
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("PLEXOR_POWER_CUTS is %q, and should be a number", s)
	}
	return n
}
