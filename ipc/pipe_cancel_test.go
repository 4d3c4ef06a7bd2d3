package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/sock"
)

// TestPipeCutOff: a peer that ends inside a message.
func TestPipeCutOff(t *testing.T) {
	leak.Check(t)
	a, b := twoEnds(t, Options{})
	if _, err := a.s.nc.Write([]byte{0, 0, 0, 0, 0, 2, 'x'}); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if got, err := b.Recv(limited(t)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v, want io.ErrUnexpectedEOF", got, err)
	}
}

// TestPipeCancel: a Recv that was cancelled, in the midst of a message too, loses nothing.
func TestPipeCancel(t *testing.T) {
	eachCaller(t, func(t *testing.T, ctx context.Context) {
		a, b := twoEnds(t, Options{})
		defer a.Close()
		defer b.Close()
		for _, piece := range []string{"", "\x00\x00\x00", "\x00\x00\x04ab"} {
			if _, err := io.WriteString(a.s.nc, piece); err != nil {
				t.Error(err)
			}
			short, cancel := context.WithTimeoutCause(ctx, 5*time.Millisecond, errors.New("no more time"))
			got, err := b.Recv(short)
			if err == nil || !strings.Contains(err.Error(), "no more time") {
				t.Errorf("got %q, %v, want the context's cause", got, err)
			}
			if got, err = b.Recv(short); err == nil {
				t.Errorf("with a context that is done: got %q, %v", got, err)
			}
			cancel()
		}
		if _, err := io.WriteString(a.s.nc, "cd"); err != nil {
			t.Error(err)
		}
		if got, err := b.Recv(ctx); err != nil || string(got) != "abcd" {
			t.Errorf("got %q, %v, want the whole message", got, err)
		}
	})
}

// TestPipeScope: what a coroutine's task is in ends its waits, though the context that it gives is not cancelled.
func TestPipeScope(t *testing.T) {
	leak.Check(t)
	a, _ := twoEnds(t, Options{})
	err := plexor.Run(limited(t), func(ctx context.Context) error {
		return coro.Timeout(ctx, time.Millisecond, func(context.Context) error {
			_, err := a.Recv(ctx)
			return err
		})
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Recv: %v, want context.DeadlineExceeded", err)
	}
}

// TestPipeSendCancel: a Send that is cancelled half sent breaks the pipe for sending, and the peer knows.
func TestPipeSendCancel(t *testing.T) {
	eachCaller(t, func(t *testing.T, ctx context.Context) {
		a, b := twoEnds(t, Options{})
		defer a.Close()
		defer b.Close()
		if err := a.Send(ctx, []byte("first")); err != nil {
			t.Error(err)
		}
		short, cancel := context.WithCancelCause(ctx)
		why := errors.New("enough")
		go func() { // once some of the second one is there, and nobody receives it
			for n := 0; n <= pipeHeader+len("first"); time.Sleep(time.Millisecond) {
				n, _ = unread(b)
			}
			cancel(why)
		}()
		if err := a.Send(short, make([]byte, 8<<20)); !errors.Is(err, why) {
			t.Errorf("Send: %v, want the cause", err)
		}
		if err := a.Send(ctx, []byte("second")); !errors.Is(err, ErrBroken) {
			t.Errorf("Send: %v, want ErrBroken", err)
		}
		if got, err := b.Recv(ctx); err != nil || string(got) != "first" {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := b.Recv(ctx); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %d bytes, %v, want io.ErrUnexpectedEOF", len(got), err)
		}
		if err := b.Send(ctx, []byte("back")); err != nil {
			t.Error(err)
		}
		if got, err := a.Recv(ctx); err != nil || string(got) != "back" {
			t.Errorf("the other way: got %q, %v", got, err)
		}
	})
}

// unread is how many bytes the kernel has for a pipe.
func unread(p *Pipe) (n int, err error) {
	if err := p.s.raw.Control(func(fd uintptr) { n, err = sock.Socket(fd).Unread() }); err != nil {
		return 0, err
	}
	return n, err
}

// TestPipeClose: those who wait are told.
func TestPipeClose(t *testing.T) {
	leak.Check(t)
	a, b := twoEnds(t, Options{})
	ctx := limited(t)
	errs := make(chan error, 3)
	go func() { _, err := a.Recv(ctx); errs <- err }()
	go func() { _, err := a.Recv(ctx); errs <- err }()
	go func() {
		for {
			if err := a.Send(ctx, make([]byte, 1<<20)); err != nil {
				errs <- err
				return
			}
		}
	}()
	if _, err := b.Recv(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := receive(t, errs, "a wait's end"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a wait ended with %v, want net.ErrClosed", err)
		}
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close: %v, want net.ErrClosed", err)
	}
}

// TestPipeUseClosed: who comes after Close is told the same as who waited, also with a message that came before.
func TestPipeUseClosed(t *testing.T) {
	leak.Check(t)
	a, b := twoEnds(t, Options{})
	ctx := limited(t)
	for range 2 {
		if err := b.Send(ctx, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Recv(ctx); err != nil { // the other one is read with it
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if msg, err := a.Recv(ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Recv after Close: %q, %v; want net.ErrClosed", msg, err)
	}
	if _, err := a.receiveSoon(ctx, func([]byte, []int) error { return nil }); !errors.Is(err, net.ErrClosed) {
		t.Errorf("receiveSoon after Close: %v, want net.ErrClosed", err)
	}
	if err := a.Send(ctx, []byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send after Close: %v, want net.ErrClosed", err)
	}
}

// TestPipeKilled: the death of the other process is the end of the stream.
func TestPipeKilled(t *testing.T) {
	leak.Check(t)
	mine, theirs, err := NewPipe(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	cmd := child(t, "echo")
	cmd.ExtraFiles = []*os.File{theirs}
	start(t, cmd)
	ctx := limited(t)
	if err := mine.Send(ctx, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Recv(ctx); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	if got, err := mine.Recv(ctx); err != io.EOF {
		t.Errorf("got %q, %v, want io.EOF", got, err)
	}
	if err := mine.Send(ctx, []byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Send to the dead: %v, want EPIPE", err)
	}
	cmd.Wait()
}
