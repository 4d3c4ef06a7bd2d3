//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import "github.com/plexor-go/plexor/sock"

// An Activation is the sockets that a service manager handed to this process (sd_listen_fds(3)), for a program that
// serves by itself; a [Master] takes them by itself. Its Bind is what plexor.Server.Bind wants:
//
//	a, err := proc.Activated()
//	…
//	defer a.Close()
//	if a.Sockets() > 0 {
//		srv.Bind = a.Bind
//	}
//	… // srv.Open for each address
//	a.CloseUnused()
//
// Say READY=1 by [Notify] when the server listens. The methods are for one goroutine at a time.
type Activation struct {
	handed []handed
	files  []sock.File // of sockets that were made, for want of one that was handed over
}

// Activated takes what was handed over, once: it clears LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. If nothing was, or
// it is for another process, Sockets is 0. A number that does not fit what is open is an error, and nothing is touched
// then.
func Activated() (*Activation, error) {
	hs, err := takeHanded()
	if err != nil {
		return nil, err
	}
	return &Activation{handed: hs}, nil
}

// Sockets is how many were handed over.
func (a *Activation) Sockets() int { return len(a.handed) }

// Bind gives the socket for an address, which is the caller's to close then: one that was handed over by the address's
// name (LISTEN_FDNAMES) or is bound to it, and else a new one. A socket of a wrong type, or one that does not listen,
// is an error.
func (a *Activation) Bind(addr string) (sock.Socket, error) {
	s, err := bindOne(addr, a.handed, func(string) bool { return false })
	if err != nil {
		return sock.None, err
	}
	a.files = append(a.files, s.file)
	return s.sock, nil
}

// CloseUnused closes the sockets that no address was for, and returns how many there were.
func (a *Activation) CloseUnused() (unused int) {
	for i := range a.handed {
		if h := &a.handed[i]; !h.used {
			unused++
			h.used = true
			_ = h.sock.Close() // nobody wants it
		}
	}
	return unused
}

// Close is CloseUnused, and removes the files of unix sockets that Bind made; those that were handed over stay.
func (a *Activation) Close() {
	a.CloseUnused()
	for _, f := range a.files {
		_ = f.Remove() // the next one to listen there finds nobody answering, and replaces it
	}
	a.files = nil
}
