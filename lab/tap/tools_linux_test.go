package tap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// tool runs a program that nobody here wrote, and skips the test where it is not there.
func tool(t *testing.T, in io.Reader, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, bad bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &bad
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, &out, &bad)
	}
	return out.String()
}

// serve takes connections on the host until the test ends.
func serve(t *testing.T, h *Host, port uint16, handler func(c net.Conn)) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(host4.Addr(), port)
	l, err := h.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handler(c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return at
}

// TestTools has programs that nobody here wrote speak with the host: go test -run TestTools -v ./lab/tap.
func TestTools(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	h := newHost(t, HostOptions{TCP: tcp.Options{Limits: tcp.Limits{SendBuffer: 4 << 20, ReceiveBuffer: 4 << 20}}})
	echo := serve(t, h, 7, func(c net.Conn) {
		io.Copy(c, c)
		c.(*Conn).CloseWrite()
	})
	t.Run("ping", func(t *testing.T) {
		for _, size := range []int{0, 56, 1471, 1472, 1473, 2951, 2952, 2953, 8000, 65507} {
			tool(t, nil, "ping", "-n", "-c", "2", "-i", "0.01", "-W", "5", "-s", strconv.Itoa(size), host4.Addr().String())
		}
		tool(t, nil, "ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", "1472", host4.Addr().String())
	})
	t.Run("ping6", func(t *testing.T) {
		for _, size := range []int{0, 56, 1451, 1452, 1453, 2895, 2896, 2897, 8000, 65500} {
			tool(t, nil, "ping", "-6", "-n", "-c", "2", "-i", "0.01", "-W", "5", "-s", strconv.Itoa(size), host6.Addr().String())
		}
	})
	t.Run("traceroute", func(t *testing.T) {
		for _, args := range []string{"", "-I", "-T -p 7", "-6"} {
			to := host4.Addr().String()
			if args == "-6" {
				to = host6.Addr().String()
			}
			out := tool(t, nil, "traceroute", append(strings.Fields(args), "-n", "-q", "1", "-m", "3", to)...)
			if !regexp.MustCompile(`(?m)^ *1 +`+to+` .*ms`).MatchString(out) || strings.Contains(out, "\n 2") {
				t.Errorf("traceroute %s: %s", args, out)
			}
		}
	})
	t.Run("nc", func(t *testing.T) {
		text := string(noise(1, 1<<20))
		if got := tool(t, strings.NewReader(text), "nc", "-N", "-n", host4.Addr().String(), "7"); got != text {
			t.Errorf("%d bytes of %d came back", len(got), len(text))
		}
	})
	t.Run("curl", func(t *testing.T) { curl(t, h) })
	t.Run("iperf3", func(t *testing.T) { iperf(t, h) })
	t.Run("ss", func(t *testing.T) { socketStatistics(t, h, echo) })
}

// curl fetches 64 MiB from an HTTP server on the host, and uploads it.
func curl(t *testing.T, h *Host) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	body := noise(5, 64<<20)
	l, err := h.Listen(netip.AddrPortFrom(host4.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Write(body)
			return
		}
		got, err := io.ReadAll(r.Body)
		fmt.Fprintln(w, bytes.Equal(got, body), err)
	})}
	ended := make(chan struct{})
	go func() { srv.Serve(l); close(ended) }()
	defer func() { srv.Close(); <-ended }()
	url := "http://" + host4.Addr().String() + "/"
	path := filepath.Join(t.TempDir(), "body")
	began := time.Now()
	tool(t, nil, "curl", "-sS", "-f", "-o", path, url)
	fetched := time.Since(began)
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, body) {
		t.Errorf("curl fetched %d bytes of %d, %v", len(got), len(body), err)
	}
	began = time.Now()
	if out := tool(t, nil, "curl", "-sS", "-f", "-T", path, url); out != "true <nil>\n" {
		t.Errorf("the upload: %s", out)
	}
	t.Logf("64 MiB fetched in %v, uploaded in %v", fetched, time.Since(began))
}

// iperf has iperf3 measure through the host, which hands its connections on to iperf3's server behind it. That listens
// at its usual port on lo: enter has made the network for this test alone, and what it starts is in it.
func iperf(t *testing.T, h *Host) {
	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Skip(err)
	}
	server := exec.CommandContext(t.Context(), "iperf3", "-s", "-B", "127.0.0.1", "--forceflush")
	says, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	// What it prints tells when it takes a client: the first time, and when it is done with the one before. A connection
	// that looks whether it listens it would take for a client.
	ways := []string{"", "-R"}
	free, read := make(chan struct{}, len(ways)+1), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(says); lines.Scan(); {
			if strings.Contains(lines.Text(), "Server listening") {
				free <- struct{}{}
			}
		}
	}()
	defer func() { server.Process.Kill(); <-read; server.Wait() }()
	behind := "127.0.0.1:5201"
	serve(t, h, 5201, func(c net.Conn) {
		b, err := net.Dial("tcp", behind)
		if err != nil {
			return
		}
		defer b.Close()
		done := make(chan struct{})
		go func() { io.Copy(b, c); b.(*net.TCPConn).CloseWrite(); close(done) }()
		io.Copy(c, b)
		c.(*Conn).CloseWrite()
		<-done
	})
	for _, way := range ways {
		select {
		case <-free:
		case <-read:
			t.Fatal("iperf3's server has ended")
		}
		out := tool(t, nil, "iperf3", append([]string{"-c", host4.Addr().String(), "-n", "32M"}, strings.Fields(way)...)...)
		last := regexp.MustCompile(`.*receiver`).FindString(out)
		if last == "" {
			t.Errorf("iperf3 %s: %s", way, out)
		}
		t.Logf("iperf3 %s: %s", way, last)
	}
}

