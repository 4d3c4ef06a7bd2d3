package ftp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/portion"
)

// A peer runs a client that nobody here wrote against a server of this package.
type peer struct {
	t    *testing.T
	dir  string // of its own, which is its home too
	host string
	port string
	text string // of the file "up" there, and of the file "down" below the root
}

// run runs it in its folder, and returns what it printed.
func (p *peer) run(input, name string, args ...string) string {
	p.t.Helper()
	path, err := exec.LookPath(name)
	if name == "python3" { // the system's has the packages
		if path, err = "/usr/bin/python3", nil; !exists(path) {
			path, err = exec.LookPath(name)
		}
	}
	if err != nil {
		p.t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(p.t.Context(), path, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "TERM=dumb", "LC_ALL=C.UTF-8",
		"NODE_PATH="+os.Getenv(nodeModules))
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v, it printed:\n%s", name, err, out)
	}
	return string(out)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// clients each fetch "down", store "up", and list. Those that can't resume their session's TLS are for a server that
// prefers it.
var clients = []struct {
	name string
	tls  string // how it does that: "", explicit, implicit
	do   func(p *peer)
}{
	{"curl", "", func(p *peer) {
		url := "ftp://joe:secret@" + p.host + ":" + p.port + "/"
		p.run("", "curl", "-sS", "-T", "up", url+"up")
		p.run("", "curl", "-sS", "-o", "down", url+"down")
		p.run("", "curl", "-sS", "-P", "-", "--disable-eprt", "-o", "down2", url+"down")
	}},
	{"curl, explicit", "explicit", func(p *peer) {
		url := "ftp://joe:secret@" + p.host + ":" + p.port + "/"
		p.run("", "curl", "-sSk", "--ssl-reqd", "-T", "up", url+"up")
		p.run("", "curl", "-sSk", "--ssl-reqd", "-o", "down", url+"down")
	}},
	{"curl, TLS 1.2, which has no tickets there", "prefer", func(p *peer) {
		url := "ftp://joe:secret@" + p.host + ":" + p.port + "/"
		p.run("", "curl", "-sSk", "--ssl-reqd", "--tls-max", "1.2", "-T", "up", url+"up")
		p.run("", "curl", "-sSk", "--ssl-reqd", "--tls-max", "1.2", "-o", "down", url+"down")
	}},
	{"curl, implicit", "implicit", func(p *peer) {
		url := "ftps://joe:secret@" + p.host + ":" + p.port + "/"
		p.run("", "curl", "-sSk", "-T", "up", url+"up")
		p.run("", "curl", "-sSk", "-o", "down", url+"down")
	}},
	{"lftp", "", func(p *peer) { lftp(p, "ftp", "set ftp:ssl-allow no;") }},
	{"lftp, explicit", "explicit", func(p *peer) { lftp(p, "ftp", "set ftp:ssl-force yes;") }},
	{"lftp, implicit", "implicit", func(p *peer) { lftp(p, "ftps", "") }},
	{"tnftp", "", func(p *peer) {
		p.run(fmt.Sprintf("open %s %s\nuser joe secret\nbinary\nput up\nget down\nls\nmls . ls.txt\nrestart 0\n"+
			"mkdir d\ncd d\npwd\ncdup\nrmdir d\nquit\n", p.host, p.port), "tnftp", "-n", "-i", "-v")
	}},
	{"ncftp", "", func(p *peer) {
		p.run("", "ncftpput", "-u", "joe", "-p", "secret", "-P", p.port, p.host, "/", "up")
		p.run("", "ncftpget", "-u", "joe", "-p", "secret", "-P", p.port, p.host, ".", "/down")
		out := p.run("", "ncftpls", "-u", "joe", "-p", "secret", "-P", p.port, "ftp://"+p.host+"/")
		if !strings.Contains(out, "up") {
			p.t.Errorf("ncftpls: %q", out)
		}
	}},
	{"inetutils-ftp", "", func(p *peer) {
		p.run(fmt.Sprintf("open %s %s\nuser joe secret\nbinary\npassive\nput up\nget down\nls\nsize up\nsystem\nquit\n",
			p.host, p.port), "inetutils-ftp", "-n", "-i", "-v")
		p.run(fmt.Sprintf("open %s %s\nuser joe secret\nbinary\nget down\nquit\n", p.host, p.port),
			"inetutils-ftp", "-n", "-i", "-v") // active
	}},
	{"rclone", "", func(p *peer) { rclone(p) }},
	{"rclone, explicit", "explicit", func(p *peer) {
		rclone(p, "--ftp-explicit-tls", "--ftp-no-check-certificate")
	}},
	{"Python's ftplib", "", func(p *peer) { p.run(pythonFTP, "python3", "-", p.host, p.port, "") }},
	{"Python's ftplib, explicit, no resumption", "prefer", func(p *peer) {
		p.run(pythonFTP, "python3", "-", p.host, p.port, "tls")
	}},
	{"basic-ftp", "", func(p *peer) { p.run(nodeBasic, "node", "-", p.host, p.port, "") }},
	{"basic-ftp, explicit", "explicit", func(p *peer) { p.run(nodeBasic, "node", "-", p.host, p.port, "true") }},
	{"basic-ftp, implicit", "implicit", func(p *peer) { p.run(nodeBasic, "node", "-", p.host, p.port, "implicit") }},
	{"aioftp", "", func(p *peer) { p.run(pythonAIO, "python3", "-", p.host, p.port) }},
}

func lftp(p *peer, scheme, set string) {
	p.run("", "lftp", "-c", "set ssl:verify-certificate no; set net:max-retries 1; set net:timeout 20; "+
		"set cmd:fail-exit yes; "+set+" open -u joe,secret -p "+p.port+" "+scheme+"://"+p.host+
		"; put up; get down; cls -l; mkdir d; mv up d/up; mv d/up up; mirror -R . d/m; mirror d/m back; rm -r d; get -c down")
}

func rclone(p *peer, more ...string) {
	obscured := strings.TrimSpace(p.run("", "rclone", "obscure", "secret"))
	args := append([]string{"--config", "none", "--ftp-host", p.host, "--ftp-port", p.port, "--ftp-user", "joe",
		"--ftp-pass", obscured, "--retries", "1"}, more...)
	p.run("", "rclone", append([]string{"copy", "up", ":ftp:/"}, args...)...)
	p.run("", "rclone", append([]string{"copy", ":ftp:/down", "."}, args...)...)
	if out := p.run("", "rclone", append([]string{"lsf", ":ftp:/"}, args...)...); !strings.Contains(out, "up") {
		p.t.Errorf("rclone lsf: %q", out)
	}
}

// pythonFTP is a client by ftplib, that aborts too.
const pythonFTP = `
import ftplib, ssl, sys
host, port, tls = sys.argv[1:]
if tls:
    ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
    f = ftplib.FTP_TLS(context=ctx)
else:
    f = ftplib.FTP()
f.connect(host, int(port), timeout=20)
f.login("joe", "secret")
if tls: f.prot_p()
f.storbinary("STOR up", open("up", "rb"))
f.retrbinary("RETR down", open("down", "wb").write)
assert "up" in f.nlst()
assert dict(f.mlsd())["up"]["type"] == "file"
lines = []
f.retrlines("LIST", lines.append)
assert len(lines) == 2, lines
f.mkd("d"); f.cwd("d"); assert f.pwd() == "/d"; f.cwd(".."); f.rename("d", "e"); f.rmd("e")
f.voidcmd("TYPE I"); assert f.size("up") == len(open("up", "rb").read())
if not tls:
    s = f.transfercmd("RETR down")
    s.recv(1)
    print(f.abort())
    s.close()
    while True:
        try:
            print(f.voidresp()); break
        except ftplib.Error as e: print(e)
    f.voidcmd("NOOP")
    f.set_pasv(False)
    f.retrbinary("RETR down", open("down", "wb").write)
f.quit()
`

// nodeModules is the environment variable with a folder of npm's packages, where Node.js looks too.
const nodeModules = "PLEXOR_NODE_MODULES"

// nodeBasic is a client by npm's basic-ftp.
const nodeBasic = `
let ftp;
try { ftp = require("basic-ftp"); } catch (e) { console.log("no basic-ftp"); process.exit(0); }
const [host, port, secure] = process.argv.slice(2);
(async () => {
    const c = new ftp.Client(20000);
    await c.access({host, port: +port, user: "joe", password: "secret", secure: secure === "true" || secure,
        secureOptions: {rejectUnauthorized: false}});
    await c.uploadFrom("up", "up");
    await c.downloadTo("down", "down");
    await c.ensureDir("d/e");
    await c.uploadFrom("up", "part");
    await c.cd("/");
    require("fs").copyFileSync("up", "part");
    await c.downloadTo("part", "d/e/part", 100);
    await c.appendFrom("up", "d/e/part");
    const want = 2 * require("fs").statSync("up").size;
    if (await c.size("d/e/part") !== want) throw new Error("the size is " + await c.size("d/e/part"));
    const all = await c.list("/");
    if (!all.some(e => e.name === "up" && e.isFile) || !all.some(e => e.name === "d" && e.isDirectory)) {
        throw new Error(JSON.stringify(all));
    }
    await c.rename("d", "f");
    await c.downloadToDir("back", "f");
    await c.removeDir("f");
    c.close();
})().catch(e => { console.log(e); process.exit(1); });
`

// pythonAIO is a client by aioftp.
const pythonAIO = `
import asyncio, sys
try:
    import aioftp
except ImportError:
    print("no aioftp"); sys.exit(0)
async def main():
    async with aioftp.Client.context(sys.argv[1], int(sys.argv[2]), "joe", "secret") as c:
        await c.upload("up", "/up", write_into=True)
        await c.download("/down", "down", write_into=True)
        names = [str(p) for p, info in await c.list("/")]
        assert "/up" in names, names
        await c.make_directory("d/e"); await c.remove("d")
asyncio.run(main())
`

// alike are those of the clients whose program is there in other ways too, with its tls of another one.
var alike = []string{"curl, implicit", "lftp, explicit", "rclone", "Python's ftplib", "basic-ftp, explicit"}

// TestClientPeers has clients that nobody here wrote fetch, store, list and more.
func TestClientPeers(t *testing.T) {
	t.Parallel()
	cert, _ := newCert(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, x := range clients {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			if slices.Contains(alike, x.name) && !portion.All() {
				t.Skip("much as the ones beside it: PLEXOR_TESTS=all has it")
			}
			srv := new(Server)
			switch x.tls {
			case "explicit":
				srv = &Server{TLS: cfg, RequireTLS: true, Binding: BindRequire}
			case "implicit":
				srv = &Server{TLS: cfg, RequireTLS: true, Implicit: true, Binding: BindRequire}
			case "prefer":
				srv = &Server{TLS: cfg, RequireTLS: true}
			}
			r := newRig(t, srv)
			p := &peer{t: t, dir: t.TempDir(), text: strings.Repeat("what goes up\n", 30_000)}
			p.host, p.port, _ = net.SplitHostPort(r.addr)
			r.file("down", p.text)
			if err := os.WriteFile(filepath.Join(p.dir, "up"), []byte(p.text), 0o600); err != nil {
				t.Fatal(err)
			}
			x.do(p)
			if t.Failed() {
				return
			}
			if st := r.srv.Stats(); st.Logins == 0 {
				t.Skip("it is there in part alone")
			}
			r.has("up", p.text)
			if got, err := os.ReadFile(filepath.Join(p.dir, "down")); !bytes.Equal(got, []byte(p.text)) {
				t.Errorf("down has %d bytes, %v", len(got), err)
			}
		})
	}
}
