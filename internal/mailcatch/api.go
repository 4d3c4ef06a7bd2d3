package mailcatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plexor-go/plexor/internal/letter"
)

// Bounds of requests.
const (
	mostListed  = 200              // mails of an answer
	someListed  = 50               // unless the request says how many
	mostWait    = 10 * time.Minute // of a wait
	someWait    = 30 * time.Second
	mostBody    = 128 << 10 // bytes: all rules at their longest
	mostLinks   = 200
	mostInlined = 8 << 20 // bytes of images in HTML
)

// info tells of the store.
func (p *Page) info(w http.ResponseWriter, r *http.Request) {
	l, err := p.store.List(r.Context(), Query{}, 0, 0)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	limits := p.store.Limits()
	answer(w, http.StatusOK, map[string]any{
		"smtp": p.options.SMTP, "total": l.Total, "unread": l.Unread, "counts": p.store.Counts(),
		"waiting": p.store.Waiting(),
		"limits": map[string]int64{
			"messages": int64(limits.Messages), "bytes": limits.Bytes, "messageBytes": limits.MessageBytes,
		},
	})
}

// list tells of mails: ?q= is a query, limit= how many, before= the number of the last one that is known.
func (p *Page) list(w http.ResponseWriter, r *http.Request) {
	limit, before := someListed, uint64(0)
	var err error
	if s := r.FormValue("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > mostListed {
			fail(w, http.StatusBadRequest, fmt.Sprintf("limit: want a number from 1 to %d", mostListed))
			return
		}
	}
	if s := r.FormValue("before"); s != "" {
		if before, err = strconv.ParseUint(s, 10, 64); err != nil {
			fail(w, http.StatusBadRequest, "before: want the number of a mail")
			return
		}
	}
	l, err := p.store.List(r.Context(), ParseQuery(r.FormValue("q")), before, limit)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, l)
}

// A full is a mail with what is in it.
type full struct {
	Mail
	Headers     []letter.Field `json:"headers"` // decoded
	Text        string         `json:"text"`
	HTML        string         `json:"html"` // as it was sent: hostile
	Links       []string       `json:"links"`
	Attachments []attachment   `json:"files"`
	Cut         []string       `json:"cut"` // names of limits that were met
}

// An attachment is a part that is neither the text nor the HTML.
type attachment struct {
	Part      int    `json:"part"` // its number, for parts/N
	Name      string `json:"name"`
	Type      string `json:"type"`
	Size      int64  `json:"size"` // decoded, in bytes
	ContentID string `json:"contentID,omitempty"`
}

// read makes a full of a mail.
func (p *Page) read(ctx context.Context, id string) (f full, err error) {
	err = p.store.Read(ctx, id, func(m Mail, b []byte) error {
		l := letter.Read(b, p.store.limits.Letter)
		f = full{Mail: m, Headers: []letter.Field{}, Text: l.Text(), HTML: l.HTML(),
			Attachments: []attachment{}, Cut: []string{}}
		for _, h := range l.Header {
			f.Headers = append(f.Headers, letter.Field{Name: h.Name, Value: letter.Words(h.Value)})
		}
		for i := range l.Parts {
			if !l.Attached(i) {
				continue
			}
			part := &l.Parts[i]
			n, _ := io.Copy(io.Discard, part.Reader()) // it reads memory
			f.Attachments = append(f.Attachments, attachment{i, part.FileName(i), letter.Clip(part.Type, 100), n,
				letter.Clip(letter.Words(part.ID), mostSubject)})
		}
		f.Links = letter.Links(f.Text, f.HTML, mostLinks)
		f.Cut = append(f.Cut, l.Cut...)
		return nil
	})
	return f, err
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) { p.showMail(w, r, r.PathValue("id")) }

func (p *Page) showMail(w http.ResponseWriter, r *http.Request, id string) {
	f, err := p.read(r.Context(), id)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, f)
}

func (p *Page) delete(w http.ResponseWriter, r *http.Request) {
	n, err := p.store.Delete(r.PathValue("id"))
	if err == nil && n == 0 {
		err = ErrNoMail
	}
	p.deleted(w, r, n, err)
}

