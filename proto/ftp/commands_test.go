package ftp

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// dialogs are commands with the codes that they get, one after the other in a session of its own. A line "@name" logs
// in; "@data" sets a data connection up.
var dialogs = []struct {
	name  string
	lines string
}{
	// Who may log in.
	{"auth: all but a few commands need a login", "PWD 530/CWD / 530/LIST 530/RETR a 530/STOR a 530/DELE a 530/" +
		"SIZE a 530/" +
		"PASV 530/EPSV 530/PORT 127,0,0,1,200,1 530/REST 1 530/TYPE I 530/MLST 530/STAT 530/SITE HELP 530/ABOR 530/" +
		"NOOP 200/SYST 215/FEAT 211/HELP 214/OPTS UTF8 ON 200/QUIT 221"},
	{"auth: PASS without USER", "PASS secret 503"},
	{"auth: USER without a name", "USER 501"},
	{"auth: a wrong password", "USER joe 331/PASS nope 530/PASS secret 503/USER joe 331/PASS secret 230"},
	{"auth: an empty password", "USER joe 331/PASS 530"},
	{"auth: PASS twice", "@joe/PASS secret 503"},
	{"auth: USER again logs out", "@joe/USER joe 331/PWD 530/PASS secret 230/PWD 257"},
	{"auth: anonymous, with any password", "USER anonymous 331/PASS me@ 230/PWD 257/QUIT 221"},
	{"auth: anonymous may only read", "USER ftp 331/PASS 230/@data/STOR x 550/@data/APPE a 550/@data/STOU 550/" +
		"DELE a 550/" +
		"MKD x 550/RMD d 550/RNFR a 550/RNTO b 550/@data/SIZE a 550/TYPE I 200/SIZE a 213/MDTM a 213/MLST a 250"},
	{"auth: REIN", "@joe/CWD d 250/REIN 220/PWD 530/USER joe 331/PASS secret 230/SIZE d/f 550"},
	{"auth: ACCT is not needed", "ACCT x 202/ACCT 501"},
	// Commands that have nothing to do with files.
	{"dummy: what each may have", "@joe/NOOP x 501/SYST x 501/FEAT x 501/QUIT x 501/PWD x 501/CDUP x 501/" +
		"PASV x 501/ABOR x 501/" +
		"CWD 501/MKD 501/RMD 501/DELE 501/RNFR 501/RNTO 501/RETR 501/STOR 501/APPE 501/SIZE 501/MDTM 501/TYPE 501/MODE 501/" +
		"STRU 501/REST 501/ALLO 501/PORT 501/EPRT 501/OPTS 501/SITE 501"},
	{"dummy: names in any case", "uSeR joe 331/pass secret 230/pwd 257/tYpE i 200/noop 200/quit 221"},
	{"dummy: none of these", "@joe/FOO 500/X 500/ 500/12 500/NOOPNOOPNOOP 500/SMNT x 502/MAIL x 500"},
	{"dummy: TYPE", "@joe/TYPE A 200/TYPE a n 200/TYPE I 200/TYPE L 8 200/TYPE L8 501/TYPE E 504/TYPE A T 504/" +
		"TYPE A C 504/" +
		"TYPE L 7 501/TYPE X 501"},
	{"dummy: MODE and STRU", "@joe/MODE S 200/mode s 200/MODE B 504/MODE C 504/MODE X 501/STRU F 200/STRU R 504/" +
		"STRU P 504/" +
		"STRU X 501"},
	{"dummy: ALLO", "@joe/ALLO 10 202/ALLO 10 R 5 202/ALLO x 501/ALLO -1 501/ALLO 10 R 501/ALLO 10 S 5 501"},
	{"dummy: HELP", "HELP 214/HELP RETR 214/help retr 214/HELP FOO 504"},
	{"dummy: SITE", "@joe/SITE HELP 214/SITE FOO 504"},
	{"dummy: OPTS", "@joe/OPTS UTF8 on 200/OPTS UTF8 200/OPTS UTF8 OFF 501/OPTS FOO 501/OPTS MLST 200/" +
		"OPTS MLST size;foo; 200"},
	{"dummy: LANG", "LANG 200/LANG en 200/LANG en-US 200/LANG fr 504"},
	{"dummy: what is of RFC 2228 and is not here", "ADAT x 502/MIC x 502/CONF x 502/ENC x 502/CCC 533/" +
		"AUTH TLS 502/AUTH KRB 502/" +
		"PBSZ 0 503/PROT P 503/HOST x 502"},
	{"dummy: EPRT and EPSV", "@joe/EPRT x 501/EPRT |3|x|1| 522/EPRT |1|127.0.0.1|x| 501/EPSV 1 229/EPSV 2 522/" +
		"EPSV 3 522/" +
		"EPSV x 501/EPSV 229"},
	{"dummy: EPSV ALL", "@joe/EPSV ALL 200/PORT 127,0,0,1,200,1 503/EPRT |1|127.0.0.1|50000| 503/PASV 503/" +
		"EPSV 229/EPSV ALL 200"},
	{"dummy: PORT", "@joe/PORT 127,0,0,1,200 501/PORT x 501/PORT 127,0,0,1,256,1 501/PORT 127,0,0,1,200,1 200"},
	{"dummy: PASV again and again", "@joe/PASV 227/PASV 227/EPSV 229/PASV 227/ABOR 226/LIST 425"},
	{"dummy: STAT", "@joe/STAT 211/STAT / 212/STAT a 213/STAT nope 550"},
	{"dummy: QUIT", "QUIT 221"},
	// Files and folders.
	{"files: CWD and PWD", "@joe/CWD d 250/PWD 257/CWD .. 250/CWD /d 250/CWD ../../.. 250/CWD nope 550/CWD a 550/" +
		"CWD / 250/" +
		"XCWD d 250/XPWD 257/XCUP 250"},
	{"files: CDUP", "@joe/CWD d 250/CDUP 250/CDUP 250"},
	{"files: MKD and RMD", "@joe/MKD n 257/MKD n 550/MKD a 550/MKD nope/x 550/RMD n 250/RMD n 550/RMD a 550/" +
		"RMD d 550/RMD / 550/" +
		"XMKD n 257/XRMD n 250/MKD / 550"},
	{"files: DELE", "@joe/DELE a 250/DELE a 550/DELE d 550/DELE / 550"},
	{"files: RNFR and RNTO", "@joe/RNTO b 503/RNFR nope 550/RNTO b 503/RNFR a 350/RNTO b 250/RNTO c 503/" +
		"RNFR b 350/NOOP 200/" +
		"RNTO c 503/RNFR / 550/RNFR b 350/RNTO / 550/RNFR b 350/RNTO nope/x 550/RNFR d 350/RNTO e 250"},
	{"files: SIZE and MDTM", "@joe/TYPE I 200/SIZE a 213/SIZE d 550/SIZE nope 550/MDTM a 213/MDTM d 550/" +
		"MDTM nope 550/TYPE A 200/" +
		"SIZE a 550"},
	{"files: MFMT", "@joe/MFMT 501/MFMT a 501/MFMT 20170921013410 501/MFMT B017092101341A a 501/MFMT 20170921 a 501/" +
		"MFMT 20170921013410 a 213/MFMT 20170921013410 d 550/MFMT 20170921013410 nope 550/" +
		"MFMT 20170921013410 /../a 213/USER reader 331/PASS secret 230/MFMT 20170921013410 a 550"},
	{"files: MLST", "@joe/MLST 250/MLST a 250/MLST d 250/MLST nope 550"},
	{"files: a path that is too long", "@joe/CWD " + strings.Repeat("x", 1100) + " 553/CWD " + strings.Repeat("x/", 65) +
		"x 553/MKD " + strings.Repeat("x", 300) + " 550/STAT " + strings.Repeat("x", 1100) + " 553"},
	{"files: spaces belong to a name", "@joe/MKD  n 257/CWD n 550/CWD  n 250/CWD / 250/RMD  n 250"},
	// Transfers.
	{"retrieve: what is no file", "@joe/@data/RETR nope 550/@data/RETR d 550/@data/RETR / 550"},
	{"retrieve: without a data connection", "@joe/RETR a 425/LIST 425/NLST 425/MLSD 425/STOR x 425/APPE x 425/STOU 425"},
	{"retrieve: REST", "@joe/TYPE I 200/REST 1 350/REST x 501/REST -1 501/REST 1.5 501/REST  1 501/TYPE A 200/" +
		"REST 1 504/REST 0 350"},
	{"store: where there is no folder", "@joe/@data/STOR nope/x 550/@data/APPE nope/x 550/@data/STOR d 550/@data/" +
		"STOR / 550"},
	{"list: what there is not", "@joe/@data/LIST nope 550/@data/NLST nope 550/@data/MLSD nope 550/@data/" +
		"MLSD a 501/@data/LIST x[ 501"},
}

