package ftp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A foreign is a server that nobody here wrote, with the folder that it serves and where it listens.
type foreign struct {
	t    *testing.T
	dir  string // which it serves
	etc  string // where its configuration is
	port int
	pem  string // key and certificate
	o    ClientOptions
}

// servers are those that the client is tried with.
var servers = []struct {
	name  string
	start func(f *foreign) *exec.Cmd
}{
	{"vsftpd", func(f *foreign) *exec.Cmd { return f.vsftpd("") }},
	{"vsftpd, AUTH TLS, which requires resumption", func(f *foreign) *exec.Cmd {
		f.o.Security = Explicit
		return f.vsftpd("ssl_enable=YES\nallow_anon_ssl=YES\nrequire_ssl_reuse=YES\nforce_local_data_ssl=YES\n" +
			"force_local_logins_ssl=YES\nforce_anon_data_ssl=YES\nforce_anon_logins_ssl=YES\nrsa_cert_file=" + f.pem + "\n")
	}},
	{"vsftpd, TLS from the first byte", func(f *foreign) *exec.Cmd {
		f.o.Security = Implicit
		return f.vsftpd("ssl_enable=YES\nallow_anon_ssl=YES\nrequire_ssl_reuse=YES\nimplicit_ssl=YES\n" +
			"force_anon_data_ssl=YES\nforce_anon_logins_ssl=YES\nrsa_cert_file=" + f.pem + "\n")
	}},
	{"pyftpdlib", func(f *foreign) *exec.Cmd {
		python := "/usr/bin/python3"
		if err := exec.Command(python, "-c", "import pyftpdlib").Run(); err != nil {
			f.t.Skip("pyftpdlib is not installed")
		}
		return exec.Command(python, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", strconv.Itoa(f.port), "-w", "-d", f.dir)
	}},
	{"pure-ftpd", func(f *foreign) *exec.Cmd { return f.pureFTPd() }},
	// No comma in the name, which is part of the path: pure-ftpd takes what is behind one for another file.
	{"pure-ftpd with AUTH TLS for data too", func(f *foreign) *exec.Cmd {
		f.o.Security = Explicit
		return f.pureFTPd("--tls=3", "--certfile="+f.pem)
	}},
	{"proftpd", func(f *foreign) *exec.Cmd { return f.proftpd("") }},
	{"proftpd, AUTH TLS, which requires resumption", func(f *foreign) *exec.Cmd {
		f.o.Security = Explicit
		return f.proftpd("TLSProtocol TLSv1.2 TLSv1.3\n")
	}},
	{"proftpd, TLS 1.2, which requires resumption", func(f *foreign) *exec.Cmd {
		f.o.Security = Explicit
		return f.proftpd("TLSProtocol TLSv1.2\nTLSSessionTickets on\n")
	}},
	{"proftpd, TLS from the first byte", func(f *foreign) *exec.Cmd {
		f.o.Security = Implicit
		return f.proftpd("TLSOptions UseImplicitSSL\n")
	}},
}

// serversIn is the environment variable with a folder into which packages of servers were unpacked. Debian lets one
// server of FTP be installed at a time.
const serversIn = "PLEXOR_FTP_SERVERS"

// pureFTPd serves joe.
func (f *foreign) pureFTPd(more ...string) *exec.Cmd {
	pw := exec.Command(f.find("pure-pw"), "useradd", "joe", "-u", owner(f.t), "-d", f.dir, "-f", f.etc+"/passwd", "-m",
		"-F", f.etc+"/pdb")
	pw.Stdin = strings.NewReader("secret\nsecret\n")
	if out, err := pw.CombinedOutput(); err != nil {
		f.t.Skipf("%v, %s", err, out)
	}
	f.o.User, f.o.Password = "joe", "secret"
	return exec.Command(f.find("pure-ftpd"), append([]string{"-S", "127.0.0.1," + strconv.Itoa(f.port), "-E", "-H", "-4",
		"-l", "puredb:" + f.etc + "/pdb", "-g", f.etc + "/pid", "-A"}, more...)...)
}

// proftpd serves anybody; with tls, which is of its configuration, over TLS alone.
func (f *foreign) proftpd(tls string) *exec.Cmd {
	conf, text := filepath.Join(f.etc, "proftpd.conf"), proftpdConf
	program := f.find("proftpd")
	if tls != "" {
		modules := "/usr/lib/proftpd"
		if in := os.Getenv(serversIn); strings.HasPrefix(program, in+"/") {
			modules = in + modules
		}
		if !exists(filepath.Join(modules, "mod_tls.so")) {
			f.t.Skip("proftpd's mod_tls is not installed")
		}
		text = "ModulePath " + modules + "\nLoadModule mod_tls.c\n" + text + "TLSEngine on\nTLSRequired on\n" +
			"TLSRSACertificateFile PEM\nTLSECCertificateFile PEM\n" + tls
	}
	f.write(conf, f.fill(text, "WHO", owner(f.t), "PEM", f.pem))
	return exec.Command(program, "-n", "-q", "-c", conf)
}

// owner is a user who is not root, and whom servers take.
func owner(t *testing.T) string {
	if _, err := user.Lookup("ftp"); err != nil {
		t.Skip("there is no user ftp here")
	}
	return "ftp"
}

// fill puts this server's own into a configuration.
func (f *foreign) fill(conf string, pairs ...string) string {
	return strings.NewReplacer(append([]string{"PORT", strconv.Itoa(f.port), "ETC", f.etc, "FILES", f.dir}, pairs...)...).
		Replace(conf)
}

const proftpdConf = `
ServerType standalone
DefaultAddress 127.0.0.1
Port PORT
UseIPv6 off
User WHO
Group nogroup
PidFile ETC/pid
ScoreboardFile ETC/score
SystemLog ETC/log
DelayEngine off
WtmpLog off
AuthPAM off
AllowOverwrite on
AllowStoreRestart on
RequireValidShell off
<Anonymous FILES>
User WHO
Group nogroup
UserAlias anonymous WHO
RequireValidShell off
AnonRequirePassword off
AllowStoreRestart on
AllowOverwrite on
</Anonymous>
`

const vsftpdConf = `
listen=YES
listen_address=127.0.0.1
listen_port=PORT
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
anon_root=TOP
secure_chroot_dir=EMPTY
seccomp_sandbox=NO
nopriv_user=WHO
ftp_username=WHO
xferlog_enable=NO
pasv_address=127.0.0.1
isolate=NO
isolate_network=NO
`

// find finds a program, in the folders of a system's too.
func (f *foreign) find(name string) string {
	f.t.Helper()
	in := os.Getenv(serversIn)
	for _, p := range []string{name, "/usr/sbin/" + name, in + "/usr/sbin/" + name, in + "/usr/bin/" + name} {
		if p, err := exec.LookPath(p); err == nil {
			return p
		}
	}
	f.t.Skipf("%s is not installed", name)
	return ""
}

func (f *foreign) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// vsftpd serves anonymous clients, who may write: below a root that they may not write to, for it refuses another.
func (f *foreign) vsftpd(more string) *exec.Cmd {
	conf := filepath.Join(f.etc, "vsftpd.conf")
	empty := filepath.Join(f.etc, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		f.t.Fatal(err)
	}
	who := owner(f.t)
	f.write(conf, f.fill(vsftpdConf, "WHO", who, "TOP", filepath.Dir(f.dir), "EMPTY", empty)+more)
	return exec.Command(f.find("vsftpd"), conf)
}

// TestServerPeers has the client fetch, store and list on servers that nobody here wrote.
func TestServerPeers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts servers")
	}
	for _, x := range servers {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := newForeign(t)
			cmd := x.start(f)
			var log lines
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Start(); err != nil {
				t.Skip(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-ended
			})
			addr := fmt.Sprintf("127.0.0.1:%d", f.port)
			var c *Client
			for end := time.Now().Add(patience); c == nil; time.Sleep(10 * time.Millisecond) {
				var err error
				switch c, err = Dial(t.Context(), addr, f.o); {
				case err == nil:
				case !errors.Is(err, syscall.ECONNREFUSED):
					t.Fatalf("%v, it said: %s", err, &log)
				case len(ended) > 0 || time.Now().After(end):
					t.Skipf("it does not serve here: %v, %s", err, &log)
				}
			}
			defer c.Close()
			f.use(c)
		})
	}
}

