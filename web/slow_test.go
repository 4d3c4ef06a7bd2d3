package web_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/web"
)

// TestSlowHTTPTest has slowhttptest attack in its four modes at once: heads, bodies and readers that are slow, and
// ranges without number. The connections of the slow ones end by our bounds in time, not by the attacker's. A client
// that is not slow is answered all the while.
func TestSlowHTTPTest(t *testing.T) {
	if !portion.Everywhere() {
		t.Skip("some seconds: PLEXOR_TESTS=all")
	}
	if _, err := exec.LookPath("slowhttptest"); err != nil {
		t.Skip("there is no slowhttptest")
	}
	t.Parallel()
	root, _ := tree(t, map[string]string{"big": strings.Repeat("0123456789abcdef", 1<<18), "small": "hello"})
	files := web.Files(root, web.FilesOptions{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil && r.Method == "GET" {
			files.ServeHTTP(w, r)
		}
	})
	o := web.Options{HeadTime: time.Second, BodyTime: time.Second, BodyRate: 1000, WriteTime: time.Second}
	base := "http://" + serve(t, &plexor.Server{}, "tcp://127.0.0.1:0", h, o)
	// A reader that is cut off has some of the answer to read on: so its server is asked whether it is.
	var cut atomic.Int64
	ctx, allCut := context.WithCancel(t.Context())
	o.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed && cut.Add(1) == slowClients {
			allCut()
		}
	}
	readers := &plexor.Server{}
	readers.Limits.Linger = time.Second
	big := "http://" + serve(t, readers, "tcp://127.0.0.1:0", h, o) + "/big"

	var over atomic.Bool
	var healthy, attacks sync.WaitGroup
	healthy.Go(func() {
		served := 0
		for c := (&http.Client{Transport: new(http.Transport), Timeout: time.Minute}); !over.Load(); served++ {
			res, err := c.Get(base + "/small")
			if err != nil {
				t.Errorf("a healthy client, after %d requests: %v", served, err)
				return
			}
			if b, err := io.ReadAll(res.Body); string(b) != "hello" || err != nil {
				t.Errorf("a healthy client: %q, %v", b, err)
			}
			res.Body.Close()
			if served%100 == 0 {
				c.CloseIdleConnections() // so that it is accepted, too
			}
		}
		t.Logf("a healthy client was served %d times", served)
	})
	for mode, args := range map[string][]string{
		"slow heads":  {"-H", "-i", "1", "-u", base + "/small"},
		"slow bodies": {"-B", "-i", "1", "-x", "10", "-u", base + "/small"},
		"ranges":      {"-R", "-a", "1", "-b", "2000", "-u", base + "/big"},
	} {
		attacks.Go(func() {
			if text := slow(t, t.Context(), args); !strings.Contains(text, "No open connections left") {
				t.Errorf("%s: %s", mode, text[max(0, len(text)-1500):])
			}
		})
	}
	attacks.Go(func() {
		text := slow(t, ctx, []string{"-X", "-n", "1", "-w", "512", "-y", "1024", "-z", "32", "-u", big})
		if n := cut.Load(); n < slowClients {
			t.Errorf("%d of %d slow readers were cut off: %s", n, slowClients, text[max(0, len(text)-1500):])
		}
	})
	attacks.Wait()
	over.Store(true)
	healthy.Wait()
}

// slowClients is how many connections each mode has.
const slowClients = 200

var (
	colours     = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")
	unavailable = regexp.MustCompile(`service available:\s+NO`)
)

// slow runs the program until none of its connections is left, ctx is over, or half a minute has passed, and returns
// what it says.
func slow(t *testing.T, ctx context.Context, args []string) string {
	run, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	args = append(args, "-c", strconv.Itoa(slowClients), "-r", strconv.Itoa(slowClients), "-l", "30", "-p", "20")
	out, err := exec.CommandContext(run, "slowhttptest", args...).CombinedOutput()
	if err != nil && ctx.Err() == nil {
		t.Errorf("slowhttptest %s: %v", args[0], err)
	}
	text := colours.ReplaceAllString(string(out), "")
	if unavailable.MatchString(text) {
		t.Errorf("slowhttptest %s: the service was not available: %s", args[0], text[max(0, len(text)-1500):])
	}
	return text
}
