package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/plexor-go/plexor/internal/layer"
)

// A Security says how [Dial] uses TLS.
type Security uint8

// The kinds of Security.
const (
	// NeedStartTLS begins TLS by STARTTLS, and fails if the server does not offer it: for submission (port 587).
	NeedStartTLS Security = iota
	// ImplicitTLS begins with TLS (RFC 8314, port 465).
	ImplicitTLS
	// MayStartTLS begins TLS if the server offers it, and does not ask whose certificate that has, unless there is a
	// Config that says otherwise: for mail between servers (port 25), which keeps off those who only listen.
	MayStartTLS
	// NoTLS goes on in plain text.
	NoTLS
)

// DialOptions are the choices of [Dial].
type DialOptions struct {
	ClientOptions
	Security Security
	// TLS is for the handshake (nil: the defaults of crypto/tls). A ServerName that is empty becomes the address's host.
	TLS *tls.Config
	// Auth, if set, logs in.
	Auth Credential
	// Dial connects (default: a net.Dialer's DialContext).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to a server by TCP, makes TLS, logs in, and returns a Client that is ready to send. addr is host:port.
func Dial(ctx context.Context, addr string, o DialOptions) (*Client, error) {
	if ctx == nil {
		return nil, errNoContext
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	cfg := new(tls.Config)
	switch {
	case o.TLS != nil:
		cfg = o.TLS.Clone()
	case o.Security == MayStartTLS:
		cfg.InsecureSkipVerify = true
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if o.Security == ImplicitTLS {
		if nc, err = implicitTLS(ctx, nc, cfg); err != nil {
			return nil, err
		}
	}
	c, err := NewClient(ctx, nc, o.ClientOptions)
	if err != nil {
		return nil, err
	}
	if o.Security == NeedStartTLS || o.Security == MayStartTLS {
		err = c.StartTLS(ctx, cfg)
		if o.Security == MayStartTLS && errors.Is(err, ErrNotOffered) {
			err = nil
		}
	}
	if err == nil && o.Auth != nil {
		err = c.Auth(ctx, o.Auth)
	}
	if err != nil {
		_ = c.Close() // err is the one to tell
		return nil, err
	}
	return c, nil
}

// implicitTLS makes the handshake of a connection that begins with it.
func implicitTLS(ctx context.Context, nc net.Conn, cfg *tls.Config) (net.Conn, error) {
	if t, ok := nc.(startTLSer); ok {
		if err := layer.Handshake(t.StartTLS(cfg)); err != nil {
			_ = nc.Close() // err is the one to tell
			return nil, err
		}
		return nc, nil
	}
	t := tls.Client(nc, cfg)
	ctx, cancel := context.WithTimeout(ctx, defaultClientTLSTime)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // err is the one to tell
		return nil, err
	}
	return t, nil
}
