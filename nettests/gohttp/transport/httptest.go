package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
)

// What is httptest's own.
var (
	NewRecorder = httptest.NewRecorder
	NewRequest  = httptest.NewRequest
)

// A Server is one of httptest whose Client has a Transport of this package.
type Server struct {
	URL         string
	Listener    net.Listener
	EnableHTTP2 bool
	TLS         *tls.Config
	Config      *http.Server

	of     *httptest.Server
	client *http.Client
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
	of := httptest.NewUnstartedServer(h)
	return &Server{Listener: of.Listener, Config: of.Config}
}

func (s *Server) start(start func(*httptest.Server), port string, tr *Transport) {
	s.of = &httptest.Server{Listener: s.Listener, Config: s.Config, EnableHTTP2: s.EnableHTTP2, TLS: s.TLS}
	start(s.of)
	s.URL, s.TLS = s.of.URL, s.of.TLS
	tr.redirect = map[string]string{"example.com:" + port: s.Listener.Addr().String()}
	s.client = &http.Client{Transport: tr}
}

// Start is as httptest's.
func (s *Server) Start() { s.start((*httptest.Server).Start, "80", &Transport{}) }

// StartTLS is as httptest's.
func (s *Server) StartTLS() {
	tr := &Transport{ForceAttemptHTTP2: s.EnableHTTP2}
	s.start((*httptest.Server).StartTLS, "443", tr)
	pool := x509.NewCertPool()
	pool.AddCert(s.of.Certificate())
	tr.TLSClientConfig = &tls.Config{RootCAs: pool}
}

// Close is as httptest's.
func (s *Server) Close() {
	DefaultTransport.(*Transport).CloseIdleConnections()
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.of.Close()
}

// CloseClientConnections is as httptest's.
func (s *Server) CloseClientConnections() { s.of.CloseClientConnections() }

// Certificate is as httptest's.
func (s *Server) Certificate() *x509.Certificate { return s.of.Certificate() }

// Client is as httptest's.
func (s *Server) Client() *http.Client { return s.client }

// LookupIPAltResolverKey is that of internal/nettrace: a request's context has a function under it that looks names up.
type LookupIPAltResolverKey struct{}

// HeaderValuesContainsToken is that of golang.org/x/net/http/httpguts.
func HeaderValuesContainsToken(values []string, token string) bool {
	for _, list := range values {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}