func TestDialogs(t *testing.T) {
	t.Parallel()
	for _, d := range dialogs {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &Server{})
			r.file("a", "hello")
			r.file("d/f", "x")
			c := r.talk()
			// A line ends with its code, and "/" stands between: it is in paths too, where no code is before it.
			for _, line := range splitDialog(d.lines) {
				switch line {
				case "@joe":
					c.do("USER joe", 331)
					c.do("PASS secret", 230)
				case "@data":
					c.do("EPSV", 229)
				default:
					i := strings.LastIndex(line, " ")
					var code int
					if _, err := fmt.Sscan(line[i+1:], &code); err != nil {
						t.Fatal(line)
					}
					c.do(line[:i], code)
				}
			}
		})
	}
}

func splitDialog(s string) (lines []string) {
	for part := range strings.SplitSeq(s, "/") {
		if n := len(lines); n > 0 && !strings.HasPrefix(lines[n-1], "@") && !endsInCode(lines[n-1]) {
			lines[n-1] += "/" + part
		} else {
			lines = append(lines, part)
		}
	}
	return lines
}

func endsInCode(s string) bool {
	n := len(s) - 4
	return n >= 0 && s[n] == ' ' && strings.Trim(s[n+1:], "0123456789") == ""
}

// TestTexts are replies whose text counts.
func TestTexts(t *testing.T) {
	r := newRig(t, &Server{Greeting: "hello"})
	r.file("a", "hello")
	r.file(`d "q"/x`, "")
	at := time.Date(1998, 6, 15, 10, 0, 45, 999, time.UTC)
	if err := os.Chtimes(filepath.Join(r.dir, "a"), at, at); err != nil {
		t.Fatal(err)
	}
	c := dialTalk(t, r.addr)
	if got := c.want(220); got.Lines[0] != "hello" {
		t.Errorf("the greeting is %q", got.Lines)
	}
	c.login("joe")
	for _, row := range []struct {
		line string
		code int
		want string
	}{
		{"SIZE a", 213, "5"},
		{"MDTM a", 213, "19980615100045"},
		{"MFMT 20170921013410 a", 213, "Modify=20170921013410; /a"},
		{"MDTM a", 213, "20170921013410"},
		{"MFMT 19980615100045 a", 213, "Modify=19980615100045; /a"},
		{`CWD d "q"`, 250, `"/d ""q""" is the current folder.`},
		{"PWD", 257, `"/d ""q""" is the current folder.`},
		{"MKD n", 257, `"/d ""q""/n" is made.`},
		{"SYST", 215, "UNIX Type: L8"},
		{"OPTS MLST size;Modify;foo;", 200, "MLST OPTS size;modify;"},
		{"OPTS MLST", 200, "MLST OPTS"},
		{"EPSV 2", 522, "No such network protocol here, use (1)"},
		{"EPRT |5|x|1|", 522, "No such network protocol, use (1,2)"},
	} {
		if got := c.do(row.line, row.code); got.Lines[0] != row.want {
			t.Errorf("%s: %q, want %q", row.line, got.Lines[0], row.want)
		}
	}
	got := c.do("OPTS MLST type;size;modify;perm;", 200)
	if got.Lines[0] != "MLST OPTS type;size;modify;perm;" {
		t.Errorf("OPTS MLST: %q", got.Lines)
	}
	if got := c.do("MLST /a", 250).Lines[1]; got != " type=file;size=5;modify=19980615100045;perm=adfrw; /a" {
		t.Errorf("MLST: %q", got)
	}
	feat := c.do("FEAT", 211).Lines
	for _, want := range []string{" EPRT", " EPSV", " MDTM", " MFMT", " MLST type*;size*;modify*;perm*;", " REST STREAM",
		" SIZE", " TVFS",
		" UTF8", " LANG EN*"} {
		if !slices.Contains(feat, want) {
			t.Errorf("FEAT has no %q: %q", want, feat)
		}
	}
	for _, not := range []string{" AUTH TLS", " HOST", " PBSZ", " PROT"} {
		if slices.Contains(feat, not) {
			t.Errorf("FEAT has %q", not)
		}
	}
	c.do("OPTS MLST size;", 200)
	if feat := c.do("FEAT", 211).Lines; !slices.Contains(feat, " MLST type;size*;modify;perm;") {
		t.Errorf("FEAT behind OPTS: %q", feat)
	}
}

