//go:build unix

package plexor_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestBlockingApart: what blocks has a bound for each kind. As many look-ups, reads of certificates, or calls of the
// user's as there can be at once get stuck, and hold up those of the other kinds no more, nor files that are sent.
func TestBlockingApart(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var accepted atomic.Int32
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			accepted.Add(1)
		}
	}()
	const stuck = 70 // more than each bound
	pipe := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	port := portOf(ln.Addr())
	file, size := uncached(t)
	kinds := []struct {
		name     string
		connects bool
		hang     func(ctx context.Context, release <-chan bool) error // nil: there is no way to have it stuck
		pass     func(ctx context.Context) error
	}{
		{"look-ups", false, func(ctx context.Context, release <-chan bool) error {
			d := &plexor.Dialer{Lookup: func(context.Context, string) ([]netip.Addr, error) {
				<-release
				return nil, errors.New("released")
			}}
			_, err := d.Dial(ctx, "tcp://stuck.test:1")
			return err
		}, func(ctx context.Context) error {
			c, err := (&plexor.Dialer{Lookup: lookup("127.0.0.1")}).Dial(ctx, "tcp://good.test:"+port)
			if err != nil {
				return err
			}
			return c.Abort()
		}},
		{"certificates", true, func(ctx context.Context, release <-chan bool) error {
			_, err := plexor.Dial(ctx, "tls://127.0.0.1:"+port+"?cert="+pipe+"&key="+pipe+".none")
			return err
		}, func(ctx context.Context) error {
			_, err := plexor.Dial(ctx, "tls://127.0.0.1:"+port+"?cert="+pipe+".none&key="+pipe+".none")
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}},
		{"calls", false, func(ctx context.Context, release <-chan bool) error {
			_, err := coro.Await(ctx, func() (int, error) { <-release; return 0, nil })
			return err
		}, func(ctx context.Context) error {
			_, err := coro.Await(ctx, func() (int, error) { return 0, nil })
			return err
		}},
		{"files", false, nil, func(ctx context.Context) error {
			c, err := plexor.Dial(ctx, "tcp://127.0.0.1:"+port)
			if err != nil {
				return err
			}
			defer c.Abort()
			_, err = c.SendFile(file, 0, size)
			return err
		}},
	}
	for i, k := range kinds {
		if k.hang == nil {
			continue
		}
		t.Run("stuck "+k.name, func(t *testing.T) {
			release, before := make(chan bool), accepted.Load()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := plexor.Run(ctx, func(ctx context.Context) error {
				return coro.Group(ctx, func(g *coro.Tasks) error {
					for range stuck {
						g.Go(func(ctx context.Context) error {
							_ = k.hang(ctx, release) // it ends as it was cancelled, or released
							return nil
						})
					}
					for turns := 0; turns < 20; turns++ { // they begin, those that connect first too
						if k.connects && int(accepted.Load()-before) < stuck {
							turns = 0
						}
						if err := coro.Yield(ctx); err != nil {
							return err
						}
					}
					for j, other := range kinds {
						if j == i {
							continue
						}
						if err := other.pass(ctx); err != nil {
							t.Errorf("%s beside stuck %s: %v", other.name, k.name, err)
						}
					}
					return errDone
				})
			})
			if !errors.Is(err, errDone) {
				t.Error(err)
			}
			close(release)
		})
	}
	// Those that have opened the pipe, or do so now, read its end; those whose turn comes later find none.
	w, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pipe); err != nil {
		t.Error(err)
	}
	w.Close()
}

// uncached is a file of which the system can't say what is in memory, so that all of it is read aside, and its size.
func uncached(t *testing.T) (*os.File, int64) {
	t.Helper()
	path := "/proc/version"
	if runtime.GOOS != "linux" { // there no file can
		path = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("a file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, int64(len(p))
}

var errDone = errors.New("done")
