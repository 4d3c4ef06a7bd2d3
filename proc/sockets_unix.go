//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// The variables of sd_listen_fds(3): how many descriptors were handed over from number 3 on, to which process, and what
// each is called.
const (
	listenPID   = "LISTEN_PID"
	listenFDs   = "LISTEN_FDS"
	listenNames = "LISTEN_FDNAMES"
	firstFD     = 3
)

// A shared socket is one that the master holds for the workers.
type shared struct {
	text  string // the address as it was given
	sock  sock.Socket
	addr  sock.Addr // what it is bound to
	file  sock.File // of a unix socket that is ours to remove; else none
	given bool      // it was handed over
}

// name is what the socket is called in LISTEN_FDNAMES: its address without options, escaped, for a name can't have a
// colon.
func (s *shared) name() string { return socketName(s.text) }

func socketName(text string) string {
	text, _, _ = strings.Cut(text, "?")
	const most = 255 // sd_listen_fds(3)
	name := url.QueryEscape(text)
	return name[:min(len(name), most)]
}

// A handed socket is one that we were given.
type handed struct {
	sock sock.Socket
	name string
	used bool
}

// takeHanded takes what a service manager or an older master handed over, and clears the variables, for they are for
// one process alone.
func takeHanded() (hs []handed, err error) {
	pid, names := os.Getenv(listenPID), os.Getenv(listenNames)
	count, set := os.LookupEnv(listenFDs)
	for _, v := range []string{listenPID, listenFDs, listenNames} {
		_ = os.Unsetenv(v) // it fails for bad names alone
	}
	if pid != strconv.Itoa(os.Getpid()) || !set { // sd_listen_fds(3)
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1<<16 {
		return nil, fmt.Errorf("proc: %s=%q: want the number of descriptors that were handed over", listenFDs, count)
	}
	// All are looked at before one is touched: what is ours is not to be closed, or made non-blocking, for a wrong number.
	for i := range n {
		if err := checkHanded(firstFD + i); err != nil {
			return nil, fmt.Errorf("proc: %s=%d, but descriptor %d %w", listenFDs, n, firstFD+i, err)
		}
	}
	named := strings.Split(names, ":")
	for i := range n {
		fd := firstFD + i
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("proc: descriptor %d of %s=%d: fcntl: %w", fd, listenFDs, n, err)
		}
		h := handed{sock: sock.Socket(fd)}
		if i < len(named) {
			h.name = named[i]
		}
		hs = append(hs, h)
	}
	return hs, nil
}

// checkHanded tells a descriptor that was handed over from one that this process has opened: the latter is closed on
// exec, as Go opens all of them, and the former can't be. In a successor they were marked when it began.
func checkHanded(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	switch {
	case err != nil:
		return errors.New("is not open: fewer were handed over")
	case mine != nil && fd < firstFD+mine.Sockets:
	case flags&unix.FD_CLOEXEC != 0:
		return errors.New("is one of this process's own: fewer were handed over")
	}
	return nil
}

// parse reads what the master needs of an address.
func parse(text string) (a sock.Addr, o sock.Options, err error) {
	const tls = "tls://"
	plain := text
	if len(text) >= len(tls) && strings.EqualFold(text[:len(tls)], tls) {
		plain = "tcp://" + text[len(tls):]
	}
	if a, err = sock.ParseAddr(plain); err != nil {
		return a, o, fmt.Errorf("proc: %w", err)
	}
	o, _, err = sock.ParseOptions(a.Query) // the rest is the workers' matter
	if err == nil {
		err = o.Check(a)
	}
	if err != nil {
		return a, o, fmt.Errorf("proc: %s: %w", text, err)
	}
	return a, o, nil
}

// bind makes the sockets for the addresses, out of those that were handed over as far as they fit. owned says which of
// those have files that are ours now, by name. An error leaves nothing behind.
func bind(addrs []string, hs []handed, owned func(name string) bool) (all []*shared, unused int, err error) {
	defer func() {
		for i := range hs {
			if !hs[i].used {
				unused++
				_ = hs[i].sock.Close() // nobody wants it
			}
		}
		if err != nil {
			for _, s := range all {
				s.end(!s.given)
			}
			all = nil
		}
	}()
	for _, text := range addrs {
		s, err := bindOne(text, hs, owned)
		if err != nil {
			return all, 0, err
		}
		all = append(all, s)
	}
	return all, 0, nil
}

// bindOne makes the socket for an address, or takes one that was handed over.
func bindOne(text string, hs []handed, owned func(name string) bool) (s *shared, err error) {
	a, o, err := parse(text)
	if err != nil {
		return nil, err
	}
	s = &shared{text: text, sock: sock.None}
	h := find(hs, a, socketName(text))
	if h == nil {
		if s.sock, err = sock.Listen(a, o); err != nil {
			return nil, fmt.Errorf("proc: %w", err)
		}
		if s.file, err = sock.FileOf(s.sock); err != nil {
			_ = s.sock.Close() // err is the one to tell
			return nil, fmt.Errorf("proc: %w", err)
		}
	} else if err := sock.CheckServes(h.sock, a.Scheme); err != nil {
		return nil, fmt.Errorf("proc: %s: what was handed over for it: %w", text, err)
	} else {
		h.used, s.given = true, true
		s.sock = h.sock
		if owned(h.name) {
			s.file, _ = sock.FileOf(s.sock) // if the file is gone, there is nothing to remove
		}
	}
	if s.addr, err = s.sock.LocalAddr(); err != nil {
		s.end(!s.given)
		return nil, fmt.Errorf("proc: %s: %w", text, err)
	}
	return s, nil
}

// find picks the socket for an address: one that has its name, else one that is bound to it.
func find(hs []handed, a sock.Addr, name string) *handed {
	for i := range hs {
		if h := &hs[i]; !h.used && h.name == name {
			return h
		}
	}
	for i := range hs {
		if h := &hs[i]; !h.used && bound(h.sock, a) {
			return h
		}
	}
	return nil
}

// bound reports whether s is bound to a. An address without a host means all of them, and a port of 0 none in
// particular.
func bound(s sock.Socket, a sock.Addr) bool {
	have, err := s.LocalAddr()
	if err != nil || have.Scheme != a.Scheme {
		return false
	}
	if a.Scheme == "unix" {
		return have.Path == a.Path
	}
	is, ok := have.AddrPort()
	if !ok || a.Port == 0 || int(is.Port()) != int(a.Port) {
		return false
	}
	if a.Host == "" {
		return is.Addr().IsUnspecified()
	}
	resolved, err := a.Resolve(context.Background())
	if err != nil {
		return false
	}
	for _, r := range resolved {
		if want, ok := r.AddrPort(); ok && want.Addr().Unmap() == is.Addr().Unmap() {
			return true
		}
	}
	return false
}

// end closes the master's descriptor; the workers have theirs. remove says that nobody else is to have the file.
func (s *shared) end(remove bool) {
	if s.sock == sock.None {
		return
	}
	if remove {
		_ = s.file.Remove() // the next one to listen there finds nobody answering, and replaces it
	}
	_ = s.sock.Close()
	s.sock = sock.None
}

// environ is the environment without what is for this process alone.
func environ(more ...string) (env []string) {
	for _, v := range os.Environ() {
		switch key, _, _ := strings.Cut(v, "="); key {
		case listenPID, listenFDs, listenNames, notifySocket, jobVariable:
		default:
			env = append(env, v)
		}
	}
	return append(env, more...)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
