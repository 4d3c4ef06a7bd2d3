package models

import (
	"context"
	"io"
)

// checkRaw is why blocking system calls can't be used here.
func checkRaw() error { return nil }

func serveBlocking(ctx context.Context, j Job) error {
	r, addr, err := listenRaw(ctx, j.Addr)
	if err != nil {
		return err
	}
	defer r.close()
	j.ready(addr)
	return r.oneAtATime(j.Service)
}

// oneAtATime serves a client to its end before it looks for the next.
func (r *rawServer) oneAtATime(s Service) error {
	for {
		fd, err := r.accept()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		r.serve(fd, s)
	}
}
