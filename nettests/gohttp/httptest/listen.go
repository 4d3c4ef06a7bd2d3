package httptest

import (
	"crypto/tls"
	"net"
	"net/http"
)

// ListenAndServe is as http.ListenAndServe.
func ListenAndServe(addr string, h http.Handler) error {
	return (&HTTPServer{Addr: addr, Handler: h}).ListenAndServe()
}

// ListenAndServe is as http.Server's.
func (s *HTTPServer) ListenAndServe() error {
	ln, err := s.listen(":http")
	if err != nil {
		return err
	}
	return s.serve(ln, nil, make(chan struct{}))
}

// ListenAndServeTLS is as http.Server's, with a certificate from files.
func (s *HTTPServer) ListenAndServeTLS(certFile, keyFile string) error {
	ln, err := s.listen(":https")
	if err != nil {
		return err
	}
	config := s.TLSConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		_ = ln.Close()
		return err
	}
	config.Certificates = append(config.Certificates, pair)
	return s.serve(ln, config, make(chan struct{}))
}

func (s *HTTPServer) listen(usual string) (net.Listener, error) {
	if s.isClosed() {
		return nil, http.ErrServerClosed
	}
	addr := s.Addr
	if addr == "" {
		addr = usual
	}
	return net.Listen("tcp", addr)
}
