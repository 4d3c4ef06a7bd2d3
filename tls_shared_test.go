package plexor_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// shareTLS is a server that gives its connections away to a goroutine after the first byte, and the two ends of one.
func shareTLS(t *testing.T, driver string) (b *tlsBench, client *tls.Conn, server net.Conn) {
	t.Helper()
	given := make(chan net.Conn, 1)
	b = serveTLS(t, driver, &plexor.Server{Limits: plexor.Limits{HighWater: 64 << 10}}, nil,
		plexor.HandlerFunc(func(c *plexor.Conn) {
			if err := firstByte(c); err == nil {
				given <- c.Shared()
			}
		}))
	client = b.connect(nil)
	send(t, client, "!and more") // the rest is for the goroutine
	server = receive(t, given, "the connection")
	t.Cleanup(func() { server.Close() })
	if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	want(t, server, "and more")
	return b, client, server
}

// firstByte takes the byte that says that a client is there.
func firstByte(c io.Reader) error {
	p := make([]byte, 1)
	if _, err := io.ReadFull(c, p); err != nil || p[0] != '!' {
		return fmt.Errorf("the first byte: %q, %w", p, err)
	}
	return nil
}

// TestTLSShared: TLS goes on over a connection that was given away, with both halves, and deadlines that cut no record.
func TestTLSShared(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b, client, server := shareTLS(t, driver)
		if v := server.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState().Version; v != tls.VersionTLS13 {
			t.Errorf("the version is %x", v)
		}
		all, piece := 0, make([]byte, 1<<20)
		if err := server.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := server.Write(piece)
			if all += n; errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := server.SetDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		for what, f := range map[string]func([]byte) (int, error){"Read": server.Read, "Write": server.Write} {
			if n, err := f(make([]byte, 9)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s after the deadline: %d, %v", what, n, err)
			}
		}
		if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		wrote := make(chan error, 1)
		go func() {
			_, err := io.WriteString(server, "the end")
			wrote <- errors.Join(err, server.(interface{ CloseWrite() error }).CloseWrite())
		}()
		got, err := io.ReadAll(client)
		if err != nil || len(got) != all+len("the end") || !bytes.HasSuffix(got, []byte("the end")) {
			t.Errorf("the client read %d bytes, %v; want the %d that Write took, and the end", len(got), err, all)
		}
		if err := receive(t, wrote, "the Write"); err != nil {
			t.Error(err)
		}
		if _, err := server.Write([]byte("x")); err == nil {
			t.Error("Write after CloseWrite went well")
		}
		send(t, client, "bye")
		want(t, server, "bye")
		closeWrite(t, client.NetConn()) // no close_notify
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a Read of a truncated stream: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		client.Close()
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 })
	})
}

// TestTLSListen: net/http's server runs over TLS on Listen, and knows it: HTTP/2 by ALPN included.
func TestTLSListen(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, nil)
		ln, err := b.Listen(tlsAddr)
		if err != nil {
			t.Fatal(err)
		}
		web := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p, err := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %v %d %v", r.Proto, r.TLS != nil, len(p), err)
			}),
			TLSConfig: &tls.Config{NextProtos: []string{"h2", "http/1.1"}},
		}
		done := make(chan error, 1)
		go func() { done <- web.Serve(ln) }()
		for _, row := range []struct {
			two  bool
			want string
		}{{false, "HTTP/1.1 true 300000 <nil>"}, {true, "HTTP/2.0 true 300000 <nil>"}} {
			tr := &http.Transport{TLSClientConfig: b.client(), ForceAttemptHTTP2: row.two}
			c := &http.Client{Transport: tr, Timeout: patience}
			for range 3 {
				r, err := c.Post("https://"+ln.Addr().String()+"/", "text/plain", strings.NewReader(strings.Repeat("x", 300_000)))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || string(got) != row.want {
					t.Errorf("got %q, %v; want %q", got, err, row.want)
				}
			}
			tr.CloseIdleConnections()
		}
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		if err := receive(t, done, "http.Server"); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
