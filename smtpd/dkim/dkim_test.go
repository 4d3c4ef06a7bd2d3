package dkim_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	verifier "github.com/emersion/go-msgauth/dkim"

	"github.com/plexor-go/plexor/smtpd/dkim"
)

// rsaKey is made once, since that takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keys are an RSA and an Ed25519 key of a domain.
func keys(t testing.TB, domain string) []dkim.Key {
	t.Helper()
	return []dkim.Key{{Domain: domain, Selector: "r2026", Private: rsaKey()},
		{Domain: domain, Selector: "e2026", Private: edKey(t)}}
}

// zone looks up records of keys, as DNS would.
func zone(t testing.TB, keys ...dkim.Key) func(name string) ([]string, error) {
	t.Helper()
	records := make(map[string]string)
	for _, k := range keys {
		name, value, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		records[name] = value
	}
	return func(name string) ([]string, error) {
		if v, ok := records[name]; ok {
			return []string{v}, nil
		}
		return nil, fmt.Errorf("there is no record %s", name)
	}
}

// verify is what a receiver makes of a message: for each signature why it does not hold; nil: it does.
func verify(t testing.TB, text string, lookup func(string) ([]string, error)) (all []error) {
	t.Helper()
	vs, err := verifier.VerifyWithOptions(strings.NewReader(text), &verifier.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		all = append(all, v.Err)
	}
	return all
}

const letter = "From: =?utf-8?q?J=C3=B6rg?= <joe@Football.example.com>\r\nTo: Suzie <suzie@shopping.example.net>\r\n" +
	"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@football.example.com>\r\n" +
	"X-Own: not signed\r\n\r\nHi.\r\n\r\nWe lost the game.\r\n..\r\n"

// TestSign: what is signed is verified by the module's verifier, by both keys; what was changed on the way is not.
func TestSign(t *testing.T) {
	t.Parallel()
	ours := keys(t, "example.com")
	other := dkim.Key{Domain: "other.example", Selector: "o", Private: edKey(t)}
	s, err := dkim.New(dkim.Options{Once: []string{"Reply-To"}}, append(ours, other)...)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := s.Sign(strings.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a=rsa-sha256;", "a=ed25519-sha256;", "d=example.com;", "s=r2026;", "s=e2026;"} {
		if !strings.Contains(string(fields), want) {
			t.Errorf("there is no %s in %s", want, fields)
		}
	}
	for line := range strings.Lines(string(fields)) {
		if !strings.HasSuffix(line, "\r\n") || len(line) > 1000 {
			t.Errorf("the line %q", line)
		}
	}
	lookup := zone(t, ours...)
	for _, row := range []struct {
		name, old, new string
		holds          bool
	}{
		{"as it is", "", "", true},
		{"a field in front", "From:", "Received: from x\r\nFrom:", true},
		{"folded anew", "Is dinner", "Is\r\n  dinner", true},
		{"a field that is not signed", "not signed", "changed", true},
		{"empty lines at the end", "..\r\n", "..\r\n\r\n", true},
		{"another text", "lost", "won", false},
		{"another subject", "dinner", "lunch", false},
		{"another author", "joe@", "eve@", false},
		{"a second From", "From:", "From: eve@evil.example\r\nFrom:", false},
		{"a second From below", "X-Own:", "From: eve@evil.example\r\nX-Own:", false},
		{"a Reply-To", "X-Own:", "Reply-To: eve@evil.example\r\nX-Own:", false},
		{"a field that comes in", "X-Own:", "Cc: eve@evil.example\r\nX-Own:", true}, // it is in no Once
		{"more text", "..\r\n", "..\r\nmore\r\n", false},
	} {
		got := verify(t, string(fields)+strings.Replace(letter, row.old, row.new, 1), lookup)
		if len(got) != 2 || (got[0] == nil) != row.holds || (got[1] == nil) != row.holds {
			t.Errorf("%s: %v, want that they hold: %v", row.name, got, row.holds)
		}
	}
	if c := s.Counts(); c != (dkim.Counts{Signed: 1}) {
		t.Errorf("counted %+v", c)
	}
}

