package ftp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// abortServer is a server with one file without an end. What it says to ABOR, and to NOOP behind it, is replies. It
// returns its address, and then what came on its control connection from the transfer on.
func abortServer(t *testing.T, replies map[string]string) (addr string, came <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	data, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close(); data.Close() })
	got := make(chan string, 1)
	say := map[string]string{"USER": "230 in\r\n", "FEAT": "502 no\r\n", "TYPE": "200 yes\r\n", "RETR": "150 now\r\n",
		"SIZE": "213 7\r\n", "QUIT": "221 bye\r\n", "EPSV": fmt.Sprintf("229 (|||%d|)\r\n", addrPort(data.Addr()).Port())}
	go func() {
		defer close(got)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		go endless(data)
		_, _ = io.WriteString(nc, "220 hello\r\n")
		var all strings.Builder
		for r := bufio.NewReader(nc); ; {
			line, err := r.ReadString('\n')
			if all.WriteString(line); err != nil {
				got <- all.String()
				return
			}
			name, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
			if strings.HasSuffix(name, "ABOR") {
				name = "ABOR"
			}
			if name == "RETR" {
				all.Reset()
			}
			if say, ok := say[name]; ok {
				_, _ = io.WriteString(nc, say)
			}
			_, _ = io.WriteString(nc, replies[name])
		}
	}()
	return ln.Addr().String(), got
}

// endless sends to one who connects until he goes.
func endless(ln net.Listener) {
	nc, err := ln.Accept()
	if err != nil {
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	for err == nil {
		_, err = nc.Write(make([]byte, 1<<16))
	}
}

// TestAbortReplies are the ways in which servers answer ABOR: the reply behind it is the next command's.
func TestAbortReplies(t *testing.T) {
	for name, x := range map[string]struct{ abor, noop string }{
		"the transfer's first":            {"426 broken\r\n226 ABOR is done\r\n", "200 yes\r\n"},
		"ABOR's first (ProFTPD over TLS)": {"226 ABOR is done\r\n", "426 broken\r\n200 yes\r\n"},
		"one (Pure-FTPd)":                 {"226 0.1 seconds\r\n", "200 yes\r\n"},
		"a code of a beginning":           {"150 0.1 seconds\r\n", "200 yes\r\n"},
		"no such command":                 {"426 broken\r\n500 what?\r\n", "200 yes\r\n"},
		"it was whole":                    {"226 it is there\r\n225 what transfer?\r\n", "200 yes\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := abortServer(t, map[string]string{"ABOR": x.abor, "NOOP": x.noop})
			c, err := Dial(t.Context(), addr, ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			mine := errors.New("mine")
			_, err = c.Retr(t.Context(), "f", 0, writerFunc(func([]byte) (int, error) { return 0, mine }))
			var refused *Error
			if !errors.Is(err, mine) || errors.As(err, &refused) {
				t.Errorf("Retr: %v", err)
			}
			if n, err := c.Size(t.Context(), "f"); n != 7 || err != nil {
				t.Errorf("behind it: Size: %d, %v", n, err)
			}
		})
	}
}

// TestAbortForEver is a server that goes on to answer ABOR: the client does not.
func TestAbortForEver(t *testing.T) {
	addr, _ := abortServer(t, map[string]string{"ABOR": strings.Repeat("426 broken\r\n", 1000)})
	c, err := Dial(t.Context(), addr, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = c.Retr(ctx, "f", 0, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Retr: %v", err)
	}
	if _, err := c.Size(t.Context(), "f"); !errors.Is(err, ErrClient) || !errors.Is(err, errManyReplies) {
		t.Errorf("behind it: Size: %v", err)
	}
}

// TestSynch: ABOR comes behind Telnet's IP and a Data Mark. The mark is urgent data, which the server's system takes
// out of the stream: so it is not seen here.
func TestSynch(t *testing.T) {
	addr, came := abortServer(t, map[string]string{"ABOR": "426 broken\r\n226 done\r\n", "NOOP": "200 yes\r\n"})
	c, err := Dial(t.Context(), addr, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Retr(t.Context(), "f", 0, writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }))
	c.Close()
	got := <-came
	if want := "\xff\xf4\xffABOR\r\nNOOP\r\nQUIT\r\n"; got != want && !strings.HasPrefix(got, "\xff\xf4\xff\xf2ABOR") {
		t.Errorf("the server got %q, want %q", got, want)
	}
}