func newForeign(t *testing.T) *foreign {
	top, err := os.MkdirTemp("", "ftp") // not t.TempDir: a server may have another user, who has to come in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	f := &foreign{t: t, dir: filepath.Join(top, "files"), etc: t.TempDir()}
	for name, mode := range map[string]os.FileMode{top: 0o755, f.dir: 0o777} {
		_ = os.Mkdir(name, mode) // the first is there
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.port = int(addrPort(ln.Addr()).Port()) // nobody else takes it so soon
	ln.Close()
	cert, pool := newCert(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	f.pem = filepath.Join(f.etc, "pem")
	f.write(f.pem, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	f.o.TLS = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	return f
}

// use does what a user does. The folder is the root of some, and below it of others.
func (f *foreign) use(c *Client) {
	t, ctx := f.t, context.Background()
	text := strings.Repeat("what goes up\n", 30_000)
	if err := c.Chdir(ctx, filepath.Base(f.dir)); err != nil {
		t.Log("it serves the folder itself")
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for i := range 2 {
		_, err := c.Stor(ctx, "up", 0, strings.NewReader(text))
		must("Stor", err)
		got, err := os.ReadFile(filepath.Join(f.dir, "up"))
		if must("what was stored", err); string(got) != text {
			t.Fatalf("%d: %d bytes were stored", i, len(got))
		}
		var b bytes.Buffer
		_, err = c.Retr(ctx, "up", 100, &b)
		if must("Retr", err); b.String() != text[100:] {
			t.Fatalf("%d: %d bytes came", i, b.Len())
		}
	}
	_, err := c.Resume(ctx, "up", strings.NewReader(text+"more"))
	must("Resume", err)
	must("Mkdir", c.Mkdir(ctx, "folder"))
	_, err = c.Stor(ctx, "folder/x", 0, strings.NewReader("x"))
	must("Stor", err)
	for _, mlsd := range []bool{c.mlsd, false} {
		c.mlsd = mlsd
		all, err := c.ReadDir(ctx, "")
		must("ReadDir", err)
		if len(all) != 2 || all[0].Dir == all[1].Dir || all[0].Size+all[1].Size < int64(len(text)) {
			t.Errorf("ReadDir: %+v", all)
		}
		n := 0
		must("Walk", c.Walk(ctx, ".", func(string, Entry) error { n++; return nil }))
		if n != 3 {
			t.Errorf("Walk has seen %d", n)
		}
	}
	names, err := c.Names(ctx, "")
	if must("Names", err); len(names) != 2 {
		t.Errorf("Names: %q", names)
	}
	aborted, cancel := context.WithCancel(ctx)
	if err := os.Truncate(filepath.Join(f.dir, "up"), bigger); err != nil {
		t.Fatal(err)
	}
	_, err = c.Retr(aborted, "up", 0, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if err == nil {
		t.Error("a transfer that was aborted has no error")
	}
	must("behind an abort: Size", func() error { _, err := c.Size(ctx, "up"); return err }())
	must("Remove", c.Remove(ctx, "folder/x"))
	must("Rmdir", c.Rmdir(ctx, "folder"))
	must("Rename", c.Rename(ctx, "up", "moved"))
	must("Remove", c.Remove(ctx, "moved"))
}
