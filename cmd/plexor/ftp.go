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
	"github.com/plexor-go/plexor/ftpd"
	"github.com/plexor-go/plexor/proto/ftp"
	"github.com/plexor-go/plexor/sock"
)

// ftpService is the name of the service that speaks FTP.
const ftpService = "ftp"

// ftpOptions are the options of an address of the service ftp, besides those of sockets.
var ftpOptions = []string{"root", "user", "users", "anonymous", "passive", "public", "require", "cert", "key"}

// An ftpSite is what the service ftp serves on one address.
type ftpSite struct {
	root        *os.Root
	srv         *ftp.Server
	cert        *tls.Certificate // nil: one that this makes for itself
	fingerprint string           // of that
}

// parseFTP reads the options, and opens the root.
func (t target) parseFTP() (*ftpSite, error) {
	q := t.addr.Query
	switch {
	case t.addr.Scheme != "tcp":
		return nil, fmt.Errorf("ftp is served on tcp and tls addresses")
	case t.codec != nil:
		return nil, fmt.Errorf("option frame: ftp has lines of its own")
	case !q.Has("root"):
		return nil, fmt.Errorf("option root: ftp needs it, the folder to serve")
	}
	s := &ftpSite{srv: &ftp.Server{Implicit: t.secure, Greeting: "plexor ready"}}
	if err := s.parseData(q); err != nil {
		return nil, err
	}
	if q.Has("cert") {
		key := q.Get("key")
		if key == "" {
			key = q.Get("cert")
		}
		cert, err := tls.LoadX509KeyPair(q.Get("cert"), key)
		if err != nil {
			return nil, fmt.Errorf("option cert: %w", err)
		}
		s.cert = &cert
	}
	var err error
	if s.root, err = os.OpenRoot(q.Get("root")); err != nil {
		return nil, fmt.Errorf("option root: %w", err)
	}
	if err := s.parseUsers(q); err != nil {
		return nil, err
	}
	return s, nil
}

// parseData reads what there is about TLS and data connections.
func (s *ftpSite) parseData(q url.Values) error {
	for word := range strings.SplitSeq(q.Get("require"), ",") {
		switch word {
		case "":
		case "tls":
			s.srv.RequireTLS = true
		case "resume":
			s.srv.Binding = ftp.BindRequire
		default:
			return fmt.Errorf("option require: want tls, resume, or tls,resume")
		}
	}
	if v := q.Get("passive"); v != "" {
		first, last, ok := strings.Cut(v, "-")
		a, aerr := strconv.ParseUint(first, 10, 16)
		b, berr := strconv.ParseUint(last, 10, 16)
		if !ok || aerr != nil || berr != nil || a == 0 || b < a {
			return fmt.Errorf("option passive: want a range of ports, such as 50000-50100")
		}
		s.srv.FirstPort, s.srv.LastPort = uint16(a), uint16(b)
	}
	if v := q.Get("public"); v != "" {
		a, err := netip.ParseAddr(v)
		if err != nil || !a.Is4() {
			return fmt.Errorf("option public: want an address of IPv4, which PASV tells")
		}
		s.srv.Public = a
	}
	return nil
}

// parseUsers reads who may log in: without a word about it, everybody, to read.
func (s *ftpSite) parseUsers(q url.Values) error {
	users, files := new(ftp.Accounts), ftp.Dir(s.root)
	pairs := strings.Split(q.Get("user"), ",")
	if q.Has("users") { // who can list processes does not see them there
		b, err := os.ReadFile(q.Get("users"))
		if err != nil {
			return fmt.Errorf("option users: %w", err)
		}
		pairs = append(pairs, strings.Split(string(b), "\n")...)
	}
	some := false
	for _, pair := range pairs {
		if pair = strings.TrimSuffix(pair, "\r"); pair == "" {
			continue
		}
		name, password, ok := strings.Cut(pair, ":")
		if !ok || name == "" || password == "" {
			return fmt.Errorf("options user and users: want NAME:PASSWORD, with commas between, or each on a line of the file")
		}
		users.Add(name, password, &ftp.User{Name: name, FS: files})
		some = true
	}
	switch v := q.Get("anonymous"); {
	case v == "yes", v == "" && !some:
		users.Anonymous(files)
	case v != "" && v != "no":
		return fmt.Errorf("option anonymous: want yes or no")
	case !some:
		return fmt.Errorf("option anonymous: without it, and without user, nobody may log in")
	}
	s.srv.Users = users
	return nil
}

// open serves it. TLS is there in any case: by AUTH, or from the first byte.
func (s *ftpSite) open(srv *plexor.Server, o offer) (string, error) {
	cfg := new(tls.Config)
	switch {
	case s.cert != nil:
		cfg.Certificates = []tls.Certificate{*s.cert}
	case srv.TLS != nil && srv.TLS.Config != nil: // of a master with workers
		cfg.Certificates = srv.TLS.Config.Certificates
	default:
		cert, fingerprint, err := plexor.NewSelfSigned(o.addr.Host)
		if err != nil {
			return "", err
		}
		cfg.Certificates, s.fingerprint = []tls.Certificate{cert}, fingerprint
	}
	s.srv.TLS, s.srv.Log = cfg, srv.Log
	a, err := srv.Open(o.address(), ftpd.Handler(s.srv))
	if err != nil {
		return "", err
	}
	return o.listening(a), nil
}

// address is where it listens: of tls:// too it is tcp://, for it is the session that begins TLS.
func (s *ftpSite) address(t target) string {
	a := t.addr
	a.Query = url.Values{}
	for _, key := range sock.OptionKeys() {
		if v, ok := t.addr.Query[key]; ok {
			a.Query[key] = v
		}
	}
	return a.String()
}

// close is for when nothing is served any more.
func (s *ftpSite) close() { _ = s.root.Close() } // no file of its own is open any more
