package smtp

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// A line is one of a client's, and how the answer begins; "" is that the connection was closed.
type line struct{ say, want string }

// sessions are what a server answers to commands. Each begins with EHLO unless it says otherwise.
var sessions = []struct {
	name  string
	bare  bool // no EHLO before
	srv   *Server
	lines []line
}{
	{"EHLO first", true, nil, []line{{"MAIL FROM:<a@x.example>", "503 5.5.1"}, {"RCPT TO:<a@x.example>", "503"},
		{"DATA", "503"}, {"NOOP", "250"}, {"HELP", "214"}, {"VRFY a", "252"}, {"RSET", "250"},
		{"EHLO x.example", "250-"}, {"MAIL FROM:<a@x.example>", "250 2.1.0"}}},
	{"HELO", true, nil, []line{{"HELO x.example", "250 localhost"}, {"MAIL FROM:<a@x.example>", "250"}}},
	{"HELO has no parameters", true, nil, []line{{"HELO x.example", "250 "}, {"MAIL FROM:<a@x.example> SIZE=1", "555"}}},
	{"names of clients", true, nil, []line{{"EHLO", "501 5.5.4"}, {"EHLO a b", "250"}, {"EHLO [127.0.0.1]", "250"},
		{"EHLO [IPv6:::1]", "250"}, {"EHLO [300.1.1.1]", "501"}, {"EHLO a..b", "501"}, {"EHLO -a", "501"},
		{"HELO a_b", "250"},
		{"EHLO a/b", "501"}, {"LHLO a", "500"}, {"HELO <a>", "501"}, {"EHLO \xc3\xa4.example", "501"}}},
	{"no verbs", false, nil, []line{{"", "500"}, {" MAIL FROM:<>", "500"}, {"FOO", "500 5.5.1"}, {"mailfrom:<>", "500"},
		{"MAIL:FROM:<>", "500"}, {"NOOP\x01", "501"}, {"NO\x00OP", "501"}, {"X-Y z", "500"}, {"EXPN list", "502 5.5.1"},
		{"TURN", "500"}}},
	{"in any case", false, nil, []line{{"mAiL fRoM:<A@x.example>", "250"}, {"rcpt To:<b@x.example>", "250"},
		{"noop x", "250"},
		{"rset", "250"}, {"vrfy x", "252"}, {"quit", "221"}}},
	{"spaces", false, nil, []line{{"MAIL  FROM: <a@x.example> ", "250"}, {"RSET ", "250"}, {"NOOP  a  b ", "250"}}},
	{"parameters where there are none", false, nil, []line{{"RSET x", "501"}, {"QUIT x", "501"}, {"DATA x", "501"},
		{"VRFY", "501"}}},
	{"senders", false, nil, []line{{"MAIL", "501"}, {"MAIL FROM", "501"}, {"MAIL TO:<a@x.example>", "501"},
		{"MAIL FROM:a@x.example", "501 5.1.7"}, {"MAIL FROM:<a>", "501"}, {"MAIL FROM:<Postmaster>", "501"},
		{"MAIL FROM:<a@x.example>SIZE=1", "501"}, {"MAIL FROM:<a@x.example", "501"},
		{"MAIL FROM:<a@\xc3\xa4.example>", "553 5.6.7"},
		{"MAIL FROM:<>", "250"}}},
	{"recipients", false, nil, []line{{"MAIL FROM:<>", "250"}, {"RCPT TO:<>", "501"}, {"RCPT FROM:<a@x.example>", "501"},
		{"RCPT TO:<a@x.example> NOTIFY=NEVER", "555"}, {"RCPT TO:<postMaster>", "250"},
		{"RCPT TO:<@a,@b:c@x.example>", "250"},
		{"RCPT TO:<\xc3\xa4@x.example>", "553 5.6.7"}, {"RCPT TO:<a b@x.example>", "501"}}},
	{"one message after the other", false, nil, []line{{"MAIL FROM:<>", "250"}, {"MAIL FROM:<>", "503"},
		{"RCPT TO:<a@x.example>", "250"}, {"EHLO x.example", "250"}, {"RCPT TO:<a@x.example>", "503"},
		{"MAIL FROM:<>", "250"},
		{"RSET", "250"}, {"DATA", "503"}, {"MAIL FROM:<>", "250"}, {"HELO x.example", "250"}, {"DATA", "503"}}},
	{"a refused EHLO changes nothing", false, nil, []line{{"MAIL FROM:<>", "250"}, {"EHLO ?", "501"},
		{"RCPT TO:<a@x.example>", "250"}}},
	{"DATA without recipients", false, nil, []line{{"MAIL FROM:<>", "250"}, {"DATA", "554 5.5.1"},
		{"RCPT TO:<a@x.example>", "250"},
		{"DATA", "354"}, {"x\r\n.", "250"}}},
	{"parameters that are not offered", false, nil, []line{{"MAIL FROM:<> SMTPUTF8", "555"},
		{"MAIL FROM:<> RET=FULL", "555"},
		{"MAIL FROM:<> ENVID=x", "555"}, {"MAIL FROM:<> BODY=BINARYMIME", "555"}, {"MAIL FROM:<> REQUIRETLS", "555"},
		{"MAIL FROM:<> FOO", "555 5.5.4"}, {"MAIL FROM:<> FOO=a", "555"}}},
	{"parameters that are wrong", false, &Server{DSN: true, UTF8: true, Binary: true}, []line{{"MAIL FROM:<> SIZE", "501"},
		{"MAIL FROM:<> SIZE=", "501"}, {"MAIL FROM:<> SIZE=-1", "501"}, {"MAIL FROM:<> SIZE=1x", "501"},
		{"MAIL FROM:<> SIZE=1 size=2", "501"}, {"MAIL FROM:<> BODY=8BIT", "501"}, {"MAIL FROM:<> BODY", "501"},
		{"MAIL FROM:<> SMTPUTF8=1", "501"}, {"MAIL FROM:<> RET=ALL", "501"}, {"MAIL FROM:<> ENVID=a+0D+0Ab", "501"},
		{"MAIL FROM:<> ENVID=+zz", "501"}, {"MAIL FROM:<> ENVID=" + strings.Repeat("a", 101), "501"},
		{"MAIL FROM:<> -A=1", "501"}, {"MAIL FROM:<> A==", "501"}}},
	{"reports", false, &Server{DSN: true}, []line{{"MAIL FROM:<a@x.example> RET=HDRS ENVID=a+2Bb", "250"},
		{"RCPT TO:<b@x.example> NOTIFY=SUCCESS,failure,DELAY ORCPT=rfc822;b+40x.example", "250"},
		{"RCPT TO:<b@x.example> NOTIFY=NEVER", "250"}, {"RCPT TO:<b@x.example> NOTIFY=NEVER,DELAY", "501"},
		{"RCPT TO:<b@x.example> NOTIFY=", "501"}, {"RCPT TO:<b@x.example> NOTIFY=DELAY,DELAY", "501"},
		{"RCPT TO:<b@x.example> ORCPT=rfc822", "501"}, {"RCPT TO:<b@x.example> ORCPT=rfc822;", "501"},
		{"RCPT TO:<b@x.example> ORCPT=rfc822;a+0Ab", "501"}}},
	{"UTF-8", false, &Server{UTF8: true}, []line{{"MAIL FROM:<\xc3\xa4@\xc3\xa4.example> SMTPUTF8", "250"},
		{"RCPT TO:<\"\xc3\xa4 b\"@x.example>", "250"}, {"RCPT TO:<\xff@x.example>", "501"}, {"RSET", "250"},
		{"MAIL FROM:<\xc3\xa4@x.example>", "553"}, {"MAIL FROM:<>", "250"}, {"RCPT TO:<\xc3\xa4@x.example>", "553"}}},
	{"a size", false, &Server{Limits: Limits{Message: 100}}, []line{{"MAIL FROM:<> SIZE=101", "552 5.3.4"},
		{"MAIL FROM:<> SIZE=100", "250"}, {"RSET", "250"}, {"MAIL FROM:<> SIZE=99999999999999999999", "501"}}},
	{"BINARYMIME goes by BDAT", false, &Server{Binary: true}, []line{{"MAIL FROM:<> BODY=BINARYMIME", "250"},
		{"RCPT TO:<a@x.example>", "250"}, {"DATA", "503"}}},
	{"no TLS here", false, nil, []line{{"STARTTLS", "502"}, {"AUTH PLAIN", "504"}, {"AUTH", "501"}}},
	{"QUIT", false, nil, []line{{"QUIT", "221 2.0.0"}, {"", ""}}},
	{"HTTP", true, nil, []line{{"POST / HTTP/1.1", "554"}, {"", ""}}},
	{"HTTP in a session", false, nil, []line{{"GET http://x.example/ HTTP/1.0", "554"}, {"", ""}}},
	{"LMTP", true, &Server{LMTP: true}, []line{{"EHLO x.example", "500"}, {"HELO x.example", "500"},
		{"LHLO x.example", "250-"},
		{"MAIL FROM:<>", "250"}, {"DATA", "503"}}},
	{"TLS is needed", false, &Server{NeedTLS: true}, []line{{"MAIL FROM:<>", "530 5.7.0"}, {"VRFY a", "252"}}},
	{"a login is needed", false, &Server{NeedAuth: true}, []line{{"MAIL FROM:<>", "530"}}},
	{"BDAT", false, nil, []line{{"BDAT 3 LAST\r\nabc", "503"}, {"MAIL FROM:<>", "250"}, {"BDAT 6\r\nQUIT\r\n", "554"},
		{"RCPT TO:<a@x.example>", "250"}, {"BDAT 3\r\nabc", "250 2.0.0 3 bytes"}, {"NOOP", "250"}, {"MAIL FROM:<>", "503"},
		{"RCPT TO:<a@x.example>", "503"}, {"DATA", "503"}, {"VRFY a", "503"}, {"FOO", "503"}, {"BDAT 0 LAST", "250"},
		{"DATA", "503"}}},
	{"BDAT broken off", false, nil, []line{{"MAIL FROM:<>", "250"}, {"RCPT TO:<a@x.example>", "250"},
		{"BDAT 1\r\na", "250"},
		{"RSET", "250"}, {"BDAT 1 LAST\r\na", "503"}, {"MAIL FROM:<>", "250"}, {"RCPT TO:<a@x.example>", "250"},
		{"BDAT 1\r\na", "250"}, {"EHLO x.example", "250"}, {"RCPT TO:<a@x.example>", "503"}}},
	{"BDAT of nobody knows how much", false, nil, []line{{"BDAT", "501"}, {"", ""}}},
	{"BDAT of less than nothing", false, nil, []line{{"BDAT -1", "501"}, {"", ""}}},
	{"BDAT of 2^64", false, nil, []line{{"BDAT 18446744073709551617 LAST", "501"}, {"", ""}}},
	{"BDAT FIRST", false, nil, []line{{"BDAT 1 FIRST", "501"}, {"", ""}}},
	{"BDAT wrong between chunks", false, nil, []line{{"MAIL FROM:<>", "250"}, {"RCPT TO:<a@x.example>", "250"},
		{"BDAT 1\r\na", "250"}, {"BDAT x", "501"}, {"", ""}}},
}