// deleteAll deletes all mails, or with ?q= those that meet a query.
func (p *Page) deleteAll(w http.ResponseWriter, r *http.Request) {
	if !r.URL.Query().Has("q") {
		n, err := p.store.DeleteAll()
		p.deleted(w, r, n, err)
		return
	}
	q := ParseQuery(r.FormValue("q"))
	if q.Empty() { // as to:$NOBODY in a script, which is not to mean all
		fail(w, http.StatusBadRequest, "q: it asks for nothing; leave it out to delete all")
		return
	}
	n, err := p.store.DeleteFound(r.Context(), q)
	p.deleted(w, r, n, err)
}

func (p *Page) deleted(w http.ResponseWriter, r *http.Request, n int, err error) {
	if err != nil {
		p.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, struct {
		Deleted int `json:"deleted"`
	}{n})
}

// markRead takes {"read": true} or false.
func (p *Page) markRead(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Read *bool `json:"read"`
	}
	if !take(w, r, &body) {
		return
	}
	if body.Read == nil {
		fail(w, http.StatusBadRequest, `want {"read": true} or {"read": false}`)
		return
	}
	id := r.PathValue("id")
	_, err := p.store.Lookup(id)
	if err == nil {
		err = p.store.MarkRead(*body.Read, id)
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, body)
}

// take reads JSON, or has answered that there is none.
func take(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("there is more behind it")
		}
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "the body: "+err.Error())
		return false
	}
	return true
}

// wait waits for a mail: ?to=, from=, subject=, after=, timeout=.
func (p *Page) wait(w http.ResponseWriter, r *http.Request) {
	want := Want{To: address(r, "to"), From: address(r, "from"), Subject: r.FormValue("subject")}
	timeout := someWait
	if s := r.FormValue("timeout"); s != "" {
		var err error
		if timeout, err = time.ParseDuration(s); err != nil || timeout < 0 || timeout > mostWait {
			fail(w, http.StatusBadRequest, fmt.Sprintf("timeout: want a duration up to %v, such as 5s", mostWait))
			return
		}
	}
	if s := r.FormValue("after"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			fail(w, http.StatusBadRequest, "after: want the number of a mail, or 0")
			return
		}
		want.After = &n
	}
	if len(want.To)+len(want.From)+len(want.Subject) > mostQuery {
		fail(w, http.StatusBadRequest, "what is waited for is too long")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	ctx, leave := context.WithCancelCause(ctx)
	defer context.AfterFunc(p.left, func() { leave(ErrClosed) })()
	m, err := p.store.Wait(ctx, want)
	if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
		fail(w, http.StatusNotFound, fmt.Sprintf("no such mail has come within %v", timeout))
		return
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	p.showMail(w, r, m.ID)
}

// address is an address of a query. A plus, of which forms make a blank, is one again: no address here has blanks.
func address(r *http.Request, key string) string {
	return strings.ReplaceAll(r.FormValue(key), " ", "+")
}

func (p *Page) getFaults(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, p.faults.State())
}

// putFaults takes a list of rules in the place of those that there are.
func (p *Page) putFaults(w http.ResponseWriter, r *http.Request) {
	var rules []string
	if !take(w, r, &rules) {
		return
	}
	if err := p.faults.Set(rules); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	p.getFaults(w, r)
}

func (p *Page) deleteFaults(w http.ResponseWriter, r *http.Request) {
	_ = p.faults.Set(nil) // no rule can be wrong
	p.getFaults(w, r)
}

// filePolicy is for what a mail has brought along, in case that a browser shows it: it runs and fetches nothing.
const filePolicy = "sandbox; default-src 'none'"

// raw sends a mail as it came, as text, or with ?download=1 as a file.
func (p *Page) raw(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	f, size, err := p.store.Raw(id)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if r.FormValue("download") != "" {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="`+id+`.eml"`)
	}
	if _, err := io.CopyN(w, f, size); err != nil {
		panic(http.ErrAbortHandler) // it is cut off, and the client is to know
	}
}

// part sends an attachment as a file, of a type that no browser does something with.
func (p *Page) part(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		n = -1
	}
	err = p.store.Read(r.Context(), r.PathValue("id"), func(_ Mail, b []byte) error {
		l := letter.Read(b, p.store.limits.Letter)
		if n < 0 || n >= len(l.Parts) {
			return ErrNoMail
		}
		h := w.Header()
		h.Set("Content-Security-Policy", filePolicy)
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", disposition(l.Parts[n].FileName(n)))
		if _, err := io.Copy(w, l.Parts[n].Reader()); err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		return nil
	})
	if err != nil {
		p.failed(w, r, err)
	}
}

// disposition is the field that has a file saved under its name (RFC 6266).
func disposition(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}