// TestWhose: which messages are signed, and which refused.
func TestWhose(t *testing.T) {
	t.Parallel()
	s, err := dkim.New(dkim.Options{Header: 4096, Fields: []string{"Subject"}, Lifetime: time.Hour},
		dkim.Key{Domain: "Example.org", Selector: "e", Private: edKey(t)},
		dkim.Key{Domain: "sub.example.org", Selector: "e", Private: edKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 5000)
	for _, row := range []struct {
		name, text string
		domain     string // of the signature; "": none
		want       error
	}{
		{"the domain", "From: a@example.ORG\r\n\r\nx\r\n", "example.org", nil},
		{"one below", "From: a@b.c.example.org\r\n\r\nx\r\n", "example.org", nil},
		{"one below that has a key", "From: a@x.sub.example.org\r\n\r\nx\r\n", "sub.example.org", nil},
		{"a name with a comma and a sign", "From: \"Me, @ home\" <\"a@b\"@example.org>\r\n\r\nx\r\n", "example.org", nil},
		{"folded", "From: me\r\n <a@example.org>\r\nSubject: x\r\n\r\nx\r\n", "example.org", nil},
		{"an unknown charset", "From: =?x-unknown?q?a?= <a@example.org>\r\n\r\n", "example.org", nil},
		{"a header alone", "From: a@example.org\r\n", "example.org", nil},
		{"another domain", "From: a@notexample.org\r\n\r\nx\r\n", "", nil},
		{"the domain above", "From: a@org\r\n\r\nx\r\n", "", nil},
		{"ours, as a name", "From: \"a@example.org\" <a@evil.example>\r\n\r\nx\r\n", "", nil},
		{"two fields", "From: a@example.org\r\nfrom : b@evil.example\r\n\r\nx\r\n", "", dkim.ErrFrom},
		{"no field", "Subject: x\r\n\r\nFrom: a@example.org\r\n", "", dkim.ErrFrom},
		{"no address", "From: nobody\r\n\r\nx\r\n", "", dkim.ErrFrom},
		{"a line that is none", "From: a@example.org\r\nhello\r\n\r\nx\r\n", "", dkim.ErrLines},
		{"it begins in the middle", " x\r\nFrom: a@example.org\r\n\r\nx\r\n", "", dkim.ErrLines},
		{"a long line", "From: a@example.org\r\nX: " + long + "\r\n\r\n", "", dkim.ErrHeader},
		{"many lines", "From: a@example.org\r\n" + strings.Repeat("X: y\r\n", 1000) + "\r\n", "", dkim.ErrHeader},
		{"a long text", "From: a@example.org\r\n\r\n" + long + "\r\n", "example.org", nil},
	} {
		fields, err := s.Sign(strings.NewReader(row.text))
		if !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
		if row.domain == "" && len(fields) > 0 {
			t.Errorf("%s: it is signed by %s", row.name, fields)
		}
		for _, want := range []string{"d=" + row.domain + ";", "h=From:From", "x="} {
			if row.domain != "" && !strings.Contains(string(fields), want) {
				t.Errorf("%s: there is no %s in %s", row.name, want, fields)
			}
		}
	}
	if c := s.Counts(); c.Signed != 8 || c.Unsigned != 3 || c.Refused != 7 {
		t.Errorf("counted %+v", c)
	}
	half := io.MultiReader(strings.NewReader("From: a@example.org\r\n\r\n"), brokenReader{})
	if _, err := s.Sign(half); err != errBroken {
		t.Errorf("a message that breaks off: %v", err)
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

// TestKeys: keys are read from the files that openssl and others write, and whatever else is refused says what to do.
func TestKeys(t *testing.T) {
	pkcs8 := func(k any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	file := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, domain, selector, text, want string }{
		{"PKCS #8, RSA", "x.example", "s", file("PRIVATE KEY", pkcs8(rsaKey())), ""},
		{"PKCS #1", "x.example", "s", file("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), ""},
		{"PKCS #8, Ed25519", "x.example", "a.b-c", file("PRIVATE KEY", pkcs8(edKey(t))), ""},
		{"a short key", "x.example", "s", file("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(shortKey(t))),
			"1024 at least"},
		{"a public key", "x.example", "s", file("PUBLIC KEY", public), "a PRIVATE KEY is needed"},
		{"another kind", "x.example", "s", file("PRIVATE KEY", pkcs8(p256)), "RSA and Ed25519 are"},
		{"a password", "x.example", "s", file("ENCRYPTED PRIVATE KEY", nil), "write it without one"},
		{"an old password", "x.example", "s", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" +
			"DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "write it without one"},
		{"damage", "x.example", "s", file("PRIVATE KEY", []byte("x")), "openssl genpkey"},
		{"no PEM", "x.example", "s", "hello", "openssl genpkey"},
		{"no domain", "", "s", file("PRIVATE KEY", pkcs8(rsaKey())), "domain"},
		{"an address", "a@x.example", "s", file("PRIVATE KEY", pkcs8(rsaKey())), "domain"},
		{"a selector that breaks out", "x.example", "s; d=evil", file("PRIVATE KEY", pkcs8(rsaKey())), "selector"},
	} {
		name := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(name, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := dkim.LoadKey(row.domain, row.selector, name)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	if _, err := dkim.LoadKey("x.example", "s", "nowhere"); !errors.Is(err, os.ErrNotExist) ||
		!strings.Contains(err.Error(), "openssl genpkey") {
		t.Errorf("no file: %v", err)
	}
}

// shortKey is an RSA key that nobody takes. Its numbers are not looked at.
func shortKey(t *testing.T) *rsa.PrivateKey {
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, 768)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestNew: what is no signer says what to do.
func TestNew(t *testing.T) {
	t.Parallel()
	k := dkim.Key{Domain: "x.example", Selector: "s", Private: edKey(t)}
	upper := dkim.Key{Domain: "X.example", Selector: "S", Private: edKey(t)}
	for _, row := range []struct {
		name string
		o    dkim.Options
		keys []dkim.Key
		want string
	}{
		{"no key", dkim.Options{}, nil, "LoadKey"},
		{"half a key", dkim.Options{}, []dkim.Key{{Domain: "x.example", Selector: "s"}}, "LoadKey"},
		{"the same selector", dkim.Options{}, []dkim.Key{k, upper}, "one of its own"},
		{"no field", dkim.Options{Fields: []string{"a:b"}}, []dkim.Key{k}, "no name of a field"},
		{"no field, again", dkim.Options{Once: []string{""}}, []dkim.Key{k}, "no name of a field"},
		{"all is well", dkim.Options{}, []dkim.Key{k}, ""},
	} {
		_, err := dkim.New(row.o, row.keys...)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}

// A failing key signs nothing, as one in a module of hardware that is gone.
type failing struct{ ed25519.PrivateKey }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errBroken }

// TestKeyFails: a key that fails is an error, and no message without its signature.
func TestKeyFails(t *testing.T) {
	t.Parallel()
	s, err := dkim.New(dkim.Options{}, dkim.Key{Domain: "example.com", Selector: "s", Private: edKey(t)},
		dkim.Key{Domain: "example.com", Selector: "t", Private: failing{edKey(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if fields, err := s.Sign(strings.NewReader(letter)); !errors.Is(err, errBroken) || fields != nil {
		t.Errorf("%q, %v", fields, err)
	}
}

// TestOpenSSL: keys that openssl makes sign, and its own reading of the key is what Record tells.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	exe, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip(err)
	}
	for kind, args := range map[string][]string{
		"rsa":     {"genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"},
		"ed25519": {"genpkey", "-algorithm", "ed25519"},
	} {
		file := filepath.Join(t.TempDir(), "key.pem")
		if out, err := exec.Command(exe, append(args, "-out", file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		k, err := dkim.LoadKey("example.com", kind, file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := dkim.New(dkim.Options{}, k)
		if err != nil {
			t.Fatal(err)
		}
		fields, err := s.Sign(strings.NewReader(letter))
		if err != nil {
			t.Fatal(err)
		}
		if got := verify(t, string(fields)+letter, zone(t, k)); len(got) != 1 || got[0] != nil {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
