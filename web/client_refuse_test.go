package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/web"
)

// TestClientRefusals: a request that can't be sent leaves its connection to the next.
func TestClientRefusals(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	withClient(t, web.ClientOptions{ConnsPerHost: 1}, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		for i := range 3 {
			req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			if err != nil {
				return err
			}
			req.Header["A"] = []string{"b\r\nc: d"}
			if _, err := c.RoundTrip(req); err == nil {
				t.Error("it was sent")
			}
			if _, _, err := fetch(ctx, client, "GET", srv.URL, nil); err != nil {
				return err
			}
			if s := c.Stats(); s.Conns != 1 {
				t.Errorf("%d: %+v", i, s)
			}
		}
		return nil
	})
}

// TestClientBounds: bodies that are too long, as they come or inflated, are errors.
func TestClientBounds(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	o := web.ClientOptions{MostInflated: 1 << 20, MostBody: 1 << 20}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		for _, n := range []int{1 << 20, 1<<20 + 1} {
			got, _, err := fetch(ctx, client, "POST", srv.URL, bytes.NewReader(make([]byte, n)))
			if (n > 1<<20) != errors.Is(err, web.ErrBodyTooLong) || len(got) != 1<<20 {
				t.Errorf("%d: %d bytes, %v", n, len(got), err)
			}
		}
		got, resp, err := fetch(ctx, client, "GET", srv.URL+"/gzip", nil)
		if err != nil || len(got) != 1<<20 || !resp.Uncompressed {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	})
	withClient(t, web.ClientOptions{MostInflated: 1<<20 - 1}, func(ctx context.Context, c *web.Client) error {
		got, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", srv.URL+"/gzip", nil)
		if !errors.Is(err, web.ErrBodyTooLong) || len(got) != 1<<20-1 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	})
}

// TestClientElsewhere: a goroutine that uses the Client, or an answer's body, is told so.
func TestClientElsewhere(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	withClient(t, web.ClientOptions{}, func(ctx context.Context, c *web.Client) error {
		req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/slow", nil)
		if err != nil {
			return err
		}
		resp, err := c.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = coro.Await(ctx, func() (int, error) {
			if _, err := c.RoundTrip(req); !errors.As(err, new(*coro.MisuseError)) {
				t.Errorf("RoundTrip: %v", err)
			}
			_, err := io.ReadAll(resp.Body)
			if !errors.As(err, new(*coro.MisuseError)) {
				t.Errorf("Read: %v", err)
			}
			return 0, nil
		})
		return err
	})
	if _, err := web.NewClient(t.Context(), web.ClientOptions{}); !errors.As(err, new(*coro.MisuseError)) {
		t.Errorf("NewClient: %v", err)
	}
}
