package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/authority"
	"github.com/plexor-go/plexor/internal/brokers"
)

// mq runs plexor mq with a text as its input.
func mq(t *testing.T, input string, args ...string) (out, failed string, code int) {
	t.Helper()
	cmd := command(append([]string{"mq"}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }) // it may have ended
	defer stop.Stop()
	err := cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), code
}

// TestMQ: jobs go from one process to another through a folder, in their order, and each bad word on the command line
// has its exit and says what to do.
func TestMQ(t *testing.T) {
	t.Parallel()
	url := "nats+embedded://" + filepath.ToSlash(filepath.Join(t.TempDir(), "store"))
	for _, row := range []struct {
		input string
		args  []string
		code  int
		out   string // the whole of it
		says  string // a part of standard error
	}{
		{"", []string{"pub", url, "mail", "hello"}, 0, "", ""},
		{"a\nb\n", []string{"pub", url, "mail", "--lines"}, 0, "", "published 2 jobs to mail"},
		{"", []string{"sub", url, "mail", "-n", "3"}, 0, "hello\na\nb\n", ""},
		{"", []string{"dead", url, "mail"}, 0, "", ""},
		{"", []string{"dead", url, "none"}, 1, "", "no such queue"},
		{"", []string{"sub", url, "bad/name"}, 1, "", "is no name of a queue"},
		{"", []string{"pub", url}, 2, "", "<queue>"},
		{"", []string{"pub", "foo://x", "q", "t"}, 2, "", `unknown scheme "foo"`},
		{"", []string{"pub", "nats://127.0.0.1:1", "q", "t"}, 1, "", "nobody answers at 127.0.0.1:1"},
		{"", []string{"ls", "redis://127.0.0.1:1"}, 1, "", "connection refused"},
		{"", []string{"ls", "memcached://127.0.0.1:1"}, 1, "", "has no queues"},
		{"", []string{"serve"}, 2, "", "--dir"},
		{"", []string{"serve", "--dir", t.TempDir(), "--listen", "0.0.0.0:0"}, 2, "", "--token-file"},
	} {
		out, failed, code := mq(t, row.input, row.args...)
		if code != row.code || out != row.out && row.args[0] != "dead" || !strings.Contains(failed, row.says) {
			t.Errorf("plexor mq %q: exit %d, want %d; %q, want %q; %q, want %q", row.args, code, row.code, out, row.out, failed,
				row.says)
		}
	}
}

// TestMQCluster: three commands are a cluster, all by TLS, which goes on when one of them is killed.
func TestMQCluster(t *testing.T) {
	t.Parallel()
	addrs, err := brokers.FreeAddrs(6)
	if err != nil {
		t.Fatal(err)
	}
	ca := authority.New(t, "ca")
	clients, routes := addrs[:3], addrs[3:]
	nodes := make([]*exec.Cmd, 3)
	complete := make(chan string, 3)
	for i := range nodes {
		args := []string{"mq", "serve", "--dir", t.TempDir(), "--listen", clients[i], "--cluster", routes[i]}
		p := ca.Issue(fmt.Sprint("n", i), nil)
		args = append(args, "--cluster-cert", p.CertFile, "--cluster-key", p.KeyFile, "--cluster-ca", ca.File,
			"--cert", p.CertFile, "--key", p.KeyFile)
		for _, r := range append(routes[:i:i], routes[i+1:]...) {
			args = append(args, "--route", r)
		}
		cmd := command(args...)
		r, w := io.Pipe()
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		nodes[i] = cmd
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()         // as it was killed
			w.Close()
		})
		go func() {
			for lines := bufio.NewScanner(r); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "the cluster is complete: ") {
					complete <- lines.Text()
				}
			}
		}()
	}
	for range nodes {
		select {
		case <-complete:
		case <-time.After(2 * patience):
			t.Fatal("the cluster is not complete")
		}
	}
	url := "nats+tls://" + strings.Join(clients, ",") + "/?replicas=3&sync=always&ca=" + ca.File
	publish := func(from, to int) {
		var lines strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintln(&lines, i)
		}
		if out, failed, code := mq(t, lines.String(), "pub", url, "q", "--lines"); code != 0 {
			t.Fatalf("pub: exit %d: %s%s", code, out, failed)
		}
	}
	publish(0, 20)
	if err := nodes[0].Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	publish(20, 25)
	out, failed, code := mq(t, "", "sub", url, "q", "-n", "25")
	for i := range 25 {
		if !strings.Contains("\n"+out, fmt.Sprintf("\n%d\n", i)) {
			t.Errorf("job %d is lost; exit %d: %s%s", i, code, out, failed)
		}
	}
}
