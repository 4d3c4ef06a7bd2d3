package mailcatch

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/web"
)

// A site is a page on a server of its own.
type site struct {
	t      testing.TB
	store  *Store
	faults *Faults
	page   *Page
	host   string
	client *http.Client
}

func newSite(t testing.TB, o Options, po PageOptions) *site {
	t.Helper()
	s := &site{t: t, store: openStore(t, t.TempDir(), o), faults: new(Faults)}
	po.Log = quiet
	s.page = NewPage(s.store, s.faults, po)
	srv := new(plexor.Server)
	a, err := srv.Open("tcp://127.0.0.1:0", web.Handler(s.page, web.Options{Log: quiet}))
	if err != nil {
		t.Fatal(err)
	}
	s.host = a.String()
	tr := new(http.Transport)
	s.client = &http.Client{Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		s.page.Close()
		_ = s.store.Close() // a test may have closed it
		tr.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return s
}

// ask sends a request, with header fields as name, value, …; Host is one of them.
func (s *site) ask(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.host+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(b)
}

// get asks for JSON, and fails when the status is another.
func get[T any](s *site, status int, method, path, body string) (v T) {
	s.t.Helper()
	res, got := s.ask(method, path, body)
	if res.StatusCode != status || res.Header.Get("Content-Type") != "application/json" {
		s.t.Fatalf("%s %s: %s, want %d: %s", method, path, res.Status, status, got)
	}
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, got)
	}
	return v
}

// crlf gives a text the line ends of mail.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

var multipart = crlf(`From: A <a@x>
To: b@x
Subject: =?utf-8?q?=E2=82=AC?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

see http://example.com/a?b=c.
--b
Content-Type: text/html

<a href="https://example.com/?x&amp;y">x</a><img src="cid:i%40x"><img src=cid:no><script>alert(1)</script>
--b
Content-Type: image/png
Content-ID: <i@x>
Content-Transfer-Encoding: base64

iVBO
--b
Content-Type: text/html
Content-Disposition: attachment; filename="a.html"

<script>alert(1)</script>
--b--
`)

// hostile is a mail of which each value is to become something else.
var hostile = crlf(`Subject: <script>alert(1)</script>
From: "<img src=x>" <a@x>
X-Evil: a
 b` + "\x00\x1b[31m" + `
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<script>alert(1)</script>
--b
Content-Type: text/html
Content-Disposition: attachment; filename="=?utf-8?q?a=0D=0ASet-Cookie:_x=3Dy=0D=0A=0D=0A<script>\"?="

<script>alert(2)</script>
--b
Content-Type: image/svg+xml
Content-ID: <svg>

<svg onload=alert(1)>
--b--
`)

