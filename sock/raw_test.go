//go:build linux && !386 && !s390x

package sock

import (
	"testing"

	"golang.org/x/sys/unix"
)

const rawCalls = true

// SendV's pool holds on to no caller's bytes.
func TestSendVForgets(t *testing.T) {
	a, _ := pair(t)
	pieces := make([][]byte, 2*fewPieces)
	for i := range pieces {
		pieces[i] = make([]byte, 1)
	}
	for range 10 { // the pool may give another array than the one just used
		if _, err := a.SendV(pieces); err != nil {
			t.Fatal(err)
		}
		many := manyVectors.Get().(*[MaxPieces]unix.Iovec)
		for i, v := range many {
			if v.Base != nil {
				t.Fatalf("iovec %d still points to %d bytes", i, v.Len)
			}
		}
		manyVectors.Put(many)
	}
}

// A batch holds on to none either.
func TestBatchForgets(t *testing.T) {
	a, _ := listen(t, "udp://127.0.0.1:0")
	at, err := a.LocalAddrPort()
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(4)
	for name, call := range map[string]func() (int, error){
		"Send":         func() (int, error) { return b.Send(a, []Datagram{{Data: make([]byte, 1), Peer: at}}) },
		"Recv":         func() (int, error) { return b.Recv(a, []Datagram{{Data: make([]byte, 1)}}) },
		"failing Send": func() (int, error) { return b.Send(a, []Datagram{{Data: make([]byte, 70000), Peer: at}}) },
		"failing Recv": func() (int, error) { return b.Recv(None, []Datagram{{Data: make([]byte, 1)}}) },
	} {
		call() // with or without an error, and with or without a datagram there
		for i, v := range b.sys.vectors {
			if v.Base != nil {
				t.Errorf("%s: iovec %d still points to %d bytes", name, i, v.Len)
			}
		}
	}
}
