package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/leak"
)

func asConns(files []*os.File) []syscall.Conn {
	conns := make([]syscall.Conn, len(files))
	for i, f := range files {
		conns[i] = f
	}
	return conns
}

// twoEnds makes a pipe within this process.
func twoEnds(t testing.TB, o Options) (a, b *Pipe) {
	t.Helper()
	a, f, err := NewPipe(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if b, err = FilePipe(f, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// withChild makes a pipe to a child.
func withChild(t testing.TB, name string, o Options) *Pipe {
	t.Helper()
	mine, theirs, err := NewPipe(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mine.Close() })
	cmd := child(t, name)
	cmd.ExtraFiles = []*os.File{theirs}
	start(t, cmd)
	return mine
}

// TestPipeEcho: messages of all sizes to another process, and back; more under way at once than the kernel's buffers
// hold.
func TestPipeEcho(t *testing.T) {
	eachCaller(t, func(t *testing.T, ctx context.Context) {
		p := withChild(t, "echo", Options{})
		sizes := []int{0, 1, 64, smallMessage, smallMessage + 1, recvBuffer - pipeHeader, recvBuffer, 3 << 20}
		for _, n := range sizes {
			msg := bytes.Repeat([]byte{byte(n)}, n)
			if err := p.Send(ctx, msg); err != nil {
				t.Errorf("Send of %d bytes: %v", n, err)
				return
			}
			if got, err := p.Recv(ctx); err != nil || !bytes.Equal(got, msg) || got == nil {
				t.Errorf("sent %d bytes, got %d, %v", n, len(got), err)
				return
			}
		}
		if err := p.CloseWrite(ctx); err != nil {
			t.Error(err)
		}
		if got, err := p.Recv(ctx); err != io.EOF {
			t.Errorf("after the end: got %q, %v, want io.EOF", got, err)
		}
		p.Close()
	})
}

// TestPipeMany: many senders and receivers at once; each message comes once, and those of a sender in order.
func TestPipeMany(t *testing.T) {
	leak.Check(t)
	a, b := twoEnds(t, Options{})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const senders, each = 4, 500
	ctx := limited(t)
	errs := make(chan error, senders)
	for i := range senders {
		go func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range each {
				msg := fmt.Appendf(nil, "%d %d ", i, n)
				msg = append(msg, make([]byte, rnd.IntN(3*smallMessage))...)
				if err := a.Send(ctx, msg); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	next := make([]int, senders)
	for range senders * each {
		msg, err := b.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var i, n int
		if _, err := fmt.Sscan(string(msg[:min(len(msg), 20)]), &i, &n); err != nil || next[i] != n {
			t.Fatalf("got message %d of sender %d (%v), want its %d", n, i, err, next[i])
		}
		next[i]++
	}
	for range senders {
		if err := receive(t, errs, "a sender"); err != nil {
			t.Error(err)
		}
	}
}

// TestPipeFiles: files go to a child and come back, among messages that have none.
func TestPipeFiles(t *testing.T) {
	eachCaller(t, func(t *testing.T, ctx context.Context) {
		p := withChild(t, "echo", Options{})
		for round := range 5 {
			if err := p.Send(ctx, []byte("none")); err != nil {
				t.Error(err)
				return
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Error(err)
				return
			}
			if err := p.Send(ctx, make([]byte, round*recvBuffer), r, w); err != nil {
				t.Error(err)
				return
			}
			r.Close()
			w.Close()
			if msg, files, err := p.RecvFiles(ctx); err != nil || string(msg) != "none" || files != nil {
				t.Errorf("got %q, %v, %v", msg, files, err)
				return
			}
			msg, files, err := p.RecvFiles(ctx)
			if err != nil || len(msg) != round*recvBuffer || len(files) != 2 {
				t.Errorf("got %d bytes, %v, %v", len(msg), files, err)
				return
			}
			io.WriteString(files[1], "through it")
			files[1].Close()
			if got, err := io.ReadAll(files[0]); err != nil || string(got) != "through it" {
				t.Errorf("read %q, %v", got, err)
			}
			files[0].Close()
		}
		p.Close()
	})
}

// TestPipeFilesDropped: files that nobody takes are closed: by Recv, and when the pipe is closed over them.
func TestPipeFilesDropped(t *testing.T) {
	leak.Check(t)
	ctx := limited(t)
	a, b := twoEnds(t, Options{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 3 {
		if err := a.Send(ctx, []byte("x"), w); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if msg, err := b.Recv(ctx); err != nil || string(msg) != "x" {
		t.Fatalf("got %q, %v", msg, err)
	}
	b.Close()
	if n, err := r.Read(make([]byte, 1)); err != io.EOF { // the last writer is gone
		t.Errorf("read %d, %v, want io.EOF", n, err)
	}
}

func TestPipeBounds(t *testing.T) {
	leak.Check(t)
	ctx := limited(t)
	a, b := twoEnds(t, Options{MaxMessage: 100, MaxFiles: -1})
	if err := a.Send(ctx, make([]byte, 101)); !errors.Is(err, frame.ErrTooLong) {
		t.Errorf("Send of 101 bytes: %v, want ErrTooLong", err)
	}
	if err := a.Send(ctx, nil, os.Stderr); err == nil {
		t.Error("a file was sent where none may be")
	}
	if err := a.Send(ctx, make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if got, err := b.Recv(ctx); err != nil || len(got) != 100 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	// The peer's word is not taken for it.
	if _, err := a.s.nc.Write([]byte{0, 0, 0, 0, 0, 101}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := b.Recv(ctx); !errors.Is(err, frame.ErrTooLong) {
			t.Errorf("got %d bytes, %v, want ErrTooLong", len(got), err)
		}
	}
	for _, o := range []Options{{MaxMessage: -1}, {MaxMessage: math.MaxInt32}, {MaxFiles: 254}} {
		if p, _, err := NewPipe(o); err == nil {
			p.Close()
			t.Errorf("NewPipe(%+v) took it", o)
		}
	}
}

func TestPipeMissingFiles(t *testing.T) {
	leak.Check(t)
	a, b := twoEnds(t, Options{})
	if _, err := a.s.nc.Write([]byte{0, 1, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Recv(limited(t)); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %q, %v, want ErrMalformed", got, err)
	}
}

func TestListenPipe(t *testing.T) {
	path := socketPath(t)
	eachCaller(t, func(t *testing.T, ctx context.Context) {
		l, err := ListenPipe(path, Options{})
		if err != nil {
			t.Error(err)
			return
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != private {
			t.Errorf("the socket's permissions are %v, %v, want %o", info.Mode(), err, private)
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		if _, err := l.Accept(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Accept: %v, want context.DeadlineExceeded", err)
		}
		cancel()
		a, err := DialPipe(ctx, path, Options{})
		if err != nil {
			t.Error(err)
			return
		}
		b, err := l.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := ListenPipe(path, Options{}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second listener: %v, want EADDRINUSE", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Accept(ctx); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
		}
		if err := a.Send(ctx, []byte("hello")); err != nil {
			t.Error(err)
		}
		if got, err := b.Recv(ctx); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		a.Close()
		b.Close()
		if _, err := DialPipe(ctx, path, Options{}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("DialPipe after Close: %v, want os.ErrNotExist", err)
		}
	})
}

type point struct {
	X, Y int
	Name string
}

func TestTyped(t *testing.T) {
	leak.Check(t)
	ctx := limited(t)
	pa, pb := twoEnds(t, Options{MaxMessage: 1 << 20})
	a, b := NewTyped[point, string](pa), NewTyped[string, point](pb)
	send := func(p point) {
		t.Helper()
		sent := make(chan error, 1)
		go func() { sent <- a.Send(ctx, p) }() // a long one needs a receiver meanwhile
		if got, err := b.Recv(ctx); err != nil || got != p {
			t.Fatalf("got %.100v, %v, want %.100v", got, err, p)
		}
		if err := receive(t, sent, "Send"); err != nil {
			t.Fatal(err)
		}
	}
	send(point{1, 2, "a"})
	send(point{})
	send(point{Name: strings.Repeat("long", 100_000)})
	// Too long: nothing is sent, and it goes on.
	if err := a.Send(ctx, point{Name: strings.Repeat("x", 1<<20)}); !errors.Is(err, frame.ErrTooLong) {
		t.Errorf("Send: %v, want ErrTooLong", err)
	}
	send(point{3, 4, "b"})
	if err := b.Send(ctx, "back"); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Recv(ctx); err != nil || got != "back" {
		t.Errorf("got %q, %v", got, err)
	}
	// What is no message of the type is refused, and it goes on.
	for _, raw := range []string{"", "\x02", "\x00nonsense"} {
		if err := pa.Send(ctx, []byte(raw)); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Recv(ctx); !errors.Is(err, ErrMalformed) {
			t.Errorf("of %q: got %+v, %v, want ErrMalformed", raw, got, err)
		}
	}
	send(point{5, 6, "c"})
}

func TestTypedUnencodable(t *testing.T) {
	leak.Check(t)
	ctx := limited(t)
	pa, pb := twoEnds(t, Options{})
	a, b := NewTyped[any, any](pa), NewTyped[any, any](pb)
	if err := a.Send(ctx, make(chan int)); err == nil {
		t.Error("a channel was sent")
	}
	if err := a.Send(ctx, "text"); err != nil {
		t.Error(err)
	}
	if got, err := b.Recv(ctx); err != nil || got != "text" {
		t.Errorf("got %v, %v", got, err)
	}
}