// TestSessions holds them.
func TestSessions(t *testing.T) {
	t.Parallel()
	for _, row := range sessions {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			srv := row.srv
			if srv == nil {
				srv = new(Server)
			}
			srv.Backend = new(store)
			srv.Log = quiet
			k := dial(t, serve(t, srv))
			k.want("220 ")
			if !row.bare {
				k.say("EHLO x.example", "250-")
			}
			for _, l := range row.lines {
				if l.want != "" {
					k.send(l.say)
					if !strings.HasPrefix(l.say, "BDAT ") || !strings.Contains(l.say, "\r\n") {
						k.send("\r\n")
					}
				}
				if got := k.reply(); !strings.HasPrefix(got, l.want) || l.want == "" && got != "" {
					t.Fatalf("%q is answered with %q, want %q", l.say, got, l.want)
				}
			}
		})
	}
}

// TestParameters: what the backend gets of them.
func TestParameters(t *testing.T) {
	t.Parallel()
	st := new(store)
	k := hello(t, serve(t, &Server{Backend: st, DSN: true, UTF8: true, Binary: true}))
	k.say("MAIL FROM:<a@x.example> AUTH=b+40x.example RET=FULL ENVID=a+2Bb SIZE=7 SMTPUTF8 BODY=7bit", "250")
	k.say("RCPT TO:<\"a\\\"b\\\\\"@[192.0.2.1]> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;+41@x.example", "250")
	k.say("RCPT TO:<c@x.example> NOTIFY=NEVER ORCPT=utf-8;\xc3\xa4@x.example", "250")
	k.say("DATA", "354")
	k.say(".", "250")
	letters, _ := st.got()
	if len(letters) != 1 {
		t.Fatalf("it got %+v", letters)
	}
	l := letters[0]
	if l.mail.Auth == nil || l.mail.Auth.Mailbox != "" { // nobody has vouched for it: RFC 4954, section 5
		t.Errorf("AUTH is %+v", l.mail.Auth)
	}
	l.mail.Auth = nil
	if want := (MailOptions{Size: 7, Body: Body7Bit, UTF8: true, Return: ReturnFull, EnvelopeID: "a+b"}); l.mail != want {
		t.Errorf("MAIL: %+v, want %+v", l.mail, want)
	}
	if l.proto != "UTF8SMTP" {
		t.Errorf("the protocol is %s", l.proto)
	}
	if want := (Mailbox{`a"b\`, "[192.0.2.1]"}); l.to[0] != want {
		t.Errorf("RCPT: %+v, want %+v", l.to[0], want)
	}
	for i, want := range []RcptOptions{{NotifyDelay | NotifySuccess, "rfc822", "A@x.example"},
		{NotifyNever, "utf-8", "\xc3\xa4@x.example"}} {
		if l.rcpt[i] != want {
			t.Errorf("RCPT: %+v, want %+v", l.rcpt[i], want)
		}
	}
}

// TestBackendRefuses: what a Session's errors become.
func TestBackendRefuses(t *testing.T) {
	t.Parallel()
	other := errors.New("the disk is full")
	for _, row := range []struct {
		name string
		err  error
		want []string
	}{
		{"its own answer", &Error{550, Enhanced{5, 1, 1}, "no such user\nlook elsewhere"},
			[]string{"550-5.1.1 no such user/550 5.1.1 look elsewhere"}},
		{"without an enhanced code", &Error{451, Enhanced{}, "later"}, []string{"451 4.0.0 later"}},
		{"with that of another class", &Error{451, Enhanced{5, 1, 1}, "later"}, []string{"451 4.0.0 later"}},
		{"with an end of line", &Error{550, Enhanced{}, "a\r250 b\x00"}, []string{"550 5.0.0 a?250 b?"}},
		{"another error", other, []string{"451 4.3.0 "}},
		{"a code that refuses nothing", &Error{250, Enhanced{}, "Ok"}, []string{"451 4.3.0 "}},
		{"421", &Error{421, Enhanced{4, 7, 0}, "slow down"}, []string{"421 4.7.0 slow down", ""}},
		{"a hang-up", ErrHangUp, []string{""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, at := range []string{"hello", "mail", "rcpt", "data"} {
				st := new(store)
				var err error
				st.hello = func(string) error { return err }
				st.mail = func(Mailbox) error { return err }
				st.rcpt = func(Mailbox) error { return err }
				st.data = func(*storing, io.Reader) (string, error) { return "", err }
				addr := serve(t, &Server{Backend: st})
				k := dial(t, addr)
				k.want("220 ")
				lines := []line{{"EHLO x.example", "hello"}, {"MAIL FROM:<>", "mail"}, {"RCPT TO:<a@x.example>", "rcpt"},
					{"DATA", ""}, {"text\r\n.", "data"}}
				for _, l := range lines {
					if l.want == at {
						err = row.err
						k.say(l.say, row.want...)
						break
					}
					k.send(l.say + "\r\n")
					k.reply()
				}
			}
		})
	}
}
