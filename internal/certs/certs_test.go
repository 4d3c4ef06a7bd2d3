package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCertReadAgain: a renewed certificate that could not be read is read when it can be, though no file has changed
// since; the log is told once for each reason.
func TestCertReadAgain(t *testing.T) {
	dir := t.TempDir()
	pair := Pair{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	for _, file := range []string{pair.CertFile, pair.KeyFile} {
		if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err := SelfSigned(time.Now(), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var log bytes.Buffer
	s := &Store{files: []Pair{pair}, seen: make([]pairState, 1), o: Options{
		Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}}
	cert := first
	var fails error
	s.load = func(string, string) (tls.Certificate, error) { return cert, fails }
	s.certs.Store(&[]*tls.Certificate{&first})
	look := func() *tls.Certificate {
		s.look()
		return (*s.certs.Load())[0]
	}
	look()
	second := first
	second.OCSPStaple = []byte("second")
	cert = second
	if look().OCSPStaple != nil {
		t.Fatal("files that have not changed were read again")
	}
	if err := os.WriteFile(pair.CertFile, []byte("renewed"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EMFILE} {
		fails = &fs.PathError{Op: "open", Path: pair.CertFile, Err: errno}
		for range 3 {
			if look().OCSPStaple != nil {
				t.Fatalf("it was taken though it can't be read: %v", errno)
			}
		}
	}
	if n := strings.Count(log.String(), "refused"); n != 2 {
		t.Errorf("the log tells %d times of two reasons:\n%s", n, log.String())
	}
	fails = nil
	if look().OCSPStaple == nil {
		t.Error("it is not read, now that it can be")
	}
	// What is wrong with the content stays wrong until the files change, which chmod does too.
	fails = errors.New("tls: private key does not match public key")
	if err := os.WriteFile(pair.CertFile, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	look()
	third := second
	third.OCSPStaple = []byte("third")
	cert, fails = third, nil
	if string(look().OCSPStaple) != "second" {
		t.Error("a pair that did not fit was read again, though nothing has changed")
	}
	if err := os.Chmod(pair.CertFile, 0o640); err != nil {
		t.Fatal(err)
	}
	if string(look().OCSPStaple) != "third" {
		t.Error("a change of the permissions is not seen")
	}
}
