package ftp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// client dials the rig as joe.
func (r *rig) client(o ClientOptions) *Client {
	r.t.Helper()
	if o.User == "" {
		o.User, o.Password = "joe", "secret"
	}
	if o.Limits.AbortTime == 0 { // a busy machine and its disk take longer than 5 s
		o.Limits.AbortTime = patience
	}
	addr := r.addr
	if stage.Of(r.t.Name()) != nil {
		if o.Dial == nil {
			o.Dial = stage.DialContext
		}
		if o.TLS != nil {
			o.TLS = o.TLS.Clone()
			o.TLS.ServerName = "localhost"
		}
	} else if o.Security != PlainText {
		addr = strings.Replace(addr, "127.0.0.1", "localhost", 1)
		if o.Dial == nil {
			o.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp4", address)
			}
		}
	}
	c, err := Dial(r.t.Context(), addr, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// kinds are the ways to connect.
func kinds(t *testing.T, f func(t *testing.T, r *rig, o ClientOptions)) {
	cert, pool := newCert(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, row := range []struct {
		name string
		srv  *Server
		o    ClientOptions
	}{
		{"plain", &Server{}, ClientOptions{}},
		{"active", &Server{}, ClientOptions{Listen: stage.ListenAt}},
		{"explicit", &Server{TLS: cfg, RequireTLS: true, Binding: BindRequire}, ClientOptions{Security: Explicit}},
		{"explicit, TLS 1.2", &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12},
			Binding: BindRequire}, ClientOptions{Security: Explicit}},
		{"implicit", &Server{TLS: cfg, Implicit: true, Binding: BindRequire}, ClientOptions{Security: Implicit}},
		{"implicit, active", &Server{TLS: cfg, Implicit: true, Binding: BindRequire},
			ClientOptions{Security: Implicit, Listen: stage.ListenAt}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.o.TLS = &tls.Config{RootCAs: pool}
			f(t, newRig(t, row.srv), row.o)
		})
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, r *rig, o ClientOptions) {
		ctx := t.Context()
		c := r.client(o)
		text := strings.Repeat("0123456789abcdef", 20_000)
		for range 3 { // the second and third transfer resume by tickets of data connections
			if n, err := c.Stor(ctx, "a b.bin", 0, strings.NewReader(text)); err != nil || int(n) != len(text) {
				t.Fatalf("Stor: %d, %v", n, err)
			}
			r.has("a b.bin", text)
			var b bytes.Buffer
			if _, err := c.Retr(ctx, "a b.bin", 0, &b); err != nil || b.String() != text {
				t.Fatalf("Retr: %d bytes, %v", b.Len(), err)
			}
		}
		var b bytes.Buffer
		if _, err := c.Retr(ctx, "a b.bin", 100, &b); err != nil || b.String() != text[100:] {
			t.Errorf("Retr from 100: %d bytes, %v", b.Len(), err)
		}
		if _, err := c.Append(ctx, "a b.bin", strings.NewReader("tail")); err != nil {
			t.Error(err)
		}
		if n, err := c.Size(ctx, "a b.bin"); err != nil || int(n) != len(text)+4 {
			t.Errorf("Size: %d, %v", n, err)
		}
		from, err := c.Resume(ctx, "a b.bin", strings.NewReader(text+"tail and more"))
		if err != nil || int(from) != len(text)+4 {
			t.Errorf("Resume: %d, %v", from, err)
		}
		r.has("a b.bin", text+"tail and more")
		if at, err := c.ModTime(ctx, "a b.bin"); err != nil || time.Since(at) > time.Hour {
			t.Errorf("ModTime: %v, %v", at, err)
		}
		then := time.Date(2017, 9, 21, 1, 34, 10, 0, time.UTC)
		if err := c.SetModTime(ctx, "a b.bin", then); err != nil {
			t.Error(err)
		}
		if at, err := c.ModTime(ctx, "a b.bin"); err != nil || !at.Equal(then) {
			t.Errorf("ModTime behind SetModTime: %v, %v", at, err)
		}
		if e, err := c.Stat(ctx, "a b.bin"); err != nil || e.Size != int64(len(text))+13 || e.Name != "/a b.bin" {
			t.Errorf("Stat: %+v, %v", e, err)
		}
	})
}