// socketStatistics has the kernel say what it has agreed on with the host.
func socketStatistics(t *testing.T, h *Host, echo netip.AddrPort) {
	c, err := net.Dial("tcp", echo.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	out := tool(t, nil, "ss", "-tinoH", "dst", host4.Addr().String(), "dport", "=", ":7")
	for _, want := range []string{" ts ", " sack ", "wscale:", "mss:1448"} {
		if !strings.Contains(out, want) {
			t.Errorf("ss says nothing of %q: %s", want, out)
		}
	}
}

// awaitShut waits until the host has told a peer that its window is shut.
func awaitShut(h *Host) {
	for shut, end := 0, time.Now().Add(patience); shut == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		h.Do(func(_ time.Duration, h *ip.Host) { shut = h.TCP().Sent.Shut })
	}
}

// TestTshark captures transfers over a path with losses, and has tshark read it: nothing is malformed, and what it says
// of retransmissions, duplicate acknowledgments and shut windows is what the stack says.
func TestTshark(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "tap.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	capture, start := NewCapture(file), time.Now()
	in, _, err := capture.Line(link.Wire(0), Place{"eth0", pcapng.Inbound, start})
	if err != nil {
		t.Fatal(err)
	}
	// What the host sends is captured before it can be lost, and what it gets after that: so this is what the host sees.
	lossy := link.Loss(link.Wire(10*time.Millisecond), 0.02, rand.New(rand.NewPCG(1, 1)), nil)
	out, _, err := capture.Line(lossy, Place{"eth0", pcapng.Outbound, start})
	if err != nil {
		t.Fatal(err)
	}
	in = link.Loss(in, 0.02, rand.New(rand.NewPCG(1, 2)), nil)
	h := newHost(t, HostOptions{In: in, Out: out, TCP: tcp.Options{Limits: tcp.Limits{ReceiveBuffer: 40_000}}})
	ours, kernels := pair(t, h, [2]netip.Prefix{kernel4, host4}, true)
	kernels.SetReadBuffer(40_000)
	p := plan{pause: 250 * time.Millisecond}
	done := make(chan []byte, 2)
	go func() {
		awaitShut(h) // however slowly the kernel sends on a busy machine
		done <- receive(t, ours, p, false, nil)
	}()
	go func() { done <- receive(t, kernels, plan{}, false, nil) }()
	text := noise(8, 300_000)
	go send(t, kernels, text, 0)
	send(t, ours, text, 0)
	for range 2 {
		if got := <-done; !bytes.Equal(got, text) {
			t.Errorf("%d of %d bytes came", len(got), len(text))
		}
	}
	var sent struct{ Segments, Again, Duplicates, Shut int }
	var frames []byte // as of when the stack was asked: the ends of both halves go on
	h.Do(func(_ time.Duration, h *ip.Host) {
		sent = h.TCP().Sent
		frames, err = os.ReadFile(path)
	})
	if path += ".asked"; err == nil {
		err = os.WriteFile(path, frames, 0o600)
	}
	if err = errors.Join(err, capture.Err()); err != nil {
		t.Fatal(err)
	}
	count := func(filter string) int {
		return strings.Count(tool(t, nil, "tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-Y", filter, "-T",
			"fields", "-e", "frame.number"), "\n")
	}
	if n := count("_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0"); n != 0 {
		t.Errorf("%d packets are malformed", n)
	}
	from := "ip.src == " + host4.Addr().String() + " && "
	again := count(from + "(tcp.analysis.retransmission || tcp.analysis.fast_retransmission || " +
		"tcp.analysis.spurious_retransmission || tcp.analysis.out_of_order)")
	// An answer to a probe says nothing new either; tshark has another name for it.
	dup := count(from + "tcp.window_size_value > 0 && (tcp.analysis.duplicate_ack || tcp.analysis.keep_alive_ack)")
	// It has no name for a FIN with a window of zero.
	shut := count(from + "(tcp.analysis.zero_window || tcp.flags.fin == 1 && tcp.window_size_value == 0)")
	t.Logf("the stack says %+v, tshark %d again, %d duplicates, %d shut", sent, again, dup, shut)
	if again != sent.Again || dup != sent.Duplicates || shut != sent.Shut || again == 0 || dup == 0 || shut == 0 {
		t.Error("they do not agree")
	}
}
