package main

import (
	"net"
	"strings"
	"testing"
)

// Over udp each line of the input is a datagram, and what comes back is printed as it is; it ends when nothing more
// comes. That nobody is there is an error.
func TestDialPackets(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		s := serve(t, 1, command("serve", "--driver="+driver, "upper=udp://127.0.0.1:0"))
		code, stdout, stderr := dialled(t, "one\n\ntwo", "--driver="+driver, s.addrs[0])
		ends(t, 0, "", code, stderr)
		if want := "ONE\n_SB\n_SBTWO_SB"; stdout != want {
			t.Errorf("it printed %q, want %q", stdout, want)
		}
		code, _, stderr = dialled(t, strings.Repeat("x", mostDatagram+2), "--driver="+driver, s.addrs[0])
		ends(t, 1, "line 1 of standard input: it is longer than the 65507 bytes of a datagram", code, stderr)

		nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := nobody.LocalAddr().String()
		nobody.Close()
		code, _, stderr = dialled(t, "anybody?", "--driver="+driver, "udp://"+addr)
		ends(t, 1, "udp://"+addr+": .*refused", code, stderr)
	})
}

// Without a fingerprint a server's own certificate is trusted by --insecure alone, as bench does it; one that is
// another than the fingerprint says is no mistake of the command line.
func TestDialInsecure(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "echo=tls://127.0.0.1:0"))
	code, stdout, stderr := dialled(t, "hello", "--insecure", s.addrs[0])
	ends(t, 0, "", code, stderr)
	if stdout != "hello" {
		t.Errorf("it printed %q", stdout)
	}
	for _, row := range []struct{ address, want string }{
		{s.addrs[0], "certificate"},
		{s.addrs[0] + "?fingerprint=" + strings.Repeat("ab", 32), "not the one that was asked for"},
	} {
		code, _, stderr = dialled(t, "hello", row.address)
		for n := 0; n < 5 && strings.Contains(stderr, "connection reset"); n++ { // the server did not wait for a busy machine
			code, _, stderr = dialled(t, "hello", row.address)
		}
		ends(t, 1, row.want, code, stderr)
	}
}
