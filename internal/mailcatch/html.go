package mailcatch

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/internal/letter"
)

// htmlPolicy is that of a mail's HTML: no script, no form, nothing from anywhere but the images that are in the mail.
// The sandbox holds where it is opened outside of the page's frame, too. A link opens a window of its own, when
// somebody clicks on it.
const htmlPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; " +
	"style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// html sends a mail's HTML, to be shown in a frame.
func (p *Page) html(w http.ResponseWriter, r *http.Request) {
	var text string
	err := p.store.Read(r.Context(), r.PathValue("id"), func(_ Mail, b []byte) error {
		l := letter.Read(b, p.store.limits.Letter)
		text = withImages(l, tamed(l.HTML()))
		return nil
	})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	// Behind Read, for there are few who may read at once, and a client may take its time.
	h := w.Header()
	h.Set("Content-Security-Policy", htmlPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html><base target="_blank">`) // a client that has gone needs none
	_, _ = io.WriteString(w, text)                                    // likewise
}

// imageTypes are those of images in HTML, which browsers show and do nothing else with.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"}

// wild are elements that a Content-Security-Policy does not hold, or not in time: Chromium connects for <link
// rel=preconnect>, and to where a frame is to lead before it asks whether it may. By a connection a server learns that
// the mail is read, even if no request follows. <meta http-equiv=refresh> and <base> are held; this is a second wall.
var wild = regexp.MustCompile(`(?i)<(/?)(link|meta|base|iframe|frame|object|embed|applet|portal|fencedframe)`)

// tamed gives them names of elements that there are not. There is no other way to write the begin of a tag than by
// these letters, so that nothing has to be parsed, and what is no tag is text that looks a little different.
func tamed(s string) string { return wild.ReplaceAllString(s, "<${1}x-$2") }

// withImages is s, the HTML of l, with each cid: that names an image of the mail (RFC 2392) replaced by that image,
// up to a bound of all together.
func withImages(l *letter.Letter, s string) string {
	images := make(map[string]*letter.Part)
	for i := range l.Parts {
		p := &l.Parts[i]
		if p.ID != "" && slices.Contains(imageTypes, p.Type) && images[p.ID] == nil {
			images[p.ID] = p
		}
	}
	if len(images) == 0 {
		return s
	}
	var out strings.Builder
	for room := mostInlined; ; {
		i := strings.Index(s, "cid:")
		if i < 0 {
			break
		}
		out.WriteString(s[:i])
		s = s[i+len("cid:"):]
		id := s
		if end := strings.IndexAny(s, "\"'<>) \t\r\n"); end >= 0 {
			id = s[:end]
		}
		name, err := url.PathUnescape(id)
		image := images[name]
		if err != nil || image == nil || base64.StdEncoding.EncodedLen(image.Encoded()) > room {
			out.WriteString("cid:")
			continue
		}
		b, _ := io.ReadAll(image.Reader()) // it reads memory
		data := base64.StdEncoding.EncodeToString(b)
		room -= len(data) + 1
		out.WriteString("data:" + image.Type + ";base64," + data)
		s = s[len(id):]
	}
	out.WriteString(s)
	return out.String()
}
