package lab_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// TestHTTPInLab: net/http's client and ours of WebSocket, on goroutines, with the engine's HTTP on a lab's host; over a
// line that loses and reorders, with TLS and without.
func TestHTTPInLab(t *testing.T) {
	client, server := liveWorld(t, link.Options{Delay: time.Millisecond, Loss: 0.005, Reorder: 0.02})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		p, err := io.ReadAll(r.Body) // to answer before the end would end the connection
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(p)
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, nil)
		if err != nil {
			return // it is answered
		}
		for {
			op, msg, err := c.ReadMessage()
			if err != nil || c.WriteMessage(op, bytes.ToUpper(msg)) != nil {
				return // the connection is closed
			}
		}
	})
	srv := &plexor.Server{Network: server, Loops: 2, Handler: web.Handler(mux, web.Options{}),
		Log: slog.New(slog.DiscardHandler)} // of what Close cuts off
	for _, addr := range []string{"tcp://:80", "tls://:443"} {
		if _, err := srv.Open(addr, nil); err != nil {
			t.Fatal(err)
		}
	}
	defer srv.Close()
	transport := &http.Transport{DialContext: client.DialContext, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport}
	sent := bytes.Repeat([]byte("over the lab's own TCP; "), 5_000)
	for _, url := range []string{"http://server/echo", "https://server/echo"} {
		for range 3 {
			resp, err := hc.Post(url, "", bytes.NewReader(sent))
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			got, err := io.ReadAll(resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%s: %s, %d bytes of %d, %v", url, resp.Status, len(got), len(sent), err)
			}
		}
	}
	if err := shout(client); err != nil {
		t.Error(err)
	}
}

// shout sends messages of WebSocket, each longer than the one before.
func shout(client *lab.Host) error {
	nc, err := client.DialContext(context.Background(), "tcp", "server:80")
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := websocket.Dial(nc, "ws://server/ws", nil)
	if err != nil {
		return err
	}
	for n := range 5 {
		msg := strings.Repeat("hello ", 1<<(3*n))
		if err := c.WriteMessage(websocket.Text, []byte(msg)); err != nil {
			return err
		}
		if _, got, err := c.ReadMessage(); err != nil || string(got) != strings.ToUpper(msg) {
			return fmt.Errorf("message %d: %d bytes of %d, %w", n, len(got), len(msg), err)
		}
	}
	return c.Close(websocket.Normal, "bye")
}

// TestClientInLab: plexor.Client on one host, for goroutines, finds a server on another by its name.
func TestClientInLab(t *testing.T) {
	client, server := liveWorld(t, link.Options{})
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:9", nil); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	pc := &plexor.Client{Network: client}
	defer pc.Close()
	for _, dial := range []func() (net.Conn, error){
		func() (net.Conn, error) { return pc.Dial(t.Context(), "tcp://server:9") },
		func() (net.Conn, error) { return pc.DialContext(t.Context(), "tcp6", "server:9") },
	} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err = io.WriteString(c, "hello"); err == nil {
			_, err = io.ReadFull(c, got)
		}
		if err = errors.Join(err, c.Close()); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := pc.Dial(t.Context(), "tcp://nobody:9"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a name that nobody has: %v", err)
	}
}
