package tlsrecord

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
)

// TestMeter: at each byte of two records it is known whether one has begun, and how much of it must be held, however
// they are cut.
func TestMeter(t *testing.T) {
	records := append([]byte{23, 3, 3, 1, 2}, make([]byte, 0x102)...)
	records = append(records, 23, 3, 3, 0, 0) // an empty one
	first := header + 0x102
	for _, cut := range []int{1, 2, 3, 7, 300} {
		t.Run(strconv.Itoa(cut), func(t *testing.T) {
			var m Meter
			for at := 0; at < len(records); {
				n := min(cut, len(records)-at)
				m.Pass(records[at : at+n])
				at += n
				want := 0 // at the end of a record
				switch {
				case at < header:
					want = at
				case at < first:
					want = first
				case at < first+header:
					want = at - first
				}
				if m.Partial() != want || m.Inside() != (want > 0) {
					t.Errorf("behind %d bytes: Partial %d, Inside %v, want %d, %v", at, m.Partial(), m.Inside(), want, want > 0)
				}
			}
		})
	}
}

func TestBeginsHandshake(t *testing.T) {
	for text, want := range map[string]bool{"\x16": true, "\x16\x03": true, "\x16\x03\x01\x02": true, "\x16\x02": false,
		"\x15\x03": false, "G": false} {
		if got := BeginsHandshake([]byte(text)); got != want {
			t.Errorf("BeginsHandshake(%q) = %v, want %v", text, got, want)
		}
	}
}

// TestPeers: what a tls.Conn says of peers that speak something else, or send an alert, is understood.
func TestPeers(t *testing.T) {
	for _, row := range []struct {
		name, sent string
		http       bool
		alert      tls.AlertError // 0: none
	}{
		{"HTTP/1", "GET / HTTP/1.1\r\n\r\n", true, 0},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", true, 0},
		{"SSH", "SSH-2.0-OpenSSH\r\n", false, 0},
		{"unknown authority", "\x15\x03\x01\x00\x02\x02\x30", false, 48},
		{"a certificate is wanted", "\x15\x03\x01\x00\x02\x02\x74", false, CertificateRequired},
	} {
		t.Run(row.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = theirs.Write([]byte(row.sent)) // who has read enough closes
			}()
			c := tls.Server(ours, new(tls.Config))
			err := c.Handshake()
			_ = ours.Close()
			_ = theirs.Close()
			if err == nil {
				t.Fatal("the handshake succeeded")
			}
			if got := IsHTTP(err); got != row.http {
				t.Errorf("IsHTTP(%v) = %v, want %v", err, got, row.http)
			}
			if a, ok := RemoteAlert(err); ok != (row.alert != 0) || ok && a != row.alert {
				t.Errorf("RemoteAlert(%v) = %d, %v, want %d", err, a, ok, row.alert)
			}
			if Distrust(row.alert) != (row.alert == 48) {
				t.Errorf("Distrust(%d) = %v", row.alert, Distrust(row.alert))
			}
		})
	}
	if _, ok := RemoteAlert(errors.New("remote error")); ok {
		t.Error("an error of nobody is taken for an alert")
	}
	if _, body, _ := strings.Cut(HTTPRefusal, "\r\n\r\n"); !strings.Contains(HTTPRefusal,
		"Content-Length: "+strconv.Itoa(len(body))) {
		t.Errorf("the refusal has %d bytes behind its head, and says something else: %q", len(body), HTTPRefusal)
	}
}
