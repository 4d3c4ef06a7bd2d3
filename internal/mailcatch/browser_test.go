package mailcatch

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// newsletter is a mail with all that the page shows.
func newsletter(subject string) string {
	png := "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg=="
	return strings.ReplaceAll(`From: "Garden Shop" <news@garden.example>
To: Ada Lovelace <ada@example.com>, Charles <charles@example.com>
Subject: `+subject+`
Date: Sun, 29 Nov 2026 10:00:00 +0100
Message-ID: <1@garden.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8

Hello Ada,

please confirm your order of 3 apple trees: https://garden.example/confirm?code=4711

The Garden Shop
--a
Content-Type: text/html; charset=utf-8

<!DOCTYPE html><html><body style="font-family:sans-serif;margin:24px;color:#234">
<div style="background:#2f855a;color:#fff;padding:18px 22px;border-radius:8px;font-size:22px">Garden Shop</div>
<p>Hello Ada,</p><p>please confirm your order of <b>3 apple trees</b>.</p>
<p><a href="https://garden.example/confirm?code=4711" style="background:#2f855a;color:#fff;padding:10px 18px;
border-radius:6px;text-decoration:none">Confirm the order</a></p>
<p><img src="cid:dot" width="120" height="40" alt="a picture that is in the mail">
<img src="http://tracker.example/pixel.gif" width="20" height="20" alt="remote"></p></body></html>
--a--
--m
Content-Type: image/png; name="dot.png"
Content-ID: <dot>
Content-Transfer-Encoding: base64

`+png+`
--m
Content-Type: application/pdf
Content-Disposition: attachment; filename="order 4711.pdf"
Content-Transfer-Encoding: base64

`+base64.StdEncoding.EncodeToString(make([]byte, 20_000))+`
--m--
`, "\n", "\r\n")
}

// TestBrowser uses the page in Chromium.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t) // one, since it takes seconds to start
	for name, test := range map[string]func(*testing.T, *browser){
		"page": usePage, "narrow page": useNarrowPage, "evil HTML": showEvilHTML,
	} {
		t.Run(name, func(t *testing.T) { test(t, b.in(t)) })
	}
}

