package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/ftp"
)

// ftpSchemes are those of FTP, with their ports, and what of a connection is TLS.
var ftpSchemes = map[string]struct {
	port     string
	security ftp.Security
}{"ftp": {"21", ftp.PlainText}, "ftps": {"990", ftp.Implicit}, "ftpes": {"21", ftp.Explicit}}

// parseFTP reads an address of FTP. What is of HTTP alone is refused with it.
func (r *getRun) parseFTP(u *url.URL) (*getFetch, error) {
	g := r.cmd
	if len(g.Header) > 0 || g.Body != nil || g.Method != "GET" {
		return nil, errors.New("-H, -X and --body are for HTTP")
	}
	if strings.ContainsAny(u.Path, "\r\n\x00") {
		return nil, errors.New("a line end in a name")
	}
	return &getFetch{URL: u.Redacted(), ftp: u}, nil
}

// fetchFTP fetches a file, or the list of a folder if the path ends with a slash. It is done on a goroutine: files
// block.
func (r *getRun) fetchFTP(ctx context.Context, f *getFetch) error {
	name := ""
	if r.root != nil {
		name = r.name(f.URL)
	}
	_, err := coro.Await(ctx, func() (struct{}, error) { return struct{}{}, r.getFTP(ctx, f, name) })
	if err == nil {
		f.Status, f.Proto, f.File = 226, "FTP", name
	}
	return err
}

func (r *getRun) getFTP(ctx context.Context, f *getFetch, name string) (err error) {
	var to io.Writer = io.Discard
	switch {
	case r.cmd.Out == "-":
		to = r.c.out
	case name != "":
		file, oerr := r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if oerr != nil {
			return fmt.Errorf("--out: %w", oerr)
		}
		defer func() {
			if cerr := file.Close(); err == nil && cerr != nil {
				err = fmt.Errorf("--out: %w", cerr)
			}
			if err != nil {
				_ = r.root.Remove(name) // it is not whole
			}
		}()
		to = file
	}
	u, s := f.ftp, ftpSchemes[f.ftp.Scheme]
	o := ftp.ClientOptions{Security: s.security, TLS: &tls.Config{InsecureSkipVerify: r.cmd.Insecure}}
	if u.User != nil {
		o.User = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	port := u.Port()
	if port == "" {
		port = s.port
	}
	f.turn(phaseConnect)
	c, err := ftp.Dial(ctx, net.JoinHostPort(u.Hostname(), port), o)
	if err != nil {
		return err
	}
	defer c.Close()
	f.turn(phaseWait)
	w := &mostWriter{f: f, w: to, left: r.cmd.MostBody}
	path := strings.TrimPrefix(u.Path, "/") // from the folder after the login (RFC 1738, section 3.2.2)
	if path == "" || strings.HasSuffix(path, "/") {
		return listFTP(ctx, c, path, w)
	}
	_, err = c.Retr(ctx, path, 0, w)
	return err
}

// listFTP writes the names of a folder, those of folders with a slash behind.
func listFTP(ctx context.Context, c *ftp.Client, path string, w io.Writer) error {
	for e, err := range c.Entries(ctx, path) {
		if err != nil {
			return err
		}
		slash := ""
		if e.Dir {
			slash = "/"
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", e.Name, slash); err != nil {
			return err
		}
	}
	return nil
}

// A mostWriter bounds what comes, and counts it.
type mostWriter struct {
	f    *getFetch
	w    io.Writer
	left int64
}

func (m *mostWriter) Write(p []byte) (int, error) {
	if m.f.Bytes == 0 {
		m.f.turn(phaseBody)
	}
	if m.left -= int64(len(p)); m.left < 0 {
		return 0, errors.New("it is longer than --most-body")
	}
	n, err := m.w.Write(p)
	m.f.Bytes += int64(n)
	return n, err
}
