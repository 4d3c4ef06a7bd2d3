package examples

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestEvents: what one says comes to the feed, and to who comes back later.
func TestEvents(t *testing.T) {
	url := "http://" + start(t, "events", "tcp://127.0.0.1:0")
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	feed := func(last string) *bufio.Scanner {
		req, err := http.NewRequest("GET", url+"/feed", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Last-Event-ID", last)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return bufio.NewScanner(res.Body)
	}
	hears := func(lines *bufio.Scanner, want string) {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				break
			}
		}
		if lines.Text() != want {
			t.Errorf("%q came, want %q", lines.Text(), want)
		}
	}
	listener := feed("")
	for _, text := range []string{"hello", "again"} {
		res, err := client.Post(url+"/say", "text/plain", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		if res.Body.Close(); res.StatusCode != 200 {
			t.Errorf("say: %s %s", res.Status, b)
		}
	}
	hears(listener, "data: hello")
	hears(listener, "data: again")
	hears(feed("1"), "data: again")
}
