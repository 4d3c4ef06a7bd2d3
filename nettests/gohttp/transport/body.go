package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// An awayBody is a request's body that may block: a goroutine reads it for the coroutine that sends it.
type awayBody struct{ body io.ReadCloser }

// Read is of io.Reader.
func (b *awayBody) Read(p []byte) (int, error) {
	t, err := sched.Self("the body of a request")
	if err != nil {
		return 0, err
	}
	type result struct {
		p   []byte
		err error
	}
	r, err := coro.Await(t.Context(), func() (r result, _ error) {
		buf := make([]byte, len(p))
		n, err := b.body.Read(buf)
		return result{buf[:n], err}, nil
	})
	if err != nil {
		return 0, err
	}
	return copy(p, r.p), r.err
}

// Close is of io.Closer.
func (b *awayBody) Close() error { return b.body.Close() }

// again is GetBody for a request whose body is an awayBody.
func again(req *http.Request) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		return &awayBody{body: body}, nil
	}
}

// A homeBody is an answer's body for goroutines.
type homeBody struct{ body io.ReadCloser }

// A homeStream is one that is a connection.
type homeStream struct {
	homeBody
	to io.Writer
}

func home(body io.ReadCloser) io.ReadCloser {
	if body == http.NoBody {
		return body
	}
	if w, ok := body.(io.Writer); ok {
		return &homeStream{homeBody{body}, w}
	}
	return &homeBody{body}
}

// Read is of io.Reader.
func (b *homeBody) Read(p []byte) (int, error) {
	var rerr error
	n, err := onLoop(func(context.Context) (n int, _ error) {
		n, rerr = b.body.Read(p)
		return n, nil
	})
	if err != nil {
		return 0, err
	}
	return n, rerr
}

// Close is of io.Closer.
func (b *homeBody) Close() error {
	_, err := onLoop(func(context.Context) (int, error) { return 0, b.body.Close() })
	return err
}

// Write is of io.Writer.
func (s *homeStream) Write(p []byte) (int, error) {
	var werr error
	n, err := onLoop(func(context.Context) (n int, _ error) {
		n, werr = s.to.Write(p)
		return n, nil
	})
	if err != nil {
		return 0, err
	}
	return n, werr
}

// relayed makes a connection of the loop of one that a test's own function makes, through a Unix socket.
func relayed(ctx context.Context, addr string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (
	*plexor.Conn, error,
) {
	path, err := coro.Await(ctx, func() (string, error) {
		up, err := dial(ctx, "tcp", addr)
		if err != nil {
			return "", err
		}
		dir, err := os.MkdirTemp("", "relay")
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, "s")
		ln, err := net.Listen("unix", path)
		if err != nil {
			return "", err
		}
		go func() {
			defer os.RemoveAll(dir)
			defer ln.Close()
			down, err := ln.Accept()
			if err != nil {
				_ = up.Close()
				return
			}
			relay(up, down)
		}()
		return path, nil
	})
	if err != nil {
		return nil, err
	}
	return plexor.Dial(ctx, (&url.URL{Scheme: "unix", Path: path}).String())
}

// relay brings bytes both ways until one end is done.
func relay(up, down net.Conn) {
	var once sync.Once
	end := func() {
		_ = up.Close()
		_ = down.Close()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(struct{ io.Writer }{up}, struct{ io.Reader }{down})
		once.Do(end)
	}()
	_, _ = io.Copy(struct{ io.Writer }{down}, struct{ io.Reader }{up})
	once.Do(end)
	<-done
}
