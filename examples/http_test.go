package examples

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestHTTP: both handlers answer, over one connection.
func TestHTTP(t *testing.T) {
	addr := start(t, "http", "tcp://127.0.0.1:0")
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	url := "http://" + addr
	read := func(res *http.Response, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.Status + " " + string(b)
	}
	if got, want := read(client.Get(url+"/hello/you")), "200 OK hello, you\n"; got != want {
		t.Errorf("GET: %q, want %q", got, want)
	}
	body := strings.Repeat("x", 1<<20)
	got, want := read(client.Post(url+"/count", "text/plain", strings.NewReader(body))), "200 OK 1048576 bytes\n"
	if got != want {
		t.Errorf("POST: %q, want %q", got, want)
	}
	if got, want := read(client.Get(url+"/count")), "405 Method Not Allowed Method Not Allowed\n"; got != want {
		t.Errorf("GET where only POST is: %q, want %q", got, want)
	}
}