func TestClientFolders(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, r *rig, o ClientOptions) {
		ctx := t.Context()
		c := r.client(o)
		for _, err := range []error{c.Mkdir(ctx, "d"), c.Mkdir(ctx, `d/"e" f`), c.Chdir(ctx, `d/"e" f`)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if p, err := c.Getwd(ctx); err != nil || p != `/d/"e" f` {
			t.Errorf("Getwd: %q, %v", p, err)
		}
		r.file("d/x", "xx")
		r.file("d/y", "")
		for _, mlsd := range []bool{true, false} {
			c.mlsd = mlsd
			all, err := c.ReadDir(ctx, "/d")
			if err != nil || len(all) != 3 {
				t.Fatalf("ReadDir: %+v, %v", all, err)
			}
			slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
			if all[0].Name != `"e" f` || !all[0].Dir || all[1].Name != "x" || all[1].Size != 2 || all[1].Dir {
				t.Errorf("ReadDir: %+v", all)
			}
			for e, err := range c.Entries(ctx, "/d") {
				if err != nil || e.Name == "" {
					t.Errorf("Entries: %+v, %v", e, err)
				}
				break // which aborts
			}
			var seen []string
			err = c.Walk(ctx, "/", func(p string, _ Entry) error {
				seen = append(seen, p)
				return nil
			})
			slices.Sort(seen)
			if want := []string{"/d", `/d/"e" f`, "/d/x", "/d/y"}; err != nil || !slices.Equal(seen, want) {
				t.Errorf("Walk: %q, %v", seen, err)
			}
		}
		if names, err := c.Names(ctx, "/d"); err != nil || len(names) != 3 {
			t.Errorf("Names: %q, %v", names, err)
		}
		for _, err := range []error{c.Rename(ctx, "/d/x", "/z"), c.Remove(ctx, "/z"), c.Chdir(ctx, "/"),
			c.Rmdir(ctx, `d/"e" f`), c.Noop(ctx)} {
			if err != nil {
				t.Error(err)
			}
		}
		r.lacks("d/x")
		r.lacks("z")
		r.lacks(`d/"e" f`)
	})
}

// TestClientAbort ends transfers in their midst; the client can be used on.
func TestClientAbort(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, r *rig, o ClientOptions) {
		c := r.client(o)
		r.file("big", strings.Repeat("x", 8<<20))
		ctx, cancel := context.WithCancel(t.Context())
		w := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
		if _, err := c.Retr(ctx, "big", 0, w); !errors.Is(err, context.Canceled) {
			t.Errorf("Retr: %v", err)
		}
		mine := errors.New("mine")
		n := 0
		_, err := c.Stor(t.Context(), "up", 0, readerFunc(func(p []byte) (int, error) {
			if n++; n > 3 {
				return 0, mine
			}
			return len(p), nil
		}))
		if !errors.Is(err, mine) {
			t.Errorf("Stor: %v", err)
		}
		var b bytes.Buffer
		if _, err := c.Retr(t.Context(), "big", 8<<20-3, &b); err != nil || b.String() != "xxx" {
			t.Errorf("Retr behind both: %q, %v", b.String(), err)
		}
	})
}

// TestBrokenOffUpload has uploads whose reader fails: none counts as whole, whichever the server sees first, the end
// of the data or ABOR.
func TestBrokenOffUpload(t *testing.T) {
	kinds(t, func(t *testing.T, r *rig, o ClientOptions) {
		c := r.client(o)
		mine := errors.New("mine")
		const times = 20
		for range times {
			sent := false
			_, err := c.Stor(t.Context(), "up", 0, readerFunc(func(p []byte) (int, error) {
				if sent {
					return 0, mine
				}
				sent = true
				return copy(p, "part"), nil
			}))
			if !errors.Is(err, mine) {
				t.Fatalf("Stor: %v", err)
			}
		}
		if st := r.srv.Stats(); st.Transfers != 0 || st.Failed+st.Truncated != times {
			t.Errorf("the counts are %+v", st)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var _ io.Reader = readerFunc(nil)
