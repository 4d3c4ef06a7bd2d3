package mailcatch

import (
	"context"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/internal/letter"
)

// A Query is what somebody looks for: all of its terms must be met. The zero value is met by every mail.
type Query struct {
	terms []term
}

// A term is one of a query.
type term struct {
	key   string // "": anywhere
	value string // in lower case
}

// Bounds of a query: more is no question that a person asks.
const (
	mostQuery = 1000 // bytes
	mostTerms = 20
)

// ParseQuery reads words with blanks between, which may stand in quotes. A word looks for itself anywhere in a mail,
// in whatever case; from:, to:, subject: and text: before it look there alone. is:unread, is:read and has:attachment
// ask for a state. What is longer than 1000 bytes or 20 words is cut.
func ParseQuery(s string) (q Query) {
	s = strings.ToLower(letter.Words(s[:min(len(s), mostQuery)]))
	for s = strings.TrimSpace(s); s != "" && len(q.terms) < mostTerms; s = strings.TrimSpace(s) {
		var t term
		for _, key := range []string{"from", "to", "subject", "text", "is", "has"} {
			if rest, ok := strings.CutPrefix(s, key+":"); ok {
				t.key, s = key, rest
				break
			}
		}
		if rest, ok := strings.CutPrefix(s, `"`); ok {
			t.value, s, _ = strings.Cut(rest, `"`)
		} else if i := strings.IndexByte(s, ' '); i >= 0 {
			t.value, s = s[:i], s[i:]
		} else {
			t.value, s = s, ""
		}
		if t.value != "" {
			q.terms = append(q.terms, t)
		}
	}
	return q
}

// Empty reports whether every mail meets it.
func (q Query) Empty() bool { return len(q.terms) == 0 }

// A verdict is what the index alone can say of a term.
type verdict int

const (
	no verdict = iota
	yes
	inText // if the text has it
)

// ask asks the index. The store's lock is held.
func (t term) ask(e *entry) verdict {
	has := func(is bool) verdict {
		if is {
			return yes
		}
		return no
	}
	switch t.key {
	case "from":
		return has(contains(e.Sender, t.value) || contains(e.From.String(), t.value))
	case "to":
		return has(e.goesTo(t.value))
	case "subject":
		return has(contains(e.Subject, t.value))
	case "is":
		return has(t.value == "unread" && e.Unread || t.value == "read" && !e.Unread)
	case "has":
		return has(strings.HasPrefix(t.value, "attachment") && e.Attachments > 0)
	case "text":
		return inText
	}
	if contains(e.Subject, t.value) || contains(e.Sender, t.value) || contains(e.From.String(), t.value) ||
		e.goesTo(t.value) || contains(e.Snippet, t.value) || strings.HasPrefix(e.ID, t.value) ||
		contains(e.MessageID, t.value) {
		return yes
	}
	return inText
}

// contains reports whether s has part in it, which is in lower case.
func contains(s, part string) bool { return strings.Contains(strings.ToLower(s), part) }

func (e *entry) goesTo(part string) bool {
	in := func(a letter.Address) bool { return contains(a.String(), part) }
	return slices.ContainsFunc(e.Recipients, func(to string) bool { return contains(to, part) }) ||
		slices.ContainsFunc(e.To, in) || slices.ContainsFunc(e.Cc, in)
}

// A List is a part of the mails that a query is met by, the newest first.
type List struct {
	Total   int    `json:"total"`   // mails of the store
	Unread  int    `json:"unread"`  // of them
	Mails   []Mail `json:"mails"`   // never null
	More    bool   `json:"more"`    // there are older ones
	Partial bool   `json:"partial"` // not all texts were read: Limits.SearchBytes
}

// List returns up to limit mails that meet q and came before the mail of that number (0: up to the newest). Only the
// first 16 KiB of a mail's text are searched. Its error is the end of ctx.
func (s *Store) List(ctx context.Context, q Query, before uint64, limit int) (List, error) {
	type candidate struct {
		e    *entry
		mail Mail
		said string
		text []string // what its text must have
	}
	var all []candidate
	l := List{Mails: []Mail{}}
	s.lock()
	l.Total, l.Unread = len(s.index.order), s.index.unread
	sure := 0 // of those that need no look at the text
	for _, e := range slices.Backward(s.index.order) {
		if before != 0 && e.Number >= before {
			continue
		}
		text, met := q.ask(e)
		if !met {
			continue
		}
		all = append(all, candidate{e, e.Mail, e.said, text})
		if len(text) == 0 {
			if sure++; sure > limit {
				break
			}
		}
	}
	s.mu.Unlock()
	budget := s.limits.SearchBytes
	for _, c := range all {
		if err := ctx.Err(); err != nil {
			return l, context.Cause(ctx)
		}
		if len(c.text) > 0 {
			if c.said == "" {
				if budget <= 0 {
					l.Partial = true
					continue
				}
				budget -= min(c.mail.Size, mostSearchHead)
				c.said = s.readSaid(c.e)
			}
			if slices.ContainsFunc(c.text, func(part string) bool { return !strings.Contains(c.said, part) }) {
				continue
			}
		}
		if len(l.Mails) == limit {
			l.More = true
			break
		}
		l.Mails = append(l.Mails, c.mail)
	}
	return l, nil
}

// ask returns what the text must have for the query to be met, and whether the index lets it be met at all.
func (q Query) ask(e *entry) (text []string, met bool) {
	for _, t := range q.terms {
		switch t.ask(e) {
		case no:
			return nil, false
		case inText:
			text = append(text, t.value)
		}
	}
	return text, true
}

// readSaid reads the begin of a mail's text in lower case, and keeps it in the index if there is room.
func (s *Store) readSaid(e *entry) string {
	_, b, err := s.load(e.ID, mostSearchHead)
	if err != nil {
		return ""
	}
	m := letter.Read(b, s.limits.Letter)
	said := strings.ToLower(m.Said(mostSaid))
	if said == "" {
		said = " " // it was read
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index.byID[e.ID] == e && e.said == "" && s.index.said+int64(len(said)) <= s.limits.TextBytes {
		e.said = strings.Clone(said)
		s.index.said += int64(len(said))
	}
	return said
}
