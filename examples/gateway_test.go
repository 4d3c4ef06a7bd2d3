package examples

import (
	"io"
	"net"
	"testing"

	"github.com/plexor-go/plexor/frame"
)

// TestGateway: devices log in, an operator asks for a reading and sends a command, and a device that comes again takes
// the place of its old connection.
func TestGateway(t *testing.T) {
	t.Parallel()
	address := start(t, "gateway", "tcp://127.0.0.1:0")
	codec := frame.Length{Bytes: 2, Max: 1000}
	put := func(c net.Conn, msg string) {
		t.Helper()
		b, err := codec.Append(nil, []byte(msg))
		if err == nil {
			_, err = c.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func(c net.Conn, want string) {
		t.Helper()
		b := make([]byte, 2+len(want))
		if _, err := io.ReadFull(c, b); err != nil || string(b[2:]) != want {
			t.Fatalf("got %q, %v; want %q", b, err, want)
		}
	}
	ask := func(c net.Conn, msg, want string) {
		t.Helper()
		put(c, msg)
		get(c, want)
	}
	operator, pump := dial(t, address), dial(t, address)
	ask(operator, "Loper-0", "Aoperator")
	ask(operator, "Qpump", "Nnot connected")
	ask(pump, "Ldev-1x", "Apump")
	put(pump, "K")
	put(pump, "R42.5")
	ask(operator, "Cpump faster", "Apump")
	get(pump, "Cfaster")
	// What a device sends and an operator asks go different ways: it may have to ask again.
	for reading := ""; reading != "A42.5"; {
		put(operator, "Qpump")
		b := make([]byte, 2)
		if _, err := io.ReadFull(operator, b); err != nil {
			t.Fatal(err)
		}
		b = make([]byte, int(b[0])<<8|int(b[1]))
		if _, err := io.ReadFull(operator, b); err != nil {
			t.Fatal(err)
		}
		if reading = string(b); reading != "A" && reading != "A42.5" {
			t.Fatalf("the reading is %q", reading)
		}
	}
	again := dial(t, address)
	ask(again, "Ldev-1x", "Apump")
	if n, err := pump.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the old connection: %d, %v; want its end", n, err)
	}
	ask(operator, "Cpump stop", "Apump")
	get(again, "Cstop")
	stranger := dial(t, address)
	ask(stranger, "Lwho", "Nunknown token")
	if n, err := stranger.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a stranger: %d, %v; want the end", n, err)
	}
}
