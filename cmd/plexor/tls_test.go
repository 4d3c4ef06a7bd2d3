package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keyPair writes a certificate for 127.0.0.1 and its key into a directory, and returns the certificate too.
func keyPair(t *testing.T) (certFile, keyFile string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret), cert
}

// pythonTLS is a client with Python's ssl module: 1 MiB and a close that both sides agree on.
const pythonTLS = `
import socket, ssl, sys
host, port = sys.argv[1].rsplit(":", 1)
context = ssl.create_default_context(cafile=sys.argv[2])
sent = bytes(range(256)) * 256
with socket.create_connection((host, int(port)), timeout=60) as raw:
    with context.wrap_socket(raw, server_hostname=host) as s:
        for _ in range(16): # in turn: its ssl sockets are not for two threads at once
            s.sendall(sent)
            got = bytearray()
            while len(got) < len(sent):
                piece = s.recv(65536)
                assert piece, len(got)
                got += piece
            assert got == sent
        s.unwrap()
print("good")
`

func TestServeTLS(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		certFile, keyFile, cert := keyPair(t)
		pair := "?cert=" + certFile + "&key=" + keyFile
		s := serve(t, 4, command("serve", "--driver="+driver, "echo=tls://127.0.0.1:0"+pair, "upper=tls://127.0.0.1:0"+pair,
			"echo=tls://127.0.0.1:0", "upper=tls://127.0.0.1:0?frame=line"))
		for i, line := range s.says(`(?m)^listening .*$`) {
			if strings.Contains(line, "fingerprint=") != (i >= 2) || !strings.Contains(line, " tls://127.0.0.1:") {
				t.Errorf("a line of the log is %q: a fingerprint is for the pairs that were made at start", line)
			}
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		for _, row := range []struct {
			name       string
			service    int
			send, want string
			config     *tls.Config
		}{
			{"echo", 0, "hello", "hello", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}},
			{"upper", 1, "hello", "HELLO_SB", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}},
			{"TLS 1.2", 0, "hello", "hello", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12}},
			{"self-signed", 2, "hello", "hello", &tls.Config{InsecureSkipVerify: true}},
			{"messages", 3, "one\ntwo\n", "ONE_SB\nTWO_SB\n", &tls.Config{InsecureSkipVerify: true}},
		} {
			t.Run(row.name, func(t *testing.T) {
				c := tls.Client(dial(t, "tcp", s.host(row.service)), row.config)
				if _, err := io.WriteString(c, row.send); err != nil {
					t.Fatal(err)
				}
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got := readAll(t, c); got != row.want {
					t.Errorf("got %q, want %q", got, row.want)
				}
				sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].Raw)
				if print := strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"); row.service >= 2 && print != s.fingerprint() {
					t.Errorf("the certificate's fingerprint is %s, and the log says %s", print, s.fingerprint())
				}
			})
		}
		t.Run("python", func(t *testing.T) {
			if got := script(t, pythonTLS, tool(t, "python3"), "-", s.host(0), certFile); got != "good\n" {
				t.Errorf("it printed %q", got)
			}
		})
		t.Run("openssl", func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), tool(t, "openssl"), "s_client", "-quiet", "-no_ign_eof",
				"-verify_return_error", "-CAfile", certFile, "-connect", s.host(0))
			var stderr strings.Builder
			cmd.Stderr = &stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(in, "hello\n")
			got := make([]byte, len("hello\n"))
			_, err = io.ReadFull(out, got)
			in.Close() // it leaves at the end of its input, answered or not
			if err := errors.Join(err, cmd.Wait()); err != nil || string(got) != "hello\n" {
				t.Errorf("openssl printed %q, %v; want what it sent\n%s", got, err, stderr.String())
			}
		})
	})
}

// TestServeTLSUsage: what is wrong with an address of tls is said before anything listens.
func TestServeTLSUsage(t *testing.T) {
	certFile, keyFile, _ := keyPair(t)
	for _, row := range []struct {
		name, address string
		code          int
		want          string
	}{
		{"no such file", "tls://127.0.0.1:0?cert=/nowhere/cert.pem&key=" + keyFile, 1, `/nowhere/cert\.pem: no such file`},
		{"no key", "tls://127.0.0.1:0?cert=" + certFile, 1, `cert\.pem.*key`},
		{"key without cert", "tls://127.0.0.1:0?key=" + keyFile, 2, `option key`},
		{"two certificates", "tls://127.0.0.1:0?cert=a&cert=b", 2, `cert`},
		{"a fingerprint", "tls://127.0.0.1:0?fingerprint=AB", 2, `unknown option "fingerprint"`},
		{"tcp has none", "tcp://127.0.0.1:0?cert=" + certFile, 2, `unknown option "cert"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, _, stderr := result("serve", "echo="+row.address)
			ends(t, row.code, row.want, code, stderr)
		})
	}
}
