package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A Key is one that signs for a domain.
type Key struct {
	Domain   string // whose zone has the record
	Selector string // which of its keys this is: so that one can be replaced by another
	// Private is an *rsa.PrivateKey of 1024 bits at least, for rsa-sha256, or an ed25519.PrivateKey, for ed25519-sha256;
	// or what signs with such a key, in a module of hardware, say. Not every receiver knows Ed25519: sign with both.
	Private crypto.Signer
}

// The length of RSA keys, in bits. Receivers take leastBits (RFC 8301, section 3.2), and up to mostBits without doubt.
const (
	leastBits = 1024
	goodBits  = 2048
)

// advice is how a key is made.
const advice = "make one by: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out FILE " +
	"(or -algorithm ed25519)"

// LoadKey reads the private key of a domain from a file: PEM, of PKCS #8 or PKCS #1, without a password.
func LoadKey(domain, selector, file string) (Key, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Key{}, fmt.Errorf("dkim: the key of %s: %w; %s", domain, err, advice)
	}
	k, err := ParseKey(domain, selector, b)
	if err != nil {
		return Key{}, fmt.Errorf("%w (in %s)", err, file)
	}
	return k, nil
}

// ParseKey is LoadKey of a file's bytes.
func ParseKey(domain, selector string, b []byte) (Key, error) {
	k := Key{Domain: domain, Selector: selector}
	block, _ := pem.Decode(b)
	if block == nil {
		return k, errors.New("dkim: that is no PEM file; " + advice)
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return k, errEncrypted
		}
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return k, errEncrypted
	default:
		return k, fmt.Errorf("dkim: the file has a %s, and a PRIVATE KEY is needed; %s", strings.ToLower(block.Type),
			advice)
	}
	if err != nil {
		return k, fmt.Errorf("dkim: the key can't be read: %w; %s", err, advice)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return k, fmt.Errorf("dkim: a key of %T does not sign; %s", private, advice)
	}
	k.Private = signer
	return k, k.check()
}

var errEncrypted = errors.New("dkim: the key has a password: write it without one, by: openssl pkey -in FILE " +
	"-out OTHER; and let nobody else read that file")

// check is what is wrong with a key.
func (k Key) check() error {
	for name, value := range map[string]string{"domain": k.Domain, "selector": k.Selector} {
		for label := range strings.SplitSeq(value, ".") {
			if !isLabel(label) {
				return fmt.Errorf("dkim: the %s %q is no name in DNS: letters, digits and hyphens, with dots between (a "+
					"name in other letters in its xn-- form)", name, value)
			}
		}
	}
	if k.Private == nil {
		return fmt.Errorf("dkim: the key %s of %s has no Private: read it by LoadKey", k.Selector, k.Domain)
	}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < leastBits {
			return fmt.Errorf("dkim: the RSA key of %s has %d bits, and receivers want %d at least, and better %d "+
				"(RFC 8301); %s", k.Domain, bits, leastBits, goodBits, advice)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("dkim: keys of %T are not for DKIM, but RSA and Ed25519 are; %s", public, advice)
	}
	return nil
}

// isLabel reports whether s is a part of a name in DNS, as selectors and domains have them.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// Record is the TXT record by which receivers find the key (RFC 6376, section 3.6.2; RFC 8463, section 4): its name,
// and its value, which a zone file wants cut into strings of 255 bytes at most.
func (k Key) Record() (name, value string, err error) {
	if err := k.check(); err != nil {
		return "", "", err
	}
	name = k.Selector + "._domainkey." + k.Domain
	if public, ok := k.Private.Public().(ed25519.PublicKey); ok {
		return name, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	}
	der, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		return "", "", fmt.Errorf("dkim: %w", err)
	}
	return name, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
}
