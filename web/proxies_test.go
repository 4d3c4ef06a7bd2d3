package web_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/proto/websocket"
)

// nginxConf has ours behind nginx: kept connections, without its own buffers for bodies, and WebSocket. /old is by
// HTTP/1.0 with a connection each, as nginx does it unless told otherwise.
const nginxConf = `
daemon off; pid DIR/pid; error_log DIR/log; worker_processes 1; USER
events { worker_connections 256; }
http {
	access_log off; client_max_body_size 8m;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u;
	scgi_temp_path DIR/s;
	upstream ours { server BACK; keepalive 8; }
	map $http_upgrade $connection_to { default upgrade; "" ""; }
	server {
		listen unix:DIR/front;
		location / {
			proxy_pass http://ours; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
			proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_to;
		}
		location /old/ { proxy_pass http://ours/; }
	}
}
`

// haproxyConf has ours behind haproxy by HTTP/1.1, and by HTTP/2 with prior knowledge.
const haproxyConf = `
defaults
	mode http
	timeout connect 60s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
frontend f
	bind unix@DIR/front
	use_backend two if { path_beg /two/ }
	default_backend one
backend one
	http-reuse always
	server a BACK
backend two
	http-request replace-path /two/(.*) /\1
	server a BACK proto h2
`

// behind starts a proxy before a server of ours, and returns a client whose connections go to it, whatever the host.
func behind(t *testing.T, name, conf, back string, args func(conf string) []string) *http.Transport {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("there is no %s", name)
	}
	dir, err := os.MkdirTemp("", "p") // shorter than t.TempDir, for a socket's path is bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	user := ""
	if os.Geteuid() == 0 { // else the directive is not for us
		user = "user root;"
	}
	file, front := filepath.Join(dir, "conf"), filepath.Join(dir, "front")
	conf = strings.NewReplacer("DIR", dir, "BACK", back, "USER", user).Replace(conf)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(name, args(file)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", front)
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = cmd.Process.Signal(os.Interrupt) // both end at once
		_ = cmd.Wait()
	})
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		nc, err := net.Dial("unix", front)
		if err == nil {
			nc.Close()
			return tr
		}
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("%s did not start: %v\n%s", name, err, log.String())
		}
	}
}

// TestBehindProxies has nginx and haproxy stand before a site of ours.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	eachSite(t, func(t *testing.T, has func(i int) bool, plain, _ string) {
		t.Run("nginx", func(t *testing.T) {
			if !has(0) {
				t.Skip("on the other site: PLEXOR_TESTS=all has it on both")
			}
			t.Parallel()
			tr := behind(t, "nginx", nginxConf, plain, func(conf string) []string {
				return []string{"-c", conf, "-e", "stderr"}
			})
			for _, path := range []string{"", "/old"} {
				throughProxy(t, tr, path, map[string]string{"": "HTTP/1.1", "/old": "HTTP/1.0"}[path])
			}
			socketThrough(t, tr)
		})
		t.Run("haproxy", func(t *testing.T) {
			if !has(1) {
				t.Skip("on the other site: PLEXOR_TESTS=all has it on both")
			}
			t.Parallel()
			tr := behind(t, "haproxy", haproxyConf, plain, func(conf string) []string {
				return []string{"-db", "-f", conf}
			})
			for _, path := range []string{"", "/two"} {
				throughProxy(t, tr, path, map[string]string{"": "HTTP/1.1", "/two": "HTTP/2.0"}[path])
			}
			socketThrough(t, tr)
		})
	})
}

// throughProxy asks a site through a proxy, which talks proto to it for what is below path.
func throughProxy(t *testing.T, tr *http.Transport, path, proto string) {
	c := &http.Client{Transport: tr, Timeout: time.Minute}
	unread := io.MultiReader(strings.NewReader(bigFile[:1000]), strings.NewReader(bigFile[1000:])) // of no known length
	for _, row := range []struct {
		method, path string
		body         io.Reader
		status       int
		want         string
	}{
		{"GET", "/files/big", nil, 200, bigFile},
		{"HEAD", "/files/big", nil, 200, ""},
		{"GET", "/none", nil, 204, ""},
		{"PUT", "/sum", strings.NewReader(bigFile), 200, summed("PUT", proto, bigFile)},
		{"POST", "/sum", unread, 200, summed("POST", proto, bigFile)},
		{"POST", "/echo", strings.NewReader(bigFile), 200, bigFile},
		{"POST", "/echo", strings.NewReader("x"), 200, "x"},
		{"GET", "/stream", nil, 200, "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"},
		{"GET", "/files/none", nil, 404, "404 page not found\n"},
		{"POST", "/echo", strings.NewReader(""), 200, ""},
	} {
		for range 3 { // some of them on a connection that has been used
			if s, ok := row.body.(io.Seeker); ok {
				_, _ = s.Seek(0, io.SeekStart)
			}
			req, err := http.NewRequest(row.method, "http://proxied"+path+row.path, row.body)
			if err != nil {
				t.Fatal(err)
			}
			res, err := c.Do(req)
			if err != nil {
				t.Errorf("%s %s%s: %v", row.method, path, row.path, err)
				break
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != row.status || string(got) != row.want || err != nil {
				t.Errorf("%s %s%s: %s, %d bytes, %.60q, %v; want %d, %d bytes, %.60q", row.method, path, row.path, res.Status,
					len(got), got, err, row.status, len(row.want), row.want)
			}
			if row.body == unread {
				break
			}
		}
	}
}

// socketThrough talks by a WebSocket through a proxy.
func socketThrough(t *testing.T, tr *http.Transport) {
	nc, err := tr.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c, err := websocket.Dial(nc, "ws://proxied/socket", &websocket.Options{Deflate: &websocket.Deflate{}})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for _, m := range []string{"", "hello", bigFile} {
		go func() { _ = c.WriteMessage(websocket.Text, []byte(m)) }()
		wantMessage(t, c, m)
	}
	if err := c.Close(websocket.Normal, ""); err != nil {
		t.Errorf("Close: %v", err)
	}
}
