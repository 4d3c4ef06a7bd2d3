//go:build unix

package smtp

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// postfixServices are what a Postfix that relays needs, one a line of its master.cf: a name, a type, the columns and
// the program.
const postfixServices = `{listen} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

const postfixConfig = `compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
mail_owner = postfix
setgid_group = postdrop
daemon_directory = {daemons}
command_directory = /usr/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{relay}
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_host_lookup = native
disable_dns_lookups = yes
smtputf8_autodetect_classes = all
maillog_file = /dev/stdout
`

// startPostfix starts a Postfix of the test's own, which relays to a port, and returns its address. more are lines for
// its main.cf, with {dir} for its folder, and files what lies there.
func startPostfix(t *testing.T, relay, more string, files map[string][]byte) string {
	t.Helper()
	exe, err := exec.LookPath("/usr/sbin/postfix")
	const daemons = "/usr/lib/postfix/sbin"
	if _, e := os.Stat(daemons + "/master"); err != nil || e != nil || os.Getuid() != 0 {
		t.Skip("there is no Postfix here, or no root to start one")
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("/tmp", "postfix") // t.TempDir is for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	host, port := peerAddr()
	r := strings.NewReplacer("{dir}", dir, "{daemons}", daemons, "{relay}", relay,
		"{listen}", net.JoinHostPort(host, port))
	uid, _ := strconv.Atoi(owner.Uid)
	err = os.Chmod(dir, 0o755)
	for _, d := range []string{"config", "queue", "data"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, d), 0o755)
		}
	}
	if err == nil {
		err = os.Chown(filepath.Join(dir, "data"), uid, -1)
	}
	for name, b := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
	}
	for name, text := range map[string]string{"main.cf": postfixConfig + more, "master.cf": postfixServices} {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "config", name), []byte(r.Replace(text)), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(exe, "-c", filepath.Join(dir, "config"), "start-fg")
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		out, err := exec.Command(exe, "-c", filepath.Join(dir, "config"), "stop").CombinedOutput()
		if err != nil {
			t.Errorf("stopping Postfix: %v, %s", err, out)
			_ = cmd.Process.Kill()
		}
		<-ended
		if t.Failed() {
			t.Logf("Postfix said\n%s", output.String())
		}
	})
	addr := net.JoinHostPort(host, port)
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		if nc, err := net.Dial("tcp", addr); err == nil {
			_ = nc.Close()
			return addr
		}
	}
	t.Fatal("Postfix does not answer")
	return ""
}

// TestPostfix sends by a real Postfix: our client to it, and it to our server, which gets all messages as they were,
// with what Postfix puts in front.
func TestPostfix(t *testing.T) {
	t.Parallel()
	st := new(store)
	came := make(chan struct{}, 100)
	st.data = func(s *storing, r io.Reader) (string, error) {
		err := s.keep(r)
		came <- struct{}{}
		return "kept", err
	}
	_, relay, _ := net.SplitHostPort(serve(t, &Server{Backend: st, Name: "ours.example", DSN: true, UTF8: true}))
	addr := startPostfix(t, relay, "", nil)
	sendAll(t, addr, DialOptions{Security: NoTLS})
	c := connect(t, addr, ClientOptions{Name: "client.example"})
	e := Mailbox{"\u00e4", "x.example"}
	m := &Message{From: e, To: []Recipient{{Mailbox{"b", "x.example"}, RcptOptions{Notify: NotifyNever}}},
		MailOptions: MailOptions{EnvelopeID: "id+1"}, Data: strings.NewReader("Subject: \u00e4\r\n\r\n\u00e4\r\n")}
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	_ = c.Quit(t.Context())
	want := 3*len(peerMessages) + 1
	for n := range want {
		select {
		case <-came:
		case <-time.After(patience):
			letters, _ := st.got()
			t.Fatalf("%d messages of %d came, and %d are kept", n, want, len(letters))
		}
	}
	letters, _ := st.got()
	seen := make(map[string]int)
	for _, l := range letters {
		if l.err != nil || !strings.HasPrefix(l.text, "Received: from client.example ") {
			t.Errorf("it got %+v", l)
		}
		for _, text := range peerMessages {
			header, body, _ := strings.Cut(text, "\r\n\r\n")
			if text != "" && strings.Contains(l.text, "\r\n"+header+"\r\n") && len(l.to) == 2 &&
				strings.HasSuffix(l.text, "\r\n\r\n"+strings.TrimSuffix(body, "\r\n")+"\r\n") {
				seen[text]++
			}
		}
		if l.from == e && (!l.mail.UTF8 || l.mail.EnvelopeID != "id+1" || l.rcpt[0].Notify != NotifyNever) {
			t.Errorf("it got %+v", l)
		}
	}
	for _, text := range peerMessages {
		if text != "" && seen[text] != 3 {
			t.Errorf("%.50q came %d times", text, seen[text])
		}
	}
}

// postfixTLS has Postfix want STARTTLS of who sends to it, and use it where it sends, with a certificate that it
// verifies.
const postfixTLS = `smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtp_tls_security_level = secure
smtp_tls_CAfile = {dir}/cert.pem
smtp_tls_secure_cert_match = localhost
tls_random_source = dev:/dev/urandom
`

// TestPostfixTLS sends by a real Postfix that speaks STARTTLS alone, with our client and with our server.
func TestPostfixTLS(t *testing.T) {
	t.Parallel()
	cfg, ccfg := testTLS()
	der, err := x509.MarshalPKCS8PrivateKey(cfg.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cfg.Certificates[0].Certificate[0]})}
	st := new(store)
	came := make(chan struct{}, 100)
	st.data = func(s *storing, r io.Reader) (string, error) {
		err := s.keep(r)
		came <- struct{}{}
		return "kept", err
	}
	_, relay, _ := net.SplitHostPort(serve(t, &Server{Backend: st, Name: "localhost", TLS: cfg, NeedTLS: true}))
	addr := startPostfix(t, relay, postfixTLS, files)
	c := connect(t, addr, ClientOptions{Name: "client.example"})
	if _, err := c.Send(t.Context(), &Message{To: to("b"), Data: strings.NewReader("x\r\n")}); err == nil {
		t.Error("Postfix takes mail without TLS")
	}
	_ = c.Quit(t.Context())
	sendAll(t, addr, DialOptions{Security: NeedStartTLS, TLS: ccfg})
	for n := range 3 * len(peerMessages) {
		select {
		case <-came:
		case <-time.After(patience):
			t.Fatalf("%d messages came", n)
		}
	}
	letters, _ := st.got()
	for _, l := range letters {
		if l.err != nil || l.proto != "ESMTPS" || !strings.Contains(l.text, " with ESMTPS id ") ||
			!strings.Contains(l.text, "using TLSv1.3") {
			t.Errorf("it got %+v", l)
		}
	}
}
