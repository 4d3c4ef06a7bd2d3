package smtp

import (
	"errors"
	"io"
	"testing"
)

// perRecipient is for store.each: one recipient over its quota, one for whom something fails.
func perRecipient(to []Mailbox, r io.Reader) (each []error, err error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	for _, m := range to {
		switch m.Local {
		case "full":
			each = append(each, &Error{452, Enhanced{4, 2, 2}, "over quota"})
		case "broken":
			each = append(each, errors.New("the disk is broken"))
		default:
			each = append(each, nil)
		}
	}
	return each, nil
}

// TestLMTP: an answer for each recipient, in their order (RFC 2033, section 4.2), by DATA and by BDAT.
func TestLMTP(t *testing.T) {
	t.Parallel()
	st := &store{each: perRecipient, rcpt: func(m Mailbox) error {
		if m.Local == "nobody" {
			return &Error{550, Enhanced{5, 1, 1}, "no such user"}
		}
		return nil
	}}
	srv := &Server{Backend: st, LMTP: true}
	k := dial(t, serve(t, srv))
	k.want("220 localhost LMTP")
	k.say("LHLO x.example", "250-")
	for _, by := range []string{"DATA\r\ntext\r\n.\r\n", "BDAT 4 LAST\r\ntext"} {
		k.say("MAIL FROM:<>", "250")
		for _, to := range []string{"a", "full", "nobody", "broken", "a"} {
			want := "250"
			if to == "nobody" {
				want = "550"
			}
			k.say("RCPT TO:<"+to+"@x.example>", want)
		}
		k.send(by)
		if by[0] == 'D' {
			k.want("354")
		}
		k.want("250 2.0.0 Ok: <a@x.example>", "452 4.2.2", "451 4.3.0", "250 2.0.0")
	}
	k.say("MAIL FROM:<>", "250")
	k.send("BDAT 4 LAST\r\ntext") // no answer: section 4.3
	k.say("NOOP", "250 2.0.0 Ok")
	if s := srv.Stats(); s.Messages != 2 || s.Recipients != 4 {
		t.Errorf("the stats are %+v", s)
	}
}

// TestLMTPAll: an error for all of a message is told for each recipient, and a backend that has one answer gives it for
// each.
func TestLMTPAll(t *testing.T) {
	t.Parallel()
	st := &store{data: func(s *storing, r io.Reader) (string, error) {
		if err := s.keep(r); err != nil || s.l.from.IsNull() {
			return "", err
		}
		return "", &Error{554, Enhanced{5, 7, 1}, "not from you"}
	}}
	k := dial(t, serve(t, &Server{Backend: st, LMTP: true, Limits: Limits{Message: 10}}))
	k.want("220")
	k.say("LHLO x.example", "250-")
	for _, row := range []struct{ from, text, want string }{
		{"", "short", "250 2.0.0"}, {"a@x.example", "short", "554 5.7.1"}, {"", "longer than ten", "552 5.3.4"},
	} {
		k.say("MAIL FROM:<"+row.from+">", "250")
		k.say("RCPT TO:<a@x.example>", "250")
		k.say("RCPT TO:<b@x.example>", "250")
		k.say("DATA", "354")
		k.say(row.text+"\r\n.", row.want, row.want)
	}
}
