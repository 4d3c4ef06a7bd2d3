package tlsrecord

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
)

// handshake is the first byte of a TLS record of a handshake, and the next the major version (RFC 8446 section 5.1).
const handshake, major = 0x16, 0x03

// BeginsHandshake reports whether p, which is not empty, may be how a peer begins a handshake.
func BeginsHandshake(p []byte) bool { return p[0] == handshake && (len(p) == 1 || p[1] == major) }

// RemoteAlert is the alert that the peer sent, if that is what err is about. Package crypto/tls tells of it with a type
// of its own, of which only the text is known.
func RemoteAlert(err error) (tls.AlertError, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return 0, false
	}
	for a := range tls.AlertError(255) {
		if op.Err.Error() == a.Error() {
			return a, true
		}
	}
	return 0, false
}

// distrust are the alerts by which a peer says that it does not trust a certificate (RFC 8446 section 6.2):
// bad_certificate, unsupported_certificate, certificate_revoked, certificate_expired, certificate_unknown, unknown_ca.
var distrust = []tls.AlertError{42, 43, 44, 45, 46, 48}

// Distrust reports whether a is one by which a peer says that it does not trust a certificate.
func Distrust(a tls.AlertError) bool { return slices.Contains(distrust, a) }

// CertificateRequired is certificate_required (RFC 8446 section 6.2).
const CertificateRequired tls.AlertError = 116

// httpMethods are how the first record of a client begins that speaks HTTP, as far as a record header goes.
var httpMethods = []string{"GET /", "HEAD ", "POST ", "PUT /", "PATCH", "OPTIO", "DELET", "CONNE", "TRACE", "PRI *"}

// IsHTTP reports whether err is that of a handshake with a client that speaks plain HTTP.
func IsHTTP(err error) bool {
	header, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok && slices.Contains(httpMethods, string(header.RecordHeader[:]))
}

// HTTPRefusal is the answer to a client for which [IsHTTP] holds.
const HTTPRefusal = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 56\r\n\r\n" +
	"This port speaks TLS: ask again with https:// in front.\n"
