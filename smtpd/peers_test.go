package smtpd_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/smtp"
)

// loginNames are the mechanisms that a user of the tests may log in by.
var loginNames = []string{"PLAIN", "LOGIN", "XOAUTH2", smtp.ScramName}

// A door is a Backend that wants u and p, and puts the mail of who has it into a box.
type door struct{ b *box }

type doorSession struct{ session }

func (d door) NewSession(context.Context, smtp.Peer) (smtp.Session, error) {
	return doorSession{session(d)}, nil
}

func (doorSession) Mechanisms() []string { return loginNames }

func (doorSession) Auth(_ context.Context, mechanism string) (smtp.Exchange, error) {
	check := func(_ context.Context, user, password string) error {
		if user != "u" || password != "p" {
			return smtp.ErrCredentials
		}
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return smtp.PlainServer(func(ctx context.Context, _, user, password string) error {
			return check(ctx, user, password)
		}), nil
	case "LOGIN":
		return smtp.LoginServer(check), nil
	case "XOAUTH2":
		return smtp.XOAuth2Server(check), nil
	}
	return smtp.ScramServer(func(context.Context, string, string) (smtp.ScramSecret, error) {
		return smtp.NewScramSecret("p", 4096)
	}), nil
}

// A tool is a client that nobody here wrote, and what it is told.
type tool struct {
	name string
	args []string // with {addr}, {host}, {port}, {ca} and {file} of the message in them
	in   string   // on its standard input
	most int      // messages that it sends; 0: one
	// how the server is: lmtp, tls (from the beginning), open (nobody has to log in), proxy (it needs a PROXY header)
	server string
	want   string // in the message
}

const text = "Subject: from a tool\r\nFrom: a@x.example\r\nTo: b@x.example\r\n\r\n.\r\n..dots\r\nlast line\r\n"

// node has nodemailer send a message; python has smtplib.
const (
	node = `const t = require("nodemailer").createTransport({host: "127.0.0.1", port: {port}, secure: false,
	requireTLS: true, tls: {rejectUnauthorized: false}, auth: {user: "u", pass: "p"{method}}})
t.sendMail({from: "a@x.example", to: "b@x.example", subject: "from a tool", text: ".\n..dots\nlast line\n",
	attachments: [{filename: "a.bin", content: Buffer.alloc(100000, "last line")}]}, e => { if (e) throw e; t.close() })`
	python = `import smtplib, ssl, sys
with smtplib.{class}("127.0.0.1", {port}) as s:
	{setup}
	s.send_message(__import__("email").message_from_binary_file(open("{file}", "rb")), "a@x.example", ["b@x.example"]{more})
	try: s.sendmail("a@x.example", ["no one"], b"x")
	except smtplib.SMTPRecipientsRefused as e: print(e)
	else: sys.exit("an address that is none was taken")
`
	pythonTLS = "s.starttls(context=ssl._create_unverified_context()); s.login('u', 'p')"
)

func nodemailer(method string) []string {
	return []string{"-e", strings.ReplaceAll(node, "{method}", method)}
}

func smtplib(class, setup, more string) []string {
	return []string{"-c", strings.NewReplacer("{class}", class, "{setup}", setup, "{more}", more).Replace(python)}
}

var swaksMail = []string{"--server", "{host}", "--port", "{port}", "--from", "a@x.example", "--to", "b@x.example",
	"--data", "@{file}", "--helo", "x.example"}

func swaks(more ...string) []string {
	return append(swaksMail[:len(swaksMail):len(swaksMail)], more...)
}

func curl(url string, more ...string) []string {
	return append([]string{"-sS", url, "--cacert", "{ca}", "--mail-from", "a@x.example", "--mail-rcpt", "b@x.example",
		"-T", "{file}"}, more...)
}

func msmtp(more ...string) []string {
	return append([]string{"-C", "/dev/null", "--host={host}", "--port={port}", "--from=a@x.example",
		"--tls-trust-file={ca}",
		"--tls=on"}, append(more, "b@x.example")...)
}

