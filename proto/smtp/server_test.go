package smtp

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestSession is a session as most are, and the calls that the backend gets.
func TestSession(t *testing.T) {
	t.Parallel()
	st := new(store)
	addr := serve(t, &Server{Backend: st, Name: "mx.example"})
	k := dial(t, addr)
	k.want("220 mx.example ESMTP ")
	k.say("EHLO client.example", "250-mx.example/250-PIPELINING/250-SIZE 33554432/250-8BITMIME/"+
		"250-ENHANCEDSTATUSCODES/250-CHUNKING/250 LIMITS MAILMAX=1000 RCPTMAX=100")
	k.say("MAIL FROM:<a@example.org> SIZE=20 BODY=8BITMIME", "250 2.1.0 Ok")
	k.say("RCPT TO:<b@example.org>", "250 2.1.5 Ok")
	k.say("rcpt to:<\"c d\"@example.org>", "250 2.1.5 Ok")
	k.say("DATA", "354 ")
	k.say("Subject: x\r\n\r\n..dots\r\n.", "250 2.0.0 Ok")
	k.say("QUIT", "221 2.0.0 mx.example", "")
	letters, said := st.got()
	want := "new, hello client.example, mail a@example.org, rcpt b@example.org, rcpt \"c d\"@example.org, data, reset, " +
		"close"
	if said != want {
		t.Errorf("the calls were %s\nwant %s", said, want)
	}
	if len(letters) != 1 || letters[0].text != "Subject: x\r\n\r\n.dots\r\n" || letters[0].mail.Size != 20 ||
		letters[0].mail.Body != Body8Bit || letters[0].proto != "ESMTP" {
		t.Errorf("it got %+v", letters)
	}
	if len(st.closed) != 1 || !errors.Is(st.closed[0], io.EOF) {
		t.Errorf("it was closed with %v", st.closed)
	}
}

// TestPipelining: all of a session in one write (RFC 2920), but for what waits for 354.
func TestPipelining(t *testing.T) {
	t.Parallel()
	st := new(store)
	k := dial(t, serve(t, &Server{Backend: st}))
	message := "MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nhello\r\n.\r\n"
	k.send("EHLO x.example\r\n" + strings.Repeat(message, 3) + "QUIT\r\n")
	k.want("220 ", "250-")
	for range 3 {
		k.want("250 ", "250 ", "354 ", "250 ")
	}
	k.want("221 ", "")
	if letters, _ := st.got(); len(letters) != 3 || letters[2].text != "hello\r\n" || !letters[2].from.IsNull() {
		t.Errorf("it got %+v", letters)
	}
}