func TestREST(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{}, PageOptions{SMTP: "127.0.0.1:2525"})
	m := deliver(t, s.store, someone("hidden@x"), multipart)
	deliver(t, s.store, someone("other@x"), text("two", "hello"))
	one := "/api/v1/messages/" + m.ID
	l := get[List](s, 200, "GET", "/api/v1/messages?q=to:hidden&limit=1", "")
	if len(l.Mails) != 1 || l.Mails[0].ID != m.ID || l.Total != 2 || l.Unread != 2 || l.More {
		t.Errorf("the list is %+v", l)
	}
	f := get[full](s, 200, "GET", one, "")
	if f.Subject != "€" || f.Text != "see http://example.com/a?b=c." || !strings.HasPrefix(f.HTML, "<a href") ||
		len(f.Headers) != 4 || f.Headers[2].Value != "€" || f.Recipients[0] != "hidden@x" || f.Mail.Attachments != 2 ||
		strings.Join(f.Links, " ") != "http://example.com/a?b=c https://example.com/?x&y" {
		t.Errorf("the mail is %+v", f)
	}
	if len(f.Attachments) != 2 || f.Attachments[0] != (attachment{2, "part-3.png", "image/png", 3, "i@x"}) ||
		f.Attachments[1].Name != "a.html" {
		t.Errorf("the files are %+v", f.Attachments)
	}
	res, got := s.ask("GET", one+"/raw", "")
	if got != multipart || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("raw: %v %q", res.Header, got)
	}
	res, got = s.ask("GET", one+"/raw?download=1", "")
	if got != multipart || res.Header.Get("Content-Disposition") != `attachment; filename="`+m.ID+`.eml"` {
		t.Errorf("raw: %v", res.Header)
	}
	if _, got := s.ask("GET", one+"/parts/2", ""); got != "\x89PN" {
		t.Errorf("the part is %q", got)
	}
	get[map[string]bool](s, 200, "PUT", one+"/read", `{"read": true}`)
	if i := get[map[string]any](s, 200, "GET", "/api/v1/info", ""); i["unread"] != 1.0 || i["smtp"] != "127.0.0.1:2525" {
		t.Errorf("the store is %v", i)
	}
	if d := get[map[string]int](s, 200, "DELETE", one, ""); d["deleted"] != 1 {
		t.Errorf("deleted %v", d)
	}
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", one, "", 404},
		{"DELETE", one, "", 404},
		{"GET", one + "/raw", "", 404},
		{"GET", one + "/html", "", 404},
		{"GET", one + "/parts/0", "", 404},
		{"PUT", one + "/read", `{"read": true}`, 404},
		{"PUT", one + "/read", `{}`, 400},
		{"PUT", one + "/read", `{"read": true}{}`, 400},
		{"PUT", one + "/read", strings.Repeat(" ", mostBody) + `{"read": true}`, 400},
		{"GET", "/api/v1/messages?limit=0", "", 400},
		{"GET", "/api/v1/messages?limit=1000", "", 400},
		{"GET", "/api/v1/messages?before=x", "", 400},
		{"DELETE", "/api/v1/messages?q=", "", 400},
		{"DELETE", "/api/v1/messages?q=to:", "", 400},
		{"GET", "/api/v1/wait?timeout=x", "", 400},
		{"GET", "/api/v1/wait?timeout=1h", "", 400},
		{"GET", "/api/v1/wait?after=x", "", 400},
		{"GET", "/api/v1/wait?to=" + strings.Repeat("*a", 600), "", 400},
		{"GET", "/api/v1/wait?to=nobody&timeout=1ms", "", 404},
		{"PUT", "/api/v1/faults", `["x"]`, 400},
		{"PUT", "/api/v1/faults", `{}`, 400},
	} {
		if e := get[map[string]string](s, row.status, row.method, row.path, row.body); e["error"] == "" {
			t.Errorf("%s %s: %v", row.method, row.path, e)
		}
	}
	numbered(t, s.store, 2*mostListed+10)
	d := get[map[string]int](s, 200, "DELETE", "/api/v1/messages?q=to:to@example.com", "")
	if d["deleted"] != 2*mostListed+10 {
		t.Errorf("deleted %v of those found", d)
	}
	if d := get[map[string]int](s, 200, "DELETE", "/api/v1/messages", ""); d["deleted"] != 1 {
		t.Errorf("deleted %v", d)
	}
	rules := get[[]RuleState](s, 200, "PUT", "/api/v1/faults", `["rcpt:bad@*:550"]`)
	if len(rules) != 1 || s.faults.Decide(time.Now(), AtRcpt, "bad@x").Code != 550 {
		t.Errorf("the rules are %+v", rules)
	}
	if rules = get[[]RuleState](s, 200, "GET", "/api/v1/faults", ""); rules[0].Struck != 1 {
		t.Errorf("the rules are %+v", rules)
	}
	if rules = get[[]RuleState](s, 200, "DELETE", "/api/v1/faults", ""); len(rules) != 0 {
		t.Errorf("the rules are %+v", rules)
	}
}

// TestRESTWait: who waits gets the mail that comes then, and one that waits when the store is closed is let go.
func TestRESTWait(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{}, PageOptions{})
	got := make(chan full, 1)
	waits := func() bool {
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		return len(s.store.waiters) == 1
	}
	go func() { got <- get[full](s, 200, "GET", "/api/v1/wait?to=x%40y&timeout=1m", "") }()
	until(t, waits)
	deliver(t, s.store, someone("x@y"), text("hello", "code 1234"))
	if f := <-got; f.Subject != "hello" || f.Text != "code 1234\n" {
		t.Errorf("got %+v", f)
	}
	deliver(t, s.store, someone("tag+x@y"), text("plus", ""))
	if f := get[full](s, 200, "GET", "/api/v1/wait?to=tag+x@y&timeout=1m", ""); f.Subject != "plus" {
		t.Errorf("got %+v", f)
	}
	closed := make(chan string, 2)
	go func() { closed <- get[map[string]string](s, 503, "GET", "/api/v1/wait?to=z%40y", "")["error"] }()
	until(t, waits)
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
	if why := <-closed; !strings.Contains(why, "closed") {
		t.Errorf("it says %q", why)
	}
	s = newSite(t, Options{}, PageOptions{})
	go func() { closed <- get[map[string]string](s, 503, "GET", "/api/v1/wait?to=z%40y", "")["error"] }()
	until(t, func() bool {
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		return len(s.store.waiters) == 1
	})
	s.page.Leave()
	if why := <-closed; !strings.Contains(why, "closed") {
		t.Errorf("at Leave it says %q", why)
	}
}

