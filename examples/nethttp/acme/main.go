// Command acme serves HTTPS with certificates that it gets by itself from an authority that speaks ACME (RFC 8555),
// such as Let's Encrypt, by golang.org/x/crypto/acme/autocert. The authority has to reach it on port 443 under the
// name:
//
//	go run ./acme -cache /var/lib/acme -listen tls://0.0.0.0:443 www.example.org
//
// Names that were not given are refused, so that nobody makes it ask for others. What it has got is kept in the folder.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/web"
)

func main() {
	cache := flag.String("cache", "", "folder for keys and certificates")
	listen := flag.String("listen", "tls://127.0.0.1:8443", "address")
	flag.Parse()
	if *cache == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: acme -cache FOLDER [-listen ADDRESS] NAME...")
		os.Exit(2)
	}
	srv := serve(&autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(*cache),
		HostPolicy: autocert.HostWhitelist(flag.Args()...),
	})
	addr, err := srv.Open(*listen, nil)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s://%s", addr.Network(), addr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}

// serve makes the server. A handshake asks the manager for a certificate, which may take a disk or the authority: so
// that runs on a goroutine, while the loop goes on with others.
func serve(m *autocert.Manager) *plexor.Server {
	cfg := m.TLSConfig() // with the protocol by which the authority sees whose name it is (RFC 8737)
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return coro.Await(hello.Context(), func() (*tls.Certificate, error) { return m.GetCertificate(hello) })
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello by %s on %s\n", r.Proto, r.TLS.ServerName)
	})
	return &plexor.Server{TLS: &plexor.TLS{Config: cfg}, Handler: web.Handler(web.Inline(hello), web.Options{})}
}
