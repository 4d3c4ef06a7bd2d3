package main

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/mailcatch"
	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/smtpd"
	"github.com/plexor-go/plexor/web"
)

// smtpService is the name of the service that catches mail, and mailPage what the page of it is called where it
// listens.
const (
	smtpService = "smtp"
	mailPage    = "mail"
)

// smtpOptions are the options of an address of the service smtp, besides those of sockets. At a tls:// address cert and
// key are the engine's; at another one they are for STARTTLS.
var smtpOptions = []string{"maildir", "http", "token", "sync", "keep", "fault", "host"}

// A mailSite is what the service smtp serves on one address, and the page of it on another.
type mailSite struct {
	maildir     string
	page        *target // nil: there is none
	token       string  // "": none is asked for
	options     mailcatch.Options
	faults      mailcatch.Faults
	hosts       []string
	server      smtp.Server
	fingerprint string // of a certificate for STARTTLS that was made here
	pageAddr    string // where the page listens

	store *mailcatch.Store // when it is open
	shown *mailcatch.Page
}

// smtpOwn are the options of one address.
func smtpOwn(address string) []string {
	if strings.HasPrefix(strings.ToLower(address), "tls://") {
		return smtpOptions
	}
	return append(smtpOptions[:len(smtpOptions):len(smtpOptions)], "cert", "key")
}

// parseSMTP reads the options.
func (t target) parseSMTP() (*mailSite, error) {
	q := t.addr.Query
	s := &mailSite{maildir: q.Get("maildir")}
	switch {
	case t.addr.Scheme == "udp":
		return nil, fmt.Errorf("smtp is served on tcp, tls and unix addresses")
	case t.codec != nil:
		return nil, fmt.Errorf("option frame: smtp has lines of its own")
	case s.maildir == "":
		return nil, fmt.Errorf("option maildir: smtp needs it, the folder for the mail that it catches")
	}
	for _, parse := range []func(q url.Values) error{s.parseStore, s.parsePage, s.parseToken} {
		if err := parse(q); err != nil {
			return nil, err
		}
	}
	if q.Has("fault") {
		if err := s.faults.Set(strings.Split(q.Get("fault"), "|")); err != nil {
			return nil, fmt.Errorf("option fault: %w", err)
		}
	}
	for _, a := range []*target{&t, s.page} {
		if a != nil && !a.loopback() && s.token == "" {
			return nil, fmt.Errorf("option token: others than this machine can reach %s, so give token=FILE: a file with a "+
				"secret that the page and SMTP ask for", a.address())
		}
	}
	s.server.NeedAuth = !t.loopback()
	s.server.PlainAuth = t.loopback() // passwords go over no network
	return s, s.parseCertificate(t)
}

// parseStore reads what there is about the Maildir.
func (s *mailSite) parseStore(q url.Values) error {
	switch q.Get("sync") {
	case "", "yes":
	case "no":
		s.options.NoSync = true
	default:
		return fmt.Errorf("option sync: want yes or no")
	}
	if v := q.Get("keep"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("option keep: want how many mails are kept, from 1 on")
		}
		s.options.Limits.Messages, s.options.DropOldest = n, true
	}
	return nil
}

// parsePage reads where the page is.
func (s *mailSite) parsePage(q url.Values) error {
	if q.Has("host") {
		s.hosts = strings.Split(q.Get("host"), ",")
	}
	if !q.Has("http") {
		if len(s.hosts) > 0 {
			return fmt.Errorf("option host: it is of no use without http")
		}
		return nil
	}
	page, err := parseTarget(q.Get("http"), "cert", "key")
	switch {
	case err != nil:
		return fmt.Errorf("option http: %w", err)
	case page.addr.Scheme == "udp" || page.codec != nil:
		return fmt.Errorf("option http: the page is served on tcp, tls and unix addresses, without frames")
	}
	s.page = &page
	return nil
}

// leastToken is how long a token has to be, in bytes: nobody guesses 16.
const leastToken = 16

// parseToken reads the file of the token. It is no option itself, since whoever can list processes would see it.
func (s *mailSite) parseToken(q url.Values) error {
	if !q.Has("token") {
		return nil
	}
	b, err := os.ReadFile(q.Get("token"))
	if err != nil {
		return fmt.Errorf("option token: %w", err)
	}
	if s.token = strings.TrimSpace(string(b)); len(s.token) < leastToken {
		return fmt.Errorf("option token: the file has %d bytes, and a secret needs %d", len(s.token), leastToken)
	}
	return nil
}

// parseCertificate prepares STARTTLS, where the address is not of TLS itself.
func (s *mailSite) parseCertificate(t target) error {
	q := t.addr.Query
	if t.secure {
		return nil
	}
	var cert tls.Certificate
	var err error
	if q.Has("cert") {
		key := q.Get("key")
		if key == "" {
			key = q.Get("cert")
		}
		cert, err = tls.LoadX509KeyPair(q.Get("cert"), key)
	} else {
		cert, s.fingerprint, err = plexor.NewSelfSigned(t.addr.Host)
	}
	if err != nil {
		return fmt.Errorf("option cert: %w", err)
	}
	s.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	return nil
}

// loopback reports whether this machine alone can reach the address.
func (t target) loopback() bool {
	if t.addr.Scheme == "unix" || t.addr.Host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(t.addr.Host)
	return err == nil && ip.Unmap().IsLoopback()
}

// open opens the Maildir, the page and the service, and returns where that listens.
func (s *mailSite) open(srv *plexor.Server, o offer) (string, error) {
	var err error
	s.options.Block, s.options.Log, s.options.Behind = mailcatch.Await, srv.Log, true
	if s.store, err = mailcatch.Open(s.maildir, s.options); err != nil {
		return "", err
	}
	b := &mailcatch.Backend{Store: s.store, Faults: &s.faults, Token: s.token, Implicit: o.secure, Coroutines: true}
	s.server.Log = srv.Log
	a, err := srv.Open(o.address(), smtpd.Handler(b.ServerFor(&s.server)))
	if err != nil {
		return "", err
	}
	addr := o.listening(a)
	if s.page == nil {
		return addr, nil
	}
	_, where, _ := strings.Cut(addr, "://")
	s.shown = mailcatch.NewPage(s.store, &s.faults, mailcatch.PageOptions{
		Token: s.token, Hosts: s.hosts, SMTP: where, Log: srv.Log,
	})
	if a, err = srv.Open(s.page.address(), web.Handler(s.shown, web.Options{Log: srv.Log})); err != nil {
		return "", err
	}
	s.pageAddr = s.page.listening(a)
	return addr, nil
}

// leave is for when the server is about to drain: who waits for a mail is not waited for.
func (s *mailSite) leave() {
	if s.shown != nil {
		s.shown.Leave()
	}
}

// close is for when nothing is served any more.
func (s *mailSite) close() {
	if s.shown != nil {
		s.shown.Close()
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.options.Log.Warn("the maildir was not closed", "err", err)
		}
	}
}
