package examples

import (
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proto/smtp"
)

// TestMail: what is sent to it is taken, but not for nobody.
func TestMail(t *testing.T) {
	addr := start(t, "mail", "tcp://127.0.0.1:0")
	c, err := smtp.Dial(t.Context(), addr, smtp.DialOptions{Security: smtp.NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	m := &smtp.Message{Data: strings.NewReader("Subject: hello\r\n\r\nhow are you?\r\n"), To: []smtp.Recipient{
		{Mailbox: smtp.Mailbox{Local: "you", Domain: "x.example"}},
		{Mailbox: smtp.Mailbox{Local: "nobody", Domain: "x.example"}}}}
	r, err := c.Send(t.Context(), m)
	if err != nil || r.Reply.Text() != "Ok: 1" || r.Errors[0] != nil || r.Errors[1] == nil {
		t.Errorf("Send: %v, %+v", err, r)
	}
	if err := c.Quit(t.Context()); err != nil {
		t.Error(err)
	}
}
