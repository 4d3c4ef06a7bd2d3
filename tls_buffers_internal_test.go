package plexor

import (
	"bytes"
	"crypto/tls"
	"testing"
	"unsafe"
)

// TestLetGo holds what letGo takes for granted of crypto/tls.
func TestLetGo(t *testing.T) {
	if !tlsFields.known {
		t.Fatal("crypto/tls has changed: read anew when the buffers of a tls.Conn may be let go, and mend tlsFields")
	}
	tc := new(tls.Conn)
	for name, at := range map[string]uintptr{"rawInput": tlsFields.rawInput, "hand": tlsFields.hand} {
		b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(tc), at))
		b.WriteString("in part")
		if letGo(tc) || b.String() != "in part" {
			t.Errorf("%s was let go with bytes in it", name)
		}
		b.Next(b.Len())
		if b.Cap() == 0 || !letGo(tc) || b.Cap() != 0 {
			t.Errorf("%s was not let go, empty", name)
		}
	}
	in := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(tc), tlsFields.input))
	in.Reset([]byte("in part"))
	if letGo(tc) || in.Len() == 0 {
		t.Error("input was let go with bytes in it")
	}
}
