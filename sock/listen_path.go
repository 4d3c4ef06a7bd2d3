package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// listenUnix binds a unix socket and listens on it.
//
// The trap is the stale file. bind(2) makes the file and refuses one that is there (EADDRINUSE), so a program
// that died leaves a path on which nobody can listen again. Removing what is there, as many do, takes the
// path away from a server that lives. Asking first whether somebody answers is right, but there are two gaps:
// another server that is between bind and listen does not answer yet; and two that both found the file stale
// can each remove what they take for it, the second one the first one's new file. So all of it, from bind to
// listen, is done under a lock on the directory (flock, which leaves nothing behind), and the file that is
// removed must be the one that did not answer. Without the lock (a directory that we may write and not read,
// a file system without locks) the gaps are a few microseconds wide.
func listenUnix(e endpoint, o Options) (s Socket, err error) {
	if !e.abstract() {
		defer sysLockDir(filepath.Dir(osPath(e.path)))()
	}
	s, err = sysSocket(e)
	if err != nil {
		return None, &Error{Call: "socket", Err: err}
	}
	var made File
	defer func() {
		if err != nil {
			_ = made.Remove() // the first error is the one to tell
			_ = s.Close()
			s = None
		}
	}()
	if err := o.buffers(s); err != nil {
		return s, err
	}
	if o.Mode != 0 {
		// On Linux the file is made with these permissions, less the umask. Elsewhere this may fail or do
		// nothing; that the file has the umask's for a moment does no harm, since nobody can connect before
		// listen.
		sysSocketMode(s, o.Mode)
	}
	if err := bindPath(s, e); err != nil {
		return s, err
	}
	if made, err = FileOf(s); err != nil {
		return s, err
	}
	if o.Mode != 0 {
		if err := os.Chmod(osPath(e.path), o.Mode); err != nil {
			return s, &Error{Call: "chmod", Err: errors.Unwrap(err)}
		}
	}
	if err := sysListen(s, o.backlog()); err != nil {
		return s, &Error{Call: "listen", Err: err}
	}
	return s, nil
}

// bindPath binds, and if a stale socket is in the way removes it and binds again, once.
func bindPath(s Socket, e endpoint) error {
	err := sysBind(s, e)
	if !errors.Is(err, errInUse) || e.abstract() {
		return callError("bind", err)
	}
	there, lerr := os.Lstat(osPath(e.path))
	if lerr == nil {
		if there.Mode()&fs.ModeSocket == 0 {
			return &Error{Call: "bind", Err: err,
				Hint: fmt.Sprintf("%s is there and is no socket, so it is not replaced: remove it, or take another path", e.path)}
		}
		if perr := probe(e); perr == nil {
			return callError("bind", err)
		} else if !errors.Is(perr, errRefused) && !errors.Is(perr, errNotExist) {
			return &Error{Call: "bind", Err: err,
				Hint: fmt.Sprintf("a socket is there, and whether somebody answers on it cannot be told (%v), so it is not "+
					"replaced", perr)}
		}
		if err := (File{osPath(e.path), there}).Remove(); err != nil {
			return &Error{Call: "unlink", Err: unwrapAll(err),
				Hint: "nobody answers on the socket that is there, but it cannot be removed"}
		}
	}
	return callError("bind", sysBind(s, e))
}

func callError(call string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Call: call, Err: err}
}

// unwrapAll is the errno at the bottom, so that the text does not name operations twice.
func unwrapAll(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// probe connects to a unix socket's path: nil when somebody listens there (also when the backlog is full or
// the connection is under way), otherwise the errno; ECONNREFUSED means that nobody does.
func probe(e endpoint) error {
	p, err := sysSocket(e)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err = sysConnect(p, e); err == ErrWouldBlock {
		return nil // unix(7): the backlog is full
	}
	return err
}
