package models

import (
	"context"
	"io"
	"runtime"
	"sync"
)

func serveThreads(ctx context.Context, j Job) error { return serveAtMost(ctx, j, mostThreads) }

// serveAtMost serves with as many threads at most. While all are busy, further clients wait in the backlog.
func serveAtMost(ctx context.Context, j Job, most int) error {
	r, addr, err := listenRaw(ctx, j.Addr)
	if err != nil {
		return err
	}
	defer r.close()
	var all sync.WaitGroup
	defer all.Wait()
	j.ready(addr)
	for room := make(chan struct{}, most); ; {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		fd, err := r.accept()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			r.end()
			return err
		}
		all.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			r.serve(fd, j.Service)
			<-room
		})
	}
}
