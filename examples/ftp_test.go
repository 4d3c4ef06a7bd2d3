package examples

import (
	"strings"
	"testing"

	"github.com/plexor-go/plexor/proto/ftp"
)

// TestFTP: who has logged in stores, and everybody reads.
func TestFTP(t *testing.T) {
	addr := start(t, "ftp", "tcp://127.0.0.1:0")
	ctx := t.Context()
	you, err := ftp.Dial(ctx, addr, ftp.ClientOptions{User: "you", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer you.Close()
	if _, err := you.Stor(ctx, "a.txt", 0, strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	all, err := ftp.Dial(ctx, addr, ftp.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	var b strings.Builder
	if _, err := all.Retr(ctx, "a.txt", 0, &b); err != nil || b.String() != "hello" {
		t.Errorf("Retr: %q, %v", b.String(), err)
	}
	if err := all.Remove(ctx, "a.txt"); err == nil {
		t.Error("everybody may remove")
	}
}
