package queue

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plexor-go/plexor/proto/smtp"
)

// TestSign: fields are made of the whole message, and go in front of it, for good; reports have them, too.
func TestSign(t *testing.T) {
	s, a := new(office), new(office)
	w := &town{offices: map[string]*office{"s.example:25": s, "a.example:25": a}}
	a.rcpt = func(to string) error {
		if to == "no@a.example" {
			return &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
		}
		return nil
	}
	text := "Subject: x\r\n\r\n" + strings.Repeat("é line\r\n", 10_000) // which is looked at before it is sent
	var signed []string
	o := Options{Sign: func(r io.Reader) ([]byte, error) {
		b, err := io.ReadAll(r)
		signed = append(signed, string(b))
		return []byte("Signature: 1\r\n\t2\r\n"), err
	}}
	inTown(t, w, o, func(t *testing.T, q *Queue) {
		submit(t, q, letterTo("s@s.example", "x@a.example", "no@a.example"), text)
		synctest.Wait()
		if got := a.got(); len(got) != 1 || got[0].text != "Signature: 1\r\n\t2\r\n"+text || signed[0] != text {
			t.Errorf("it got %d messages", len(got))
		}
		got := s.got()
		if len(got) != 1 || !strings.HasPrefix(got[0].text, "Signature: 1\r\n\t2\r\nFrom: Mail delivery") {
			t.Errorf("the sender got %+v", got)
		}
	})
}

// TestSignFails: a message that can't be signed is refused, by what Sign says; what would be no header is not taken for
// one; nothing is left behind.
func TestSignFails(t *testing.T) {
	refusal := &smtp.Error{Code: 554, Enhanced: smtp.Enhanced{5, 6, 0}, Text: "no From"}
	for _, row := range []struct {
		name   string
		fields string
		err    error
		want   error
	}{
		{"a refusal", "", refusal, refusal},
		{"an error", "", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		{"none", "", nil, nil},
		{"no end", "A: x", nil, errFields},
		{"a line feed alone", "A: x\nB: y\r\n", nil, errFields},
		{"a carriage return alone", "A: x\rB: y\r\n", nil, errFields},
		{"the end of the header", "A: x\r\n\r\n", nil, errFields},
		{"a line that goes on with nothing", " x\r\n", nil, errFields},
	} {
		t.Run(row.name, func(t *testing.T) {
			inTown(t, new(town), Options{Sign: func(io.Reader) ([]byte, error) { return []byte(row.fields), row.err }},
				func(t *testing.T, q *Queue) {
					_, err := q.Submit(letterTo("", "x@a.example"), strings.NewReader("x\r\n"))
					if !errors.Is(err, row.want) {
						t.Errorf("Submit: %v, want %v", err, row.want)
					}
					if files := left(t, q); row.want != nil && len(files) > 0 {
						t.Errorf("%q are left", files)
					}
				})
		})
	}
}