// TestNews: a page hears of what has changed, and of a thousand changes at once in one event or few.
func TestNews(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{}, PageOptions{})
	res, err := s.client.Get("http://" + s.host + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	until(t, func() bool { return s.page.feed.Len() == 1 })
	numbered(t, s.store, 50)
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() && lines.Text() != "event: changed" {
	}
	if lines.Text() != "event: changed" {
		t.Errorf("the stream ended: %v", lines.Err())
	}
}

// TestOrigins: who may ask for what, from where.
func TestOrigins(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{}, PageOptions{Hosts: []string{"mail.test"}})
	id := numbered(t, s.store, 1)[0]
	one := "/api/v1/messages/" + id
	self := "http://" + s.host
	for _, row := range []struct {
		name, method, path string
		header             []string
		status             int
	}{
		{"curl", "GET", one, nil, 200},
		{"localhost", "GET", one, []string{"Host", "localhost:8025"}, 200},
		{"below localhost", "GET", one, []string{"Host", "mail.localhost"}, 200},
		{"a name that was told", "GET", one, []string{"Host", "MAIL.test.:8025"}, 200},
		{"IPv6", "GET", one, []string{"Host", "[::1]:8025"}, 200},
		{"DNS rebinding", "GET", one, []string{"Host", "evil.example:8025"}, 421},
		{"DNS rebinding of the page", "GET", "/", []string{"Host", "evil.example"}, 421},
		{"DNS rebinding, deleting", "DELETE", one, []string{"Host", "evil.example", "Origin", "http://evil.example"}, 421},
		{"a name that begins like an address", "GET", one, []string{"Host", "127.0.0.1.evil.example"}, 421},
		{"a name that ends in ours", "GET", one, []string{"Host", "xlocalhost"}, 421},
		{"another's page reads", "GET", one, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"another port's page reads", "GET", one, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another's page listens", "GET", "/events", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another's page waits", "GET", "/api/v1/wait?to=a", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a link leads to the page", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"CSRF by fetch", "DELETE", one, []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"}, 403},
		{"CSRF of an old browser", "DELETE", one, []string{"Origin", "http://evil.example"}, 403},
		{"CSRF of all", "DELETE", "/api/v1/messages", []string{"Origin", "http://127.0.0.1:1"}, 403},
		{"CSRF out of a sandbox", "DELETE", "/api/v1/messages", []string{"Origin", "null"}, 403},
		{"CSRF of rules", "PUT", "/api/v1/faults", []string{"Origin", "http://evil.example"}, 403},
		{"CSRF by a form", "POST", one, []string{"Origin", "http://evil.example", "Content-Type", "text/plain"}, 403},
		{"a method in a form", "POST", one + "?_method=DELETE", nil, 405},
		{"the page itself", "DELETE", one, []string{"Sec-Fetch-Site", "same-origin", "Origin", self}, 200},
	} {
		if res, got := s.ask(row.method, row.path, "", row.header...); res.StatusCode != row.status {
			t.Errorf("%s: %s, want %d: %s", row.name, res.Status, row.status, got)
		} else if res.Header.Get("Access-Control-Allow-Origin") != "" ||
			res.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", row.name, res.Header)
		}
	}
}

