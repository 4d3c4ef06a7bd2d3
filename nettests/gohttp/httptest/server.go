// Package httptest stands in the place of net/http/httptest when Go's own tests of net/http are run (package gohttp):
// its Server is served by package web or proto/http1. What makes no connections is httptest's own.
package httptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// What needs no server.
var (
	NewRecorder = httptest.NewRecorder
	NewRequest  = httptest.NewRequest
)

// ResponseRecorder is httptest's.
type ResponseRecorder = httptest.ResponseRecorder

// Server is as httptest's.
type Server struct {
	URL         string
	Listener    net.Listener
	EnableHTTP2 bool
	TLS         *tls.Config
	Config      *HTTPServer

	certificate *x509.Certificate
	client      *http.Client
	closed      sync.Once
	served      chan struct{}
}

// NewServer is as httptest's.
func NewServer(h http.Handler) *Server {
	s := NewUnstartedServer(h)
	s.Start()
	return s
}

// NewTLSServer is as httptest's.
func NewTLSServer(h http.Handler) *Server {
	s := NewUnstartedServer(h)
	s.StartTLS()
	return s
}

// NewUnstartedServer is as httptest's.
func NewUnstartedServer(h http.Handler) *Server {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return &Server{Listener: ln, Config: &HTTPServer{Handler: h}}
}

// Start is as httptest's.
func (s *Server) Start() {
	tr := &http.Transport{}
	tr.DialContext = s.dial(tr, ":80")
	s.client = &http.Client{Transport: tr}
	s.URL = "http://" + s.Listener.Addr().String()
	s.serve(nil)
}

func (s *Server) dial(tr *http.Transport, port string) func(context.Context, string, string) (net.Conn, error) {
	var dialer net.Dialer
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if tr.Dial != nil {
			return tr.Dial(network, addr)
		}
		if addr == "example.com"+port || strings.HasSuffix(addr, ".example.com"+port) {
			addr = s.Listener.Addr().String()
		}
		return dialer.DialContext(ctx, network, addr)
	}
}

// StartTLS is as httptest's.
func (s *Server) StartTLS() {
	if s.client == nil {
		s.client = &http.Client{}
	}
	if s.TLS == nil {
		s.TLS = new(tls.Config)
	} else {
		s.TLS = s.TLS.Clone()
	}
	if s.TLS.NextProtos == nil {
		s.TLS.NextProtos = []string{"http/1.1"}
		if s.EnableHTTP2 {
			s.TLS.NextProtos = []string{"h2"}
		}
	}
	if len(s.TLS.Certificates) == 0 {
		s.TLS.Certificates = []tls.Certificate{localhost}
	}
	var err error
	if s.certificate, err = x509.ParseCertificate(s.TLS.Certificates[0].Certificate[0]); err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.certificate)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: s.EnableHTTP2}
	tr.DialContext = s.dial(tr, ":443")
	s.client.Transport = tr
	s.URL = "https://" + s.Listener.Addr().String()
	s.serve(s.TLS)
}

func (s *Server) serve(config *tls.Config) {
	s.served = make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.Config.serve(s.Listener, config, ready)
	}()
	<-ready
}

// Close is as httptest's: it waits for the requests under way.
func (s *Server) Close() {
	s.closed.Do(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		if t, ok := s.client.Transport.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
		_ = s.Config.Shutdown(context.Background())
		<-s.served
	})
}

// Certificate is as httptest's.
func (s *Server) Certificate() *x509.Certificate { return s.certificate }

// Client is as httptest's.
func (s *Server) Client() *http.Client { return s.client }

// localhost is httptest's certificate.
var localhost = func() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
}()

// LocalhostCert and LocalhostKey are those of net/http/internal/testcert.
var (
	LocalhostCert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: localhost.Certificate[0]})
	LocalhostKey  = func() []byte {
		b, err := x509.MarshalPKCS8PrivateKey(localhost.PrivateKey)
		if err != nil {
			panic(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
	}()
)