// TestNoTimes has files whose times can't be set.
func TestNoTimes(t *testing.T) {
	r := newRig(t, &Server{})
	r.file("a", "")
	r.user.FS = failFS{FileSystem: r.user.FS}
	c := r.in()
	c.do("MFMT 20170921013410 a", 502)
	if feat := c.do("FEAT", 211).Lines; slices.Contains(feat, " MFMT") {
		t.Errorf("FEAT: %q", feat)
	}
}

// TestSecurityCommands is RFC 2228 and 4217.
func TestSecurityCommands(t *testing.T) {
	cert, pool := newCert(t)
	r := newRig(t, &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, RequireTLS: true})
	r.file("a", "x")
	c := r.talk()
	c.do("USER joe", 530)
	c.do("PROT P", 503)
	c.do("PBSZ 0", 503)
	c.do("AUTH KERBEROS", 504)
	c.do("AUTH", 501)
	if feat := c.do("FEAT", 211).Lines; !slices.Contains(feat, " AUTH TLS") || !slices.Contains(feat, " PBSZ") ||
		!slices.Contains(feat, " PROT") {
		t.Errorf("FEAT: %q", feat)
	}
	c.do("AUTH TLS", 234)
	c.upgrade(clientTLS(&tls.Config{RootCAs: pool}))
	c.do("AUTH TLS", 503)
	c.do("PROT P", 503)
	c.do("PBSZ x", 501)
	c.do("PBSZ 4294967296", 501)
	if got := c.do("PBSZ 100", 200); got.Lines[0] != "PBSZ=0" {
		t.Errorf("PBSZ: %q", got.Lines)
	}
	for level, code := range map[string]int{"S": 536, "E": 536, "X": 504, "P": 200, "p": 200, "C": 534} {
		c.do("PROT "+level, code)
	}
	c.login("joe")
	c.do("EPSV", 229)
	c.do("STAT", 211)
	c.do("REIN", 502)
	c.do("CCC", 534)
	d := r.talk()
	d.do("AUTH TLS-C", 234)
	d.upgrade(clientTLS(&tls.Config{RootCAs: pool}))
	d.login("joe")
	d.do("EPSV", 229)
	d.do("RETR a", 521) // PROT P was not said
}

