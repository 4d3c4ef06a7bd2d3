package mailcatch

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/chromium"
	"github.com/plexor-go/plexor/proto/websocket"
)

// A browser is a page in a headless Chromium, driven by its protocol of developer tools.
type browser struct {
	t      *testing.T
	conn   *websocket.Conn
	calls  *int
	output *bytes.Buffer
}

// in is the browser for a part of a test.
func (b *browser) in(t *testing.T) *browser {
	of := *b
	of.t = t
	return &of
}

// newBrowser starts Chromium, or skips the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t, calls: new(int), output: new(bytes.Buffer)}
	dir := t.TempDir()
	cmd := chromium.Command(context.Background(), t, dir, "--hide-scrollbars", "--remote-debugging-port=0",
		"data:text/html,<title>first</title>")
	cmd.Stderr = b.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.conn != nil {
			b.command("Browser.close", nil)
			_ = b.conn.CloseNow() // it goes away by itself
		}
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait() // it was told to end
	})
	port := ""
	until(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "DevToolsActivePort"))
		port, _, _ = strings.Cut(string(text), "\n")
		return err == nil && strings.Count(string(text), "\n") > 0
	})
	b.conn = connect(t, "127.0.0.1:"+port)
	until(t, func() bool { // an empty page is there before
		result, fault := b.ask("Runtime.evaluate", map[string]any{"expression": "document.title + document.readyState"})
		return fault == nil && bytes.Contains(result, []byte("firstcomplete"))
	})
	return b
}

// connect connects to the browser's page.
func connect(t *testing.T, host string) *websocket.Conn {
	t.Helper()
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	var pages []struct {
		Type string `json:"type"`
		URL  string `json:"webSocketDebuggerUrl"`
	}
	page := ""
	until(t, func() bool {
		res, err := (&http.Client{Transport: tr, Timeout: patience}).Get("http://" + host + "/json/list")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&pages); err != nil {
			t.Fatal(err)
		}
		for _, p := range pages {
			if p.Type == "page" {
				page = p.URL
			}
		}
		return page != ""
	})
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	c, err := websocket.Dial(nc, page, &websocket.Options{Limits: websocket.Limits{Message: 32 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// command calls a method, and returns its result.
func (b *browser) command(method string, params map[string]any) json.RawMessage {
	b.t.Helper()
	result, fault := b.ask(method, params)
	if fault != nil {
		b.t.Fatalf("%s: %s", method, fault)
	}
	return result
}

// ask calls a method, and returns its result, or the browser's error.
func (b *browser) ask(method string, params map[string]any) (result, fault json.RawMessage) {
	b.t.Helper()
	*b.calls++
	text, err := json.Marshal(map[string]any{"id": *b.calls, "method": method, "params": params})
	if err == nil {
		err = b.conn.SetReadDeadline(time.Now().Add(patience))
	}
	if err == nil {
		err = b.conn.WriteMessage(websocket.Text, text)
	}
	for err == nil {
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  json.RawMessage
		}
		if _, text, err = b.conn.ReadMessage(); err == nil {
			err = json.Unmarshal(text, &answer)
		}
		if err == nil && answer.ID == *b.calls { // else it is an event
			return answer.Result, answer.Error
		}
	}
	b.t.Fatalf("%s: %v\n%s", method, err, b.output.String())
	return nil, nil
}

// eval runs an expression on the page, waits for it if it is a promise, and returns its value as text.
func (b *browser) eval(js string) string {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	result := b.command("Runtime.evaluate", map[string]any{"expression": js, "awaitPromise": true, "returnByValue": true})
	if err := json.Unmarshal(result, &r); err != nil {
		b.t.Fatal(err)
	}
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", js, r.ExceptionDetails)
	}
	return fmt.Sprint(r.Result.Value)
}

// comes waits until an expression has a value.
func (b *browser) comes(js, want string) {
	b.t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if got = b.eval(js); got == want {
			return
		}
	}
	b.t.Fatalf("%s is %q, want %q", js, got, want)
}

// open shows an address in a window of a size.
func (b *browser) open(url string, width, height int) {
	b.t.Helper()
	b.command("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	b.command("Page.enable", nil)
	b.eval("window.leaving = true") // the page before is complete, too
	var to struct{ LoaderID string }
	if err := json.Unmarshal(b.command("Page.navigate", map[string]any{"url": url}), &to); err != nil {
		b.t.Fatal(err)
	}
	if to.LoaderID == "" { // it is another place of the same page
		b.eval("delete window.leaving")
	}
	b.comes("window.leaving ? 0 : document.readyState", "complete")
}

// frame waits for the mail's HTML: it is loaded again, so that its end is seen.
func (b *browser) frame() {
	b.t.Helper()
	b.comes(`!!document.querySelector("#pane iframe")`, "true")
	b.eval(`new Promise(done => {
		const f = document.querySelector("#pane iframe")
		f.onload = () => done("loaded")
		f.src = f.src
	})`)
}

// dark turns the browser's preference.
func (b *browser) dark(is bool) {
	b.t.Helper()
	value := "light"
	if is {
		value = "dark"
	}
	b.command("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": value}}})
}

// shot takes a picture for the folder that PLEXOR_SHOTS names, if there is one.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("PLEXOR_SHOTS")
	if dir == "" {
		return
	}
	var r struct{ Data string }
	if err := json.Unmarshal(b.command("Page.captureScreenshot", nil), &r); err != nil {
		b.t.Fatal(err)
	}
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		b.t.Fatalf("%s: %d bytes, %v", name, len(png), err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
