package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/web"
)

// Many fetches at once, in a process of their own, whose memory is read when all of them wait for their answers.
//
//	parent: a server that answers when all requests have come ◀── child: one thread, n fetches

// fetchesEnv makes the test's binary the child: the number of fetches, and the URL.
const fetchesEnv = "PLEXOR_TEST_FETCHES"

func init() {
	if s := os.Getenv(fetchesEnv); s != "" {
		if err := fetchMany(s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func fetchMany(s string) error {
	count, url, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)       // stacks are most of it, and by default the heap may have as much again
	o := loop.Options{Stall: -1} // a report lists all coroutines' stacks, which is memory too
	return plexor.RunOn(context.Background(), o, func(ctx context.Context) error {
		c, err := web.NewClient(ctx, web.ClientOptions{ConnsPerHost: n})
		if err != nil {
			return err
		}
		defer c.Close()
		client := &http.Client{Transport: c}
		return coro.Group(ctx, func(g *coro.Tasks) error {
			for i := range n {
				if i%100 == 0 { // so that what waits for sockets has its turns
					if err := coro.Yield(ctx); err != nil {
						return err
					}
				}
				g.Go(func(ctx context.Context) error {
					body, _, err := fetch(ctx, client, "GET", url, nil)
					if err == nil && body != "hello" {
						err = fmt.Errorf("%q", body)
					}
					return err
				})
			}
			g.Go(func(ctx context.Context) error { // when standard input says so, all wait
				_, err := coro.Await(ctx, func() (int, error) { return os.Stdin.Read(make([]byte, 1)) })
				if err != nil {
					return err
				}
				kib, err := resident()
				fmt.Println(kib)
				return err
			})
			return nil
		})
	})
}

// resident is this process's memory that no file has, in KiB, and the most that it has been.
func resident() (string, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	var peak, anon string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "VmHWM:":
			peak = f[1]
		case len(f) > 1 && f[0] == "RssAnon:":
			anon = f[1]
		}
	}
	return anon + " " + peak, nil
}

// measureFetches is the memory of n fetches at once in KiB: without files, and the peak with them.
func measureFetches(t testing.TB, n int) (anon, peak int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc")
	}
	here, all := make(chan struct{}), make(chan struct{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer nc.Close()
				if _, err := nc.Read(make([]byte, 512)); err != nil {
					return
				}
				here <- struct{}{}
				<-all
				_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			})
		}
	})
	defer conns.Wait()
	defer ln.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d http://%s/", fetchesEnv, n, ln.Addr()))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range n {
		<-here
	}
	_, _ = io.WriteString(in, "\n") // a child that has ended says so below
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, serr := fmt.Sscan(line, &anon, &peak); serr != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(all)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return anon, peak
}

// TestClientMemory: 1000 fetches at once on one thread take less than 64 MiB, the program and its heap's room included;
// a goroutine for each and its buffers would be more.
func TestClientMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	if _, peak := measureFetches(t, 1000); peak > 64<<10 {
		t.Errorf("%d KiB", peak)
	}
}

// BenchmarkClientMemory is the memory of 10,000 fetches at once, which are to take less than 150 MiB: 131 without files
// and 141 with them, of which 80 are stacks of 8 KiB, on Linux 6.18 with Go 1.26, November 2026. It needs 10,000 open
// files and some more.
func BenchmarkClientMemory(b *testing.B) {
	for b.Loop() {
		anon, peak := measureFetches(b, 10_000)
		b.ReportMetric(float64(anon)/1024, "MiB-anon")
		b.ReportMetric(float64(peak)/1024, "MiB-peak")
	}
}