var tools = []tool{
	{name: "swaks", args: swaks(), server: "open"},
	{name: "swaks", args: swaks("--pipeline"), server: "open"},
	{name: "swaks", args: swaks("--protocol", "SMTP"), server: "open"},
	{name: "swaks", args: swaks("--protocol", "LMTP"), server: "open lmtp"},
	{name: "swaks", args: swaks("--tls"), server: "open"},
	{name: "swaks", args: swaks("--tls-on-connect", "--auth", "PLAIN", "-au", "u", "-ap", "p"), server: "tls"},
	{name: "swaks", args: swaks("--tls", "--auth", "PLAIN", "-au", "u", "-ap", "p")},
	{name: "swaks", args: swaks("--tls", "--auth", "LOGIN", "-au", "u", "-ap", "p")},
	{name: "swaks", args: swaks("--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.1",
		"--proxy-source-port", "4711", "--proxy-dest", "192.0.2.2", "--proxy-dest-port", "25"), server: "open proxy"},
	{name: "swaks", args: swaks("--proxy-version", "2", "--proxy-family", "AF_INET", "--proxy-source", "192.0.2.1",
		"--proxy-source-port", "4711", "--proxy-dest", "192.0.2.2", "--proxy-dest-port", "25", "--proxy-protocol", "STREAM",
		"--proxy-command", "PROXY"), server: "open proxy"},
	{name: "curl", args: curl("smtp://{addr}/x.example"), server: "open"},
	{name: "curl", args: curl("smtp://{addr}/x.example", "--ssl-reqd", "-u", "u:p", "--login-options", "AUTH=PLAIN")},
	{name: "curl", args: curl("smtp://{addr}/x.example", "--ssl-reqd", "-u", "u:p", "--login-options", "AUTH=LOGIN")},
	{name: "curl", args: curl("smtp://{addr}/x.example", "--ssl-reqd", "-u", "u:", "--oauth2-bearer", "p",
		"--login-options", "AUTH=XOAUTH2")},
	{name: "curl", args: curl("smtps://{addr}/x.example", "-u", "u:p"), server: "tls"},
	{name: "msmtp", args: msmtp("--tls-starttls=on", "--auth=plain", "--user=u", "--passwordeval=echo p"), in: text},
	{name: "msmtp", args: msmtp("--tls-starttls=on", "--auth=login", "--user=u", "--passwordeval=echo p"), in: text},
	{name: "msmtp", args: msmtp("--tls-starttls=on", "--auth=scram-sha-256", "--user=u", "--passwordeval=echo p"),
		in: text},
	{name: "msmtp", args: msmtp("--tls-starttls=on", "--auth=xoauth2", "--user=u", "--passwordeval=echo p"), in: text},
	{name: "msmtp", args: msmtp("--tls-starttls=off", "--auth=on", "--user=u", "--passwordeval=echo p"), in: text,
		server: "tls"},
	{name: "msmtp", args: msmtp("--protocol=lmtp", "--tls-starttls=on", "--auth=off"), in: text, server: "open lmtp"},
	{name: "node", args: nodemailer("")},
	{name: "node", args: nodemailer(`, type: "login", method: "LOGIN"`)},
	{name: "/usr/bin/python3", args: smtplib("SMTP", pythonTLS, "")},
	{name: "/usr/bin/python3", args: smtplib("SMTP", pythonTLS, ", mail_options=['SMTPUTF8', 'BODY=8BITMIME']")},
	{name: "/usr/bin/python3", args: smtplib("LMTP", "pass", ""), server: "open lmtp"},
	{name: "smtp-source", args: []string{"-s", "5", "-m", "100", "-l", "1024", "-f", "a@x.example", "-t",
		"b@x.example", "{addr}"},
		most: 100, server: "open", want: "X"},
	{name: "smtp-source", args: []string{"-d", "-s", "5", "-m", "100", "-r", "3", "-l", "100000", "{addr}"},
		most: 100, server: "open", want: "X"},
	{name: "smtp-source", args: []string{"-L", "-s", "2", "-m", "20", "-r", "3", "-l", "100", "{addr}"}, most: 20,
		server: "open lmtp", want: "X"},
}

// TestTools has clients that nobody here wrote send their mail.
func TestTools(t *testing.T) {
	t.Parallel()
	cfg, _ := configs(t)
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "message")
	write := func(name string, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cfg.Certificates[0].Certificate[0]}))
	write(file, []byte(text))
	for i, row := range tools {
		name := fmt.Sprintf("%d %s %s", i, filepath.Base(row.name), row.server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exe := find(t, row.name)
			b := newBox()
			addr := serveTool(t, row.server, b, cfg)
			host, port, _ := net.SplitHostPort(addr)
			r := strings.NewReplacer("{addr}", addr, "{host}", host, "{port}", port, "{ca}", ca, "{file}", file)
			args := make([]string, len(row.args))
			for i, a := range row.args {
				args[i] = r.Replace(a)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, args...)
			cmd.Stdin = strings.NewReader(row.in)
			cmd.Env = append(os.Environ(), "NODE_PATH=/usr/share/nodejs", "HOME="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
			}
			got, want := b.got(), row.want
			if want == "" {
				want = "last line"
			}
			if len(got) != max(row.most, 1) || !strings.Contains(got[0], want) {
				t.Errorf("%v: %d messages, the first %.500q", cmd.Args, len(got), got[:min(1, len(got))])
			}
			if want == "last line" && !strings.Contains(got[0], "\r\n.\r\n..dots\r\n") {
				t.Errorf("%v: the dots are others: %.500q", cmd.Args, got[0])
			}
		})
	}
}

// find is where a program is.
func find(t *testing.T, name string) string {
	t.Helper()
	exe, err := exec.LookPath(name)
	if err != nil {
		if exe, err = exec.LookPath("/usr/sbin/" + filepath.Base(name)); err != nil {
			t.Skipf("there is no %s here", name)
		}
	}
	if name == "node" {
		if _, err := os.Stat("/usr/share/nodejs/nodemailer"); err != nil {
			t.Skip("there is no nodemailer here")
		}
	}
	return exe
}

// serveTool is a server as a tool wants it.
func serveTool(t *testing.T, how string, b *box, cfg *tls.Config) string {
	t.Helper()
	s := &smtp.Server{Backend: door{b}, TLS: cfg, Name: "localhost", UTF8: true, DSN: true, Binary: true}
	s.NeedAuth = !strings.Contains(how, "open")
	s.LMTP = strings.Contains(how, "lmtp")
	if strings.Contains(how, "proxy") {
		s.Proxied = func(net.Conn) bool { return true }
	}
	url := "tcp://127.0.0.1:0"
	if strings.Contains(how, "tls") {
		url = "tls://127.0.0.1:0"
	}
	srv := &plexor.Server{TLS: &plexor.TLS{Config: cfg}}
	addr := serve(t, srv, s, url)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
	})
	return addr
}
