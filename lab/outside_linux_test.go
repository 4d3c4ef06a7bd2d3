package lab_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/ownnet"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tap"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

var (
	kernels = []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("fd09::1/64")}
	ours    = []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("fd09::2/64")}
)

// tool runs a program that nobody here wrote, and skips the test where it is not there.
func tool(t *testing.T, in io.Reader, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, bad bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &bad
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, &out, &bad)
	}
	return out.String()
}

// beside makes a live world whose one host is joined to the kernel by a TAP device, in a network of the test's own.
func beside(t *testing.T, o lab.Options) *lab.Host {
	t.Helper()
	dev, err := tap.Open(tap.Options{Addrs: kernels})
	for _, missing := range []error{unix.ENOENT, unix.EACCES, unix.EPERM, unix.ENODEV} {
		if errors.Is(err, missing) {
			t.Skipf("no TAP device can be had here: %v", err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Live = true
	w := lab.New(o)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	h := w.Host("host")
	if err := w.Outside(h, dev, link.Options{}, ours...); err != nil {
		t.Fatal(err)
	}
	return h
}

// site is what a server of the engine's has for the programs: a body to fetch, a place to put it, a socket that echoes.
func site(t *testing.T, body []byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /body", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) })
	mux.HandleFunc("PUT /body", func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strconv.FormatBool(err == nil && bytes.Equal(got, body)))
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return // it is answered
		}
		for {
			op, msg, err := c.ReadMessage()
			if err != nil || c.WriteMessage(op, msg) != nil {
				return // the connection is closed
			}
		}
	})
	return mux
}

// TestTools: programs on the kernel's TCP use a server of the engine's that stands on the lab's.
func TestTools(t *testing.T) {
	t.Parallel()
	if !ownnet.Enter(t) {
		return
	}
	h := beside(t, lab.Options{})
	r := rand.NewChaCha8([32]byte{1})
	body := make([]byte, 8<<20)
	if portion.All() && !raceEnabled {
		body = make([]byte, 64<<20)
	}
	_, _ = r.Read(body) // it never fails
	srv := &plexor.Server{Network: h}
	defer srv.Close()
	echo := plexor.HandlerFunc(func(c *plexor.Conn) {
		if _, err := io.Copy(c, c); err != nil {
			t.Error(err)
		}
	})
	for addr, handler := range map[string]plexor.Handler{"tcp://:80": web.Handler(site(t, body), web.Options{}),
		"tls://:443": web.Handler(site(t, body), web.Options{}), "tcp://:7": echo} {
		if _, err := srv.Open(addr, handler); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("curl", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "body")
		for _, url := range []string{"http://10.9.0.2/body", "http://[fd09::2]/body", "https://10.9.0.2/body"} {
			began := time.Now()
			tool(t, nil, "curl", "-gkfsS", "-o", path, url)
			fetched := time.Since(began)
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: curl fetched %d bytes of %d, %v", url, len(got), len(body), err)
			}
			began = time.Now()
			if out := tool(t, nil, "curl", "-gkfsS", "-T", path, url); out != "true" {
				t.Errorf("%s: the upload: %q", url, out)
			}
			t.Logf("%s: %d MiB fetched in %v, uploaded in %v", url, len(body)>>20, fetched, time.Since(began))
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		const python = "/usr/bin/python3"
		if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
			t.Skipf("%s has no module websockets: %v", python, err)
		}
		tool(t, strings.NewReader(`
import asyncio, websockets
async def main():
    for url in "ws://10.9.0.2/ws", "ws://[fd09::2]/ws":
        async with websockets.connect(url, max_size=None) as ws:
            for n in range(0, 21, 4):
                for message in "x" * (1 << n), b"\xff" * (1 << n):
                    await ws.send(message)
                    assert await ws.recv() == message, n
asyncio.run(main())
`), python, "-")
	})
	t.Run("nc", func(t *testing.T) {
		if got := tool(t, bytes.NewReader(body[:1<<20]), "nc", "-N", "-n", "10.9.0.2", "7"); got != string(body[:1<<20]) {
			t.Errorf("%d bytes of %d came back", len(got), 1<<20)
		}
	})
	t.Run("ping", func(t *testing.T) {
		for _, to := range []string{"10.9.0.2", "fd09::2"} {
			for _, size := range []string{"56", "1452", "1453", "1473", "8000"} {
				tool(t, nil, "ping", "-n", "-c", "1", "-W", "20", "-s", size, to)
			}
		}
	})
	t.Run("traceroute", func(t *testing.T) {
		if out := tool(t, nil, "traceroute", "-n", "-q", "1", "-m", "3", "10.9.0.2"); !strings.Contains(out, " 10.9.0.2 ") {
			t.Error(out)
		}
	})
	t.Run("ss", func(t *testing.T) { agreed(t) })
}

// agreed has the kernel say what it has agreed on with the host.
func agreed(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: ours[0].Addr().As4(), Port: 7})
	}
	if err != nil {
		t.Fatal(err)
	}
	out := tool(t, nil, "ss", "-tinoH", "dst", "10.9.0.2", "dport", "=", ":7")
	for _, want := range []string{" ts ", " sack ", "wscale:", "mss:1448"} {
		if !strings.Contains(out, want) {
			t.Errorf("ss says nothing of %q: %s", want, out)
		}
	}
}

// TestOutsideCaptured: tshark finds nothing malformed in the capture of a world that is joined to the kernel.
func TestOutsideCaptured(t *testing.T) {
	t.Parallel()
	if !ownnet.Enter(t) {
		return
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "lab.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	t.Run("curl", func(t *testing.T) {
		h := beside(t, lab.Options{Capture: file})
		srv := &plexor.Server{Network: h, Handler: web.Handler(site(t, make([]byte, 300_000)), web.Options{})}
		if _, err := srv.Open("tcp://:80", nil); err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		tool(t, nil, "curl", "-gfsS", "-o", os.DevNull, "http://10.9.0.2/body", "http://[fd09::2]/body")
	})
	count := func(filter string) int {
		return strings.Count(tool(t, nil, "tshark", "-n", "-r", path, "-Y", filter, "-T", "fields", "-e", "frame.number"),
			"\n")
	}
	if bad, all := count("_ws.malformed"), count("tcp"); bad != 0 || all < 400 {
		t.Errorf("%d packets of %d are malformed", bad, all)
	}
}
