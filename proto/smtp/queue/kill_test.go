package queue

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// What a child finds in its environment: the spool, the server that gets all mail, where it is to be killed, and at the
// how manieth time that it comes there. Without a step it submits nothing, and delivers what is there.
const (
	childFolder = "QUEUE_TEST_FOLDER"
	childServer = "QUEUE_TEST_SERVER"
	childStep   = "QUEUE_TEST_STEP"
	childTime   = "QUEUE_TEST_TIME"
)

// child is a process with a queue. It says each message that was taken.
func child() {
	step := os.Getenv(childStep)
	n, _ := strconv.Atoi(os.Getenv(childTime))
	var mu sync.Mutex
	o := Options{Smarthost: os.Getenv(childServer), Security: smtp.NoTLS, Log: quiet, step: func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if name == step {
			if n--; n == 0 {
				self, _ := os.FindProcess(os.Getpid())
				_ = self.Kill()
				select {}
			}
		}
	}}
	q, err := Open(os.Getenv(childFolder), o)
	if err != nil {
		panic(err)
	}
	if step != "" {
		for i, to := range []string{"x@a.example", "no@a.example", "y@a.example"} {
			if _, err := q.Submit(letterTo("s@s.example", to), strings.NewReader(fmt.Sprintf("message %d\r\n", i))); err != nil {
				panic(err)
			}
			fmt.Printf("message %d\n", i)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for ; q.Stats().Queued > 0; time.Sleep(time.Millisecond) {
		}
		cancel()
	}()
	_ = q.Run(ctx)
	_ = q.Close()
}

// steps are the places of the spool and of a delivery where a process is killed.
var steps = []string{"data is made", "data is written", "data is synced", "data is there", "data is there for good",
	"env is made", "env is written", "env is synced", "env is there", "env is there for good", "message is sent",
	"message is answered", "report is made", "env is gone", "env is gone for good"}

// TestKilled: whenever the process is killed, each message that was taken is delivered, or reported, by who opens the
// queue next; and nothing is left.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		for n := 1; n <= 3; n++ {
			if n > 1 && testing.Short() || step == "report is made" && n > 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s %d", step, n), func(t *testing.T) {
				t.Parallel()
				killed(t, step, n)
			})
		}
	}
}

func killed(t *testing.T, step string, n int) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := new(office)
	o.rcpt = func(to string) error {
		if to == "no@a.example" {
			return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
		}
		return nil
	}
	srv := &smtp.Server{Backend: o, Log: quiet}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _ = srv.Serve(context.Background(), nc) })
		}
	})
	defer wg.Wait()
	defer ln.Close()
	dir := t.TempDir()
	run := func(step string) (string, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir, childServer+"="+ln.Addr().String(), childStep+"="+step,
			childTime+"="+strconv.Itoa(n))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		err := cmd.Run()
		return out.String(), err
	}
	taken, err := run(step)
	if err == nil {
		t.Fatalf("it was not killed: %s", taken)
	}
	if out, err := run(""); err != nil || out != "" {
		t.Fatalf("the next one: %v, %s", err, out)
	}
	for i := range 3 {
		name := fmt.Sprintf("message %d", i)
		found := 0
		for _, l := range o.got() {
			if i != 1 && l.text == name+"\r\n" || i == 1 && l.from == "" && l.to[0] == "s@s.example" {
				found++
			}
		}
		// Twice: it was ended between the server's answer and the note of it. Of a report that was not sent there is one.
		most := 2
		if i == 1 && step == "report is made" {
			most = 1
		}
		if strings.Contains(taken, name) && found == 0 || found > most {
			t.Errorf("%s came %d times; taken were %q", name, found, taken)
		}
	}
	q, err := Open(dir, Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if files := left(t, q); len(files) > 0 {
		t.Errorf("%q are left", files)
	}
	_ = q.Close()
}
