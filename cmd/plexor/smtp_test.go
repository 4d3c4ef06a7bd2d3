package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// caught is part of the JSON of a mail.
type caught struct {
	Subject, Sender, Text, Protocol, Error string
	Recipients                             []string
	Waiting                                int // of info
}

// ask sends a request to the page's REST, with header fields as name, value, ….
func (s *server) ask(method, path, body string, header ...string) (status int, c caught) {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.host(1)+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Timeout: patience, Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = json.Unmarshal(b, &c) // a list is none
	return res.StatusCode, c
}

// TestServeSMTP: mail that curl, swaks, Python and Go send is caught, and told to who waits for it.
func TestServeSMTP(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	s := serve(t, 2, command("serve", "--loops=1",
		"smtp=tcp://127.0.0.1:0?sync=no&maildir="+dir+"&http=tcp://127.0.0.1:0"))
	server, port := s.host(0), s.port(0)
	for _, row := range []struct {
		to, protocol string
		args         []string
		input        string
	}{
		{"curl@x.example", "ESMTP", []string{"curl", "-sS", "-m", "30", "smtp://" + server, "--mail-from", "a@x.example",
			"--mail-rcpt", "curl@x.example", "-T", "-"}, "Subject: curl\r\n\r\nhello\r\n"},
		{"curl-tls@x.example", "ESMTPSA", []string{"curl", "-sSk", "-m", "30", "--ssl-reqd", "-u", "any:thing",
			"smtp://" + server, "--mail-from", "a@x.example", "--mail-rcpt", "curl-tls@x.example", "-T", "-"},
			"Subject: curl\r\n\r\nhello\r\n"},
		{"swaks@x.example", "ESMTPS", []string{"swaks", "--server", server, "-tls", "--to", "swaks@x.example", "--from",
			"a@x.example", "--body", "hello", "--attach-name", "x.txt", "--attach", "attached"}, ""},
		{"python@x.example", "ESMTP", []string{"python3", "-c", `import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
s.send_message(__import__("email.message", fromlist=["x"]).EmailMessage(), "a@x.example", ["python@x.example"])
s.quit()`, port}, ""},
	} {
		t.Run(row.to, func(t *testing.T) {
			exe, err := exec.LookPath(row.args[0])
			if err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(exe, row.args[1:]...)
			cmd.Stdin = strings.NewReader(row.input)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			status, c := s.ask("GET", "/api/v1/wait?timeout=20s&to="+row.to, "")
			if status != 200 || c.Sender != "a@x.example" || c.Recipients[0] != row.to || c.Protocol != row.protocol {
				t.Errorf("%d: %+v", status, c)
			}
		})
	}
	if status, _ := s.ask("PUT", "/api/v1/faults", `["rcpt,first=1:*:450 4.2.1 greylisted"]`); status != 200 {
		t.Errorf("the rule: %d", status)
	}
	send := func() error {
		c, err := smtp.Dial(server)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Mail("a@x.example"); err != nil {
			return err
		}
		if err := c.Rcpt("go@x.example"); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "Subject: go\n\nhello\n")
		return errors.Join(err, w.Close(), c.Quit())
	}
	if err := send(); err == nil || !strings.Contains(err.Error(), "greylisted") {
		t.Errorf("the first time: %v", err)
	}
	if err := send(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	waits := make(chan int, 1)
	go func() {
		status, _ := s.ask("GET", "/api/v1/wait?timeout=5m&to=nobody", "")
		waits <- status
	}()
	for waiting := 0; waiting == 0; time.Sleep(5 * time.Millisecond) {
		_, c := s.ask("GET", "/api/v1/info", "")
		waiting = c.Waiting
	}
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 {
		t.Errorf("exit %d after SIGTERM, want 0", code)
	}
	if status := <-waits; status != http.StatusServiceUnavailable {
		t.Errorf("who waited got %d", status)
	}
	files, err := filepath.Glob(filepath.Join(dir, "new", "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("the Maildir has %q, %v", files, err)
	}
}

// TestServeSMTPToken: what others than this machine can reach asks for the token, the page as well as SMTP.
func TestServeSMTPToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const secret = "a secret of 22 letters"
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, 2, command("serve", "--loops=1", "smtp=tcp://0.0.0.0:0?token="+token+
		"&maildir="+filepath.Join(dir, "mail")+"&http=tcp://127.0.0.1:0"))
	if status, c := s.ask("GET", "/api/v1/messages", ""); status != 401 || c.Error == "" {
		t.Errorf("without the token: %d", status)
	}
	if status, _ := s.ask("GET", "/api/v1/messages", "", "Authorization", "Bearer "+secret); status != 200 {
		t.Errorf("with the token: %d", status)
	}
	c, err := smtp.Dial("127.0.0.1:" + s.port(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("a@x.example"); err == nil || !strings.HasPrefix(err.Error(), "530") {
		t.Errorf("without a login: %v", err)
	}
	if has, _ := c.Extension("AUTH"); has {
		t.Error("a password may go over the network as it is")
	}
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", "any", secret, "127.0.0.1")); err != nil {
		t.Errorf("with the token: %v", err)
	}
	if err := c.Mail("a@x.example"); err != nil {
		t.Errorf("logged in: %v", err)
	}
}