// usePage uses the list, one mail with all its tabs, search, mail that appears by itself, keys,
// and deleting.
func usePage(t *testing.T, b *browser) {
	s := newSite(t, Options{Behind: true}, PageOptions{SMTP: "127.0.0.1:2525"})
	b.open("http://"+s.host+"/", 1200, 760)
	b.comes(`document.querySelector("#empty").innerText.includes("127.0.0.1:2525")`, "true")
	b.comes(`document.querySelector("#state").className`, "live")
	b.shot("empty")
	for i := range 60 {
		deliver(t, s.store, someone(fmt.Sprintf("user%d@example.com", i)),
			text(fmt.Sprintf("Report number %d", i), "All is well.\n\nMachine "+fmt.Sprint(i)))
	}
	to := someone("ada@example.com", "charles@example.com", "archive@garden.example")
	deliver(t, s.store, to, newsletter("Your order 4711"))
	b.comes(`document.querySelectorAll("#mails li").length`, "50")
	b.comes(`document.querySelector("#mails li .subject").textContent`, "Your order 4711")
	b.comes(`document.title`, "(61) Mail")
	b.eval(`document.querySelector("#older").click()`)
	b.comes(`document.querySelectorAll("#mails li").length`, "11")
	b.eval(`document.querySelector("#newer").click()`)
	b.comes(`document.querySelectorAll("#mails li").length`, "50")
	b.shot("list")

	b.eval(`document.querySelector("#mails li a").click()`)
	b.comes(`document.querySelector("#subject").textContent`, "Your order 4711")
	b.comes(`document.title`, "(60) Mail")
	b.comes(`[...document.querySelectorAll("#tabs button")].map(b => b.textContent).join()`, "HTML,Text,Source,Links,Headers,Raw")
	b.comes(`document.querySelector("#files").innerText.includes("order 4711.pdf")`, "true")
	b.comes(`document.querySelector("#fields").innerText.includes("archive@garden.example")`, "true")
	b.comes(`document.querySelector("#pane iframe").contentDocument`, "<nil>") // another origin
	b.shot("mail")
	b.dark(true)
	b.shot("mail-dark")
	b.dark(false)
	for tab, want := range map[string]string{"Text": "please confirm your order", "Source": "<!DOCTYPE html>",
		"Links": "https://garden.example/confirm?code=4711", "Headers": "<1@garden.example>", "Raw": "--a--"} {
		b.eval(`[...document.querySelectorAll("#tabs button")].find(b => b.textContent === "` + tab + `").click()`)
		b.comes(`document.querySelector("#pane").innerText.includes("`+want+`")`, "true")
		b.shot("tab-" + strings.ToLower(tab))
	}

	search := func(q string) {
		b.eval(`(q => { q.value = "` + q + `"; q.dispatchEvent(new Event("input")) })(document.querySelector("#query"))`)
	}
	search("to:user7@ text:machine")
	b.comes(`[...document.querySelectorAll("#mails .subject")].map(s => s.textContent).join()`, "Report number 7")
	b.shot("search")
	b.eval(`window.confirm = () => true; document.querySelector("#clear").click()`)
	b.comes(`document.querySelector("#empty").innerText.trim()`, "Nothing found")
	b.comes(`document.querySelector("#count").textContent`, "59 unread of 60")
	search("nothing has this")
	b.comes(`document.querySelector("#empty").innerText.trim()`, "Nothing found")
	search("")
	b.comes(`document.querySelectorAll("#mails li").length`, "50")
	deliver(t, s.store, someone("ada@example.com"), text("It came by itself", "hello"))
	b.comes(`document.querySelector("#mails li .subject").textContent`, "It came by itself")

	key := func(k string) { b.eval(`document.dispatchEvent(new KeyboardEvent("keydown", {key: "` + k + `"}))`) }
	key("k")
	b.comes(`document.querySelector("#subject").textContent`, "It came by itself")
	b.comes(`document.querySelector("#mails li.chosen").className`, "chosen")
	key("u")
	b.comes(`document.querySelector("#mails li.chosen").className`, "unread chosen")
	key("Delete")
	b.comes(`document.querySelector("#subject").textContent`, "Your order 4711")
	b.comes(`document.querySelector("#count").textContent`, "59 unread of 60")
	b.eval(`document.querySelector("#delete").click()`)
	b.comes(`document.querySelector("#subject").textContent`, "Report number 59")
	b.comes(`document.querySelector("#clear").textContent`, "Delete all")
	b.eval(`document.querySelector("#clear").click()`)
	b.comes(`document.querySelector("#empty").hidden`, "false")
	if l := get[List](s, 200, "GET", "/api/v1/messages", ""); l.Total != 0 {
		t.Errorf("%d are left", l.Total)
	}
}

// useNarrowPage: on a small screen there is the list, or one mail, and a form before them where there is a token.
func useNarrowPage(t *testing.T, b *browser) {
	s := newSite(t, Options{}, PageOptions{Token: "a secret of 22 letters"})
	deliver(t, s.store, someone("a@b"), newsletter("Your order 4711"))
	b.open("http://"+s.host+"/", 420, 760)
	b.shot("login")
	b.eval(`document.querySelector("input").value = "a secret of 22 letters"; document.querySelector("button").click()`)
	b.comes(`document.querySelectorAll("#mails li").length`, "1")
	b.shot("narrow-list")
	b.eval(`document.querySelector("#mails li a").click()`)
	b.comes(`getComputedStyle(document.querySelector("#mail")).display + getComputedStyle(document.querySelector("#list")).display`,
		"flexnone")
	b.comes(`document.querySelector("#subject").textContent`, "Your order 4711")
	b.frame()
	b.shot("narrow-mail")
	b.eval(`document.querySelector("#back").click()`)
	b.comes(`getComputedStyle(document.querySelector("#list")).display`, "flex")
}