// TestHost is RFC 7151.
func TestHost(t *testing.T) {
	cert, pool := newCert(t)
	var last Login
	users := new(Accounts)
	srv := &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Hosts: func(name string) bool { return name == "ftp.example" || name == "localhost" || name == "2001:db8::1" }}
	srv.Users = usersFunc(func(l Login) (*User, error) { last = l; return users.Login(t.Context(), l) })
	r := newRig(t, srv)
	users.Add("joe", "secret", r.user)
	c := r.talk()
	if feat := c.do("FEAT", 211).Lines; !slices.Contains(feat, " HOST") {
		t.Errorf("FEAT: %q", feat)
	}
	for arg, code := range map[string]int{"ftp.example": 220, "FTP.example": 220, "other": 504, "ftp.example:21": 501,
		"[2001:db8::1]": 220, "2001:db8::1": 501, "[127.0.0.1]": 501, "127.0.0.1": 504, "a..b": 501, "-a": 501, "": 501,
		"[2001:db8::1": 501, strings.Repeat("a", 64): 501} {
		c.do("HOST "+arg, code)
	}
	c.do("HOST ftp.example", 220)
	c.do("USER joe", 331)
	c.do("HOST other", 504)
	c.do("PASS secret", 503)
	c.do("HOST ftp.example", 220)
	c.do("USER joe", 331)
	c.do("PASS secret", 230)
	c.do("HOST ftp.example", 503)
	if last.Host != "ftp.example" {
		t.Errorf("the login has %+v", last)
	}
	c.do("REIN", 220)
	c.do("USER joe", 331)
	c.do("PASS secret", 230)
	if last.Host != "" {
		t.Errorf("behind REIN the login has %+v", last)
	}
	c = r.talk()
	c.do("AUTH TLS", 234)
	c.upgrade(clientTLS(&tls.Config{RootCAs: pool}))
	c.do("HOST ftp.example", 504) // TLS was asked for localhost
	c.do("HOST localhost", 220)
	for _, name := range []string{"localhost", "nowhere.example"} {
		k, err := Dial(t.Context(), r.addr, ClientOptions{User: "joe", Password: "secret", Host: name,
			Dial: stage.DialContext})
		if (err == nil) != (name == "localhost") {
			t.Errorf("Dial with %s: %v", name, err)
		}
		if err == nil {
			k.Close()
		}
	}
}

// TestTelnet refuses options of Telnet (RFC 1123, section 4.1.2.12).
func TestTelnet(t *testing.T) {
	r := newRig(t, &Server{})
	c := r.talk()
	c.send("\xff\xfd\x01\xff\xfb\x03NOOP\r\n")
	b := make([]byte, 6)
	for i := range b {
		var err error
		if b[i], err = c.r.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	if string(b) != "\xff\xfc\x01\xff\xfe\x03" {
		t.Errorf("answered % x", b)
	}
	c.want(200)
}
