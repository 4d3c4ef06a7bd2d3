package smtp

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// peersRun counts them.
var peersRun atomic.Int32

// peerAddr is where a peer may listen: at an address of the loopback network that nobody else has, so that no port is
// taken between being found free and being used.
func peerAddr() (host, port string) {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>8&63, 1+pid&127, 1+peersRun.Add(1)), strconv.Itoa(10000 + pid%20000)
}

// runServer runs a server that somebody else wrote, until the test ends, and returns the address at which it answers.
func runServer(t *testing.T, name string, args ...string) string {
	t.Helper()
	exe, err := exec.LookPath(name)
	if err != nil {
		if exe, err = exec.LookPath("/usr/sbin/" + filepath.Base(name)); err != nil {
			t.Skipf("there is no %s here", name)
		}
	}
	host, port := peerAddr()
	for i := range args {
		args[i] = strings.NewReplacer("{port}", port, "{host}", host).Replace(args[i])
	}
	var output bytes.Buffer
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said\n%s", name, output.String())
		}
	})
	addr := net.JoinHostPort(host, port)
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
		if nc, err := net.Dial("tcp", addr); err == nil {
			_ = nc.Close()
			return addr
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v: %s", name, err, output.String())
		default:
		}
	}
	t.Fatalf("%s does not answer", name)
	return ""
}

// peerMessages are what is sent to each peer.
var peerMessages = []string{"Subject: a\r\n\r\n.\r\n..\r\n.text\r\n", "Subject: b\r\n\r\nno end", "",
	"Subject: c\r\n\r\n" + strings.Repeat("a line of text\r\n", 20000)}

// sendAll sends them, with each way of sending.
func sendAll(t *testing.T, addr string, o DialOptions) {
	t.Helper()
	for _, more := range []ClientOptions{{}, {NoPipelining: true}, {Chunking: true}} {
		more.LMTP, more.Name = o.LMTP, "client.example"
		o.ClientOptions = more
		c, err := Dial(t.Context(), addr, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range peerMessages {
			r, err := c.Send(t.Context(), &Message{From: sender, To: to("b", "c"), Data: strings.NewReader(text)})
			if err != nil || r.Taken() != 2 {
				t.Fatalf("%+v, message %d: %v, %+v", more, i, err, r)
			}
		}
		if err := c.Quit(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestSink sends to Postfix's smtp-sink, in SMTP and LMTP, with and without its extensions, and to one that refuses.
func TestSink(t *testing.T) {
	t.Parallel()
	var own []string
	if os.Getuid() == 0 {
		own = []string{"-u", "root"} // which it wants to be told
	}
	for _, args := range [][]string{nil, {"-p"}, {"-e"}, {"-8"}, {"-L"}} {
		dir := t.TempDir()
		o := DialOptions{Security: MayStartTLS}
		o.LMTP = len(args) > 0 && args[0] == "-L"
		args := slices.Concat(own, args, []string{"-R", dir, "-d", "%M.", "{host}:{port}", "10"})
		sendAll(t, runServer(t, "smtp-sink", args...), o)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) != 3*len(peerMessages) || err != nil {
			t.Fatalf("%v: it has %d messages, %v", args, len(files), err)
		}
		seen := make(map[string]int)
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range peerMessages {
				want := strings.ReplaceAll(text, "\r\n", "\n")
				if want != "" && strings.Contains(string(b), want) {
					seen[text]++
				}
			}
		}
		for _, text := range peerMessages {
			if text != "" && seen[text] != 3 {
				t.Errorf("%v: %.50q came %d times", args, text, seen[text])
			}
		}
	}
	for _, step := range []string{"MAIL", "RCPT", "DATA", ".", "EHLO"} { // EHLO: then there is HELO
		addr := runServer(t, "smtp-sink", append(own, "-f", step, "{host}:{port}", "10")...)
		c, err := Dial(t.Context(), addr, DialOptions{Security: NoTLS})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Send(t.Context(), &Message{To: to("b"), Data: strings.NewReader("x")})
		if (err == nil) != (step == "EHLO") || (r.Taken() == 0) != (err != nil) {
			t.Errorf("it refuses %s: %v, %+v", step, err, r)
		}
		_ = c.Close()
	}
}

// aiosmtpd is a server by Python's aiosmtpd, which keeps mail in a Maildir.
const aiosmtpd = `
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from aiosmtpd.lmtp import LMTP
from aiosmtpd.handlers import Mailbox
def auth(server, session, envelope, mechanism, data):
	ok = isinstance(data, LoginPassword) and (data.login, data.password) == (b"u", b"p")
	return AuthResult(success=ok, handled=ok)
class Each(Mailbox):
	async def handle_DATA(self, server, session, envelope):
		said = await super().handle_DATA(server, session, envelope) or "250 OK"
		return "\r\n".join([said] * len(envelope.rcpt_tos))
host, port, kind, dir, cert, key = sys.argv[1:7]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(cert, key)
options = dict(enable_SMTPUTF8=True, ident="peer", data_size_limit=1 << 20)
if kind == "tls":
	options.update(tls_context=context, require_starttls=True, authenticator=auth, auth_required=True)
make, handler = (LMTP, Each) if kind == "lmtp" else (SMTP, Mailbox)
async def main():
	server = await asyncio.get_running_loop().create_server(lambda: make(handler(dir), **options), host, int(port))
	await server.serve_forever()
asyncio.run(main())
`

// TestAiosmtpd sends to Python's aiosmtpd: in plain text, over TLS with a login, and in LMTP.
func TestAiosmtpd(t *testing.T) {
	t.Parallel()
	cfg, ccfg := testTLS()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(cfg.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: cfg.Certificates[0].Certificate[0]},
		key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addrs := make(map[string]string) // by kind: Python takes its time to start
	for _, row := range []struct {
		kind     string
		security Security
		auth     Credential
	}{
		{"plain", NoTLS, nil}, {"tls", NeedStartTLS, Plain("", "u", "p")}, {"tls", NeedStartTLS, Login("u", "p")},
		{"lmtp", NoTLS, nil},
	} {
		box := filepath.Join(dir, row.kind, "box")
		if err := os.MkdirAll(filepath.Dir(box), 0o700); err != nil {
			t.Fatal(err)
		}
		addr := addrs[row.kind]
		if addr == "" {
			addr = runServer(t, "/usr/bin/python3", "-c", aiosmtpd, "{host}", "{port}", row.kind, box, cert, key)
			addrs[row.kind] = addr
		}
		o := DialOptions{Security: row.security, TLS: ccfg, Auth: row.auth}
		o.LMTP = row.kind == "lmtp"
		before, _ := filepath.Glob(filepath.Join(box, "new", "*"))
		sendAll(t, addr, o)
		files, _ := filepath.Glob(filepath.Join(box, "new", "*"))
		if len(files)-len(before) != 3*len(peerMessages) {
			t.Errorf("%s: it has %d messages", row.kind, len(files)-len(before))
		}
		m := &Message{From: Mailbox{"\u00e4", "x.example"}, To: to("b"),
			Data: strings.NewReader("Subject: \u00e4\r\n\r\n\u00e4\r\n")}
		c, err := Dial(t.Context(), addr, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Errorf("%s, in UTF-8: %v", row.kind, err)
		}
		m = &Message{From: sender, To: to("b"), Data: strings.NewReader(strings.Repeat("x\r\n", 400000))}
		if _, err := c.Send(context.Background(), m); err != ErrTooLarge {
			t.Errorf("%s, too large: %v", row.kind, err)
		}
		_ = c.Quit(t.Context())
	}
}
