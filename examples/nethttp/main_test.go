package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// began starts a service, and returns its two addresses. It ends gracefully with the test.
func began(t *testing.T) (ctx context.Context, web, rpc string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	var s service
	if err := s.start("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		if err := s.stop(ctx); err != nil {
			t.Errorf("at the end: %v", err)
		}
		if st := s.srv.Stats(); st.Conns != 0 {
			t.Errorf("%d connections are left", st.Conns)
		}
	})
	listeners := s.srv.Stats().Listeners
	return ctx, listeners[0].Addr.String(), listeners[1].Addr.String()
}

func TestPage(t *testing.T) {
	_, web, rpc := began(t)
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	for range 3 {
		answer, err := client.Get("http://" + web + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		want := web + " has 1 connections\n" + rpc + " has 0 connections\n"
		if err != nil || !strings.HasSuffix(string(body), want) {
			t.Errorf("the page is %q, %v, want %q", body, err, want)
		}
	}
}

func TestPageByCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl here")
	}
	ctx, web, _ := began(t)
	url := "http://" + web + "/"
	out, err := exec.CommandContext(ctx, curl, "-sS", "--noproxy", "*", url, url).CombinedOutput()
	if err != nil || strings.Count(string(out), "hello 127.0.0.1:") != 2 {
		t.Errorf("curl: %v\n%s", err, out)
	}
}

// TestWebSockets: many of them at once, each with many messages.
func TestWebSockets(t *testing.T) {
	ctx, web, _ := began(t)
	ends := make(chan error)
	const clients = 50
	for range clients {
		go func() { ends <- chat(ctx, "ws://"+web+"/ws") }()
	}
	for range clients {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
}

func chat(ctx context.Context, url string) error {
	ws, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	for range 20 {
		if err := ws.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			return err
		}
		if _, msg, err := ws.Read(ctx); err != nil || string(msg) != "HELLO" {
			return fmt.Errorf("the answer is %q, %v", msg, err)
		}
	}
	return ws.Close(websocket.StatusNormalClosure, "bye")
}

// TestGRPC: calls at once on one connection, and a stream.
func TestGRPC(t *testing.T) {
	ctx, _, rpc := began(t)
	conn, err := grpc.NewClient("passthrough:///"+rpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)
	ends := make(chan error)
	const calls = 50
	for range calls {
		go func() {
			_, err := client.Check(ctx, new(grpc_health_v1.HealthCheckRequest))
			ends <- err
		}()
	}
	for range calls {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := client.Watch(watching, new(grpc_health_v1.HealthCheckRequest))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("the stream: %v, %v", got, err)
	}
}
