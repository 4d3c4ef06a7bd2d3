package load

import "testing"

// Addresses are printed as people write them.
func TestReadable(t *testing.T) {
	for address, want := range map[string]string{
		"unix:///tmp/a%20b%C3%A9":               "unix:///tmp/a bé",
		"unix://@name%20x":                      "unix://@name x",
		"udp://[fe80::1%25eth0.5]:9":            "udp://[fe80::1%eth0.5]:9",
		"tcp://127.0.0.1:9000?nodelay=no":       "tcp://127.0.0.1:9000?nodelay=no",
		"tls://localhost:1?fingerprint=AB:CD":   "tls://localhost:1?fingerprint=AB:CD",
		"tls://localhost:1?fingerprint=AB%3ACD": "tls://localhost:1?fingerprint=AB:CD",
		"no address":                            "no address",
	} {
		if got := readable(address); got != want {
			t.Errorf("%s is printed as %s, want %s", address, got, want)
		}
	}
}