// TestToken: without it there is nothing but the form.
func TestToken(t *testing.T) {
	t.Parallel()
	const token = "a secret of 22 letters"
	s := newSite(t, Options{}, PageOptions{Token: token})
	id := numbered(t, s.store, 1)[0]
	one := "/api/v1/messages/" + id
	for _, path := range []string{"/api/v1/messages", one, "/events", "/app.js", "/api/v1/wait", "/nothing"} {
		for _, header := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "Bearer "},
			{"Authorization", token}, {"Cookie", cookieName + "=" + token}, {"Cookie", cookieName + "="}} {
			if res, got := s.ask("GET", path, "", header...); res.StatusCode != 401 || strings.Contains(got, "hello") {
				t.Errorf("%s with %q: %s", path, header, res.Status)
			}
		}
	}
	if res, _ := s.ask("DELETE", "/api/v1/messages", ""); res.StatusCode != 401 {
		t.Errorf("DELETE: %s", res.Status)
	}
	if res, _ := s.ask("GET", one, "", "Authorization", "Bearer "+token); res.StatusCode != 200 {
		t.Errorf("with the token: %s", res.Status)
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, body := range []string{"", "token=x", "token=" + strings.Repeat("x", mostToken)} {
		res, got := s.ask("POST", "/login", body, form...)
		if res.StatusCode != 401 || res.Header.Get("Set-Cookie") != "" || !strings.Contains(got, "<form") {
			t.Errorf("%.10s: %s", body, res.Status)
		}
	}
	res, _ := s.ask("POST", "/login", url.Values{"token": {token}}.Encode(), form...)
	cookies := res.Cookies()
	if res.StatusCode != 303 || len(cookies) != 1 || !cookies[0].HttpOnly ||
		cookies[0].SameSite != http.SameSiteStrictMode || strings.Contains(cookies[0].Value, token) {
		t.Fatalf("%s, %v", res.Status, cookies)
	}
	cookie := []string{"Cookie", cookieName + "=" + cookies[0].Value}
	if res, _ := s.ask("GET", "/", "", cookie...); res.StatusCode != 200 {
		t.Errorf("with the cookie: %s", res.Status)
	}
	cross := append(cookie, "Sec-Fetch-Site", "cross-site")
	if res, _ := s.ask("DELETE", "/api/v1/messages", "", cross...); res.StatusCode != 403 {
		t.Errorf("CSRF with the cookie: %s", res.Status)
	}
}

// TestHostileMail: what a mail has is sent so that a browser does nothing with it.
func TestHostileMail(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{}, PageOptions{})
	m := deliver(t, s.store, someone("b@x"), hostile)
	one := "/api/v1/messages/" + m.ID
	for path, want := range map[string]struct{ kind, policy string }{
		one:              {"application/json", pagePolicy},
		one + "/html":    {"text/html; charset=utf-8", htmlPolicy},
		one + "/raw":     {"text/plain; charset=utf-8", filePolicy},
		one + "/parts/0": {"application/octet-stream", filePolicy},
		one + "/parts/1": {"application/octet-stream", filePolicy},
		one + "/parts/2": {"application/octet-stream", filePolicy},
		"/":              {"text/html; charset=utf-8", pagePolicy},
	} {
		res, _ := s.ask("GET", path, "")
		h := res.Header
		if res.StatusCode != 200 || h.Get("Content-Type") != want.kind || h.Get("Content-Security-Policy") != want.policy ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("Set-Cookie") != "" {
			t.Errorf("%s: %s %v", path, res.Status, h)
		}
		if strings.Contains(path, "/parts/") {
			kind, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
			name := params["filename"]
			if kind != "attachment" || err != nil || strings.ContainsAny(name, "\r\n/\\") || name == "" {
				t.Errorf("%s: %q, %v", path, name, err)
			}
		}
	}
	for _, id := range []string{
		"..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "%00", m.ID + "%00", m.ID[:19],
		strings.ToUpper(m.ID), "new%2f" + m.ID, strings.Repeat("a", 5000),
	} {
		for _, rest := range []string{"", "/raw", "/html", "/parts/0"} {
			res, got := s.ask("GET", "/api/v1/messages/"+id+rest, "")
			if res.StatusCode == 200 && strings.Contains(got, "alert") {
				t.Errorf("%s%s: %s", id, rest, res.Status)
			}
		}
	}
	for _, n := range []string{"3", "-1", "x", "99999999999999999999"} {
		if res, _ := s.ask("GET", one+"/parts/"+n, ""); res.StatusCode != 404 {
			t.Errorf("part %s: %s", n, res.Status)
		}
	}
	if _, got := s.ask("GET", one+"/html", ""); strings.Contains(got, "data:image/svg") {
		t.Errorf("SVG was put into the HTML: %q", got)
	}
}

// TestImages: an image of the mail stands in its HTML, and as often as there is room.
func TestImages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{}, PageOptions{})
	m := deliver(t, s.store, someone("b@x"), multipart)
	_, got := s.ask("GET", "/api/v1/messages/"+m.ID+"/html", "")
	if !strings.Contains(got, `<img src="data:image/png;base64,iVBO"><img src=cid:no>`) {
		t.Errorf("the HTML is %q", got)
	}
	bomb := "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n" +
		strings.Repeat("<img src=cid:i>", 10_000) + "\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <i>\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("AAAA", 250_000) + "\r\n--b--\r\n"
	m = deliver(t, s.store, someone("b@x"), bomb)
	_, got = s.ask("GET", "/api/v1/messages/"+m.ID+"/html", "")
	if len(got) > mostInlined+200_000 || len(got) < mostInlined/2 {
		t.Errorf("a million bytes ten thousand times are %d", len(got))
	}
}
