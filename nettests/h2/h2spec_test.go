package h2

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	specs "github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// h2spec is a suite of cases for servers of HTTP/2, by summerwind. It keeps its results in globals and ends the process
// when it can't connect; so it runs in a process of its own for each server: the test's own program, called again.

// specEnv tells the test's own program to be h2spec: "http://host:port", or https, and behind spaces the cases to run.
const specEnv = "PLEXOR_H2SPEC"

// specPatience is for how long h2spec waits for what a case wants. Where it wants silence, all of it passes.
const specPatience = 2 * time.Second

// beSpec runs cases of h2spec, and prints a line for each that has come to its end.
func beSpec(what string) {
	f := strings.Fields(what)
	scheme, addr, _ := strings.Cut(f[0], "://")
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	c := &config.Config{Host: host, Path: "/", Timeout: specPatience, MaxHeaderLen: 4000, TLS: scheme == "https",
		Insecure: true, Sections: f[1:]}
	if c.Port, err = strconv.Atoi(port); err != nil {
		panic(err)
	}
	for _, g := range []*spec.TestGroup{generic.Spec(), specs.Spec(), hpack.Spec()} {
		g.Test(c)
		printResults(g)
	}
}

func printResults(g *spec.TestGroup) {
	for _, tc := range g.Tests {
		if r := tc.Result; r != nil {
			state := "passed"
			if r.Failed {
				state = "failed"
			} else if r.Skipped {
				state = "skipped"
			}
			fmt.Printf("\nresult %s %s/%d %s\n", state, g.ID(), r.Sequence, tc.Desc)
		}
	}
	for _, inner := range g.Groups {
		printResults(inner)
	}
}

// runSpec is how each case of h2spec came out with a server, by its name.
func runSpec(t *testing.T, url string, only ...string) map[string]string {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), specEnv+"="+strings.Join(append([]string{url}, only...), " "))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("h2spec: %v\n%s", err, out)
	}
	results := make(map[string]string)
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "result" {
			results[f[2]] = f[1]
		}
	}
	return results
}

// mostTries is how often a case is run again that failed with ours alone: a busy machine can be silent for as long as
// h2spec waits.
const mostTries = 3

// TestH2spec: no case of h2spec fails with ours that does not fail with a bare net/http, over TLS and by prior
// knowledge.
func TestH2spec(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	})
	for _, scheme := range []string{"tcp", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			results, urls := make(map[string]map[string]string), make(map[string]string)
			var g sync.WaitGroup
			for name, serve := range servers {
				url := serve(t, scheme, h)
				g.Go(func() {
					r := runSpec(t, url)
					mu.Lock()
					defer mu.Unlock()
					results[name], urls[name] = r, url
				})
			}
			g.Wait()
			got, want := results["ours"], results["bare net/http"]
			if len(want) < 140 || len(got) != len(want) {
				t.Fatalf("%d cases have come to their end, and %d with a bare net/http; want some 145", len(got), len(want))
			}
			var failed []string
			for id, state := range got {
				for n := 0; n < mostTries && state == "failed" && want[id] != "failed"; n++ {
					state = runSpec(t, urls["ours"], id)[id]
				}
				if state == "failed" {
					failed = append(failed, id)
				}
				if state != "passed" && state != want[id] {
					t.Errorf("%s: %s, and %s with a bare net/http", id, state, want[id])
				}
			}
			slices.Sort(failed)
			t.Logf("%d of %d cases fail, as with a bare net/http: %v", len(failed), len(got), failed)
		})
	}
}