// evilHTML is HTML that asks EVIL in all the ways that HTML has, and does what it can to the page that shows it.
const evilHTML = `<!DOCTYPE html><html><head><base href="http://EVIL/base/"><meta http-equiv="refresh" content="0;url=http://EVIL/refresh">
<link rel="stylesheet" href="http://EVIL/style.css"><link rel="preconnect" href="http://EVIL/"><link rel="dns-prefetch" href="http://EVIL/">
<link rel="prefetch" href="http://EVIL/prefetch"><link rel="preload" as="image" href="http://EVIL/preload"><link rel="icon" href="http://EVIL/icon">
<link rel="manifest" href="http://EVIL/manifest"><link rel="modulepreload" href="http://EVIL/module.js"><link rel="prerender" href="http://EVIL/prerender">
<style>@import "http://EVIL/import.css"; @font-face { font-family: x; src: url(http://EVIL/font) } body { font-family: x; background: url(http://EVIL/back) }
li { list-style-image: url(http://EVIL/list) } p::before { content: url(http://EVIL/content) } a { cursor: url(http://EVIL/cursor), auto }</style>
<script src="http://EVIL/script.js"></script><script>top.document.title = "taken"; fetch("http://EVIL/fetch"); location = "http://EVIL/location"</script>
<script type="speculationrules">{"prefetch": [{"source": "list", "urls": ["http://EVIL/speculation"], "eagerness": "immediate"}]}</script></head>
<body background="http://EVIL/background" onload="top.location = 'http://EVIL/top'"><p>text</p><ul><li>x</li></ul>
<img src="http://EVIL/img"><img srcset="http://EVIL/srcset 1x"><picture><source srcset="http://EVIL/source"><img></picture><img src="relative">
<img src=x onerror="top.document.title = 'taken'"><svg><image href="http://EVIL/svg"/><use href="http://EVIL/use#x"/><script>top.document.title = "taken"</script></svg>
<iframe src="http://EVIL/iframe"></iframe><iframe srcdoc="<img src=http://EVIL/srcdoc>"></iframe><object data="http://EVIL/object"></object>
<embed src="http://EVIL/embed"><video src="http://EVIL/video" poster="http://EVIL/poster" autoplay></video><audio src="http://EVIL/audio" autoplay></audio>
<video><track default src="http://EVIL/track"></video><form id="f" action="http://EVIL/form" method="post"><input name="x" autofocus
onfocus="f.submit()"><input type="image" src="http://EVIL/input"></form><a id="go" href="http://EVIL/link" ping="http://EVIL/ping">link</a>
<math><mtext><img src="http://EVIL/math"></mtext></math><table background="http://EVIL/table"><tr><td>x</td></tr></table>
<div style="background-image: url('http://EVIL/inline'); border-image: url(http://EVIL/border)">x</div><frameset><frame src="http://EVIL/frame"></frameset>
<script>fetch("/api/v1/messages", {method: "DELETE"}); parent.postMessage("x", "*"); alert(1)</script></body></html>`

// showEvilHTML: HTML that is shown reaches nobody, runs nothing, and leaves the page alone. The same HTML without our
// policy reaches the server that counts.
func showEvilHTML(t *testing.T, b *browser) {
	s := newSite(t, Options{}, PageOptions{})
	var reached atomic.Int64
	evil := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		t.Logf("the server of the evil was asked for %s", r.URL)
	}))
	evil.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew { // a connection without a request tells that the mail was read
			reached.Add(1)
		}
	}
	evil.Start()
	defer evil.Close()
	html := strings.ReplaceAll(evilHTML, "EVIL", strings.TrimPrefix(evil.URL, "http://"))
	m := deliver(t, s.store, someone("a@b"), "Content-Type: text/html\r\nSubject: <img src="+evil.URL+
		"/subject>\r\nFrom: \"<b>x\" <a@b>\r\n\r\n"+html)
	b.open("http://"+s.host+"/#"+m.ID, 1000, 700)
	b.frame()
	b.shot("evil")
	for _, tab := range []string{"Source", "Text", "Raw", "Headers", "HTML"} {
		b.eval(`[...document.querySelectorAll("#tabs button")].find(b => b.textContent === "` + tab + `")?.click()`)
		b.shot("evil-" + strings.ToLower(tab))
	}
	// The same, not in the page's frame: the policy is the answer's own.
	b.open("http://"+s.host+"/api/v1/messages/"+m.ID+"/html", 1000, 700)
	b.shot("evil-alone")
	b.comes(`document.querySelector("p").textContent`, "text")
	b.open("http://"+s.host+"/#"+m.ID, 1000, 700)
	b.comes(`document.title`, "Mail")
	if n := reached.Load(); n != 0 {
		t.Errorf("the mail has reached a server: %d connections and requests", n)
	}
	if l := get[List](s, 200, "GET", "/api/v1/messages", ""); l.Total != 1 {
		t.Error("the mail has deleted mail")
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, html) // the browser is there
	}))
	defer bare.Close()
	b.command("Page.navigate", map[string]any{"url": bare.URL})
	until(t, func() bool { return reached.Load() > 0 })
}
