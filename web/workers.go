package web

import "sync"

// workers are the goroutines that handlers run on. One that has nothing to do is kept, so that the next handler finds a
// stack that has grown as far as handlers need it, and starts in less time than a new one; all end with the last
// connection.
type workers struct {
	mu   sync.Mutex
	idle []*worker
	gone bool // the last connection has ended, and no handler has begun since
}

// A worker is a goroutine that waits for a handler to run.
type worker struct{ jobs chan job } // closed: it ends

// mostIdle bounds how many of them are kept.
const mostIdle = 256

// do runs a handler.
func (ws *workers) do(j job) {
	ws.mu.Lock()
	ws.gone = false
	var w *worker
	if n := len(ws.idle) - 1; n >= 0 {
		w = ws.idle[n]
		ws.idle[n] = nil
		ws.idle = ws.idle[:n]
	}
	ws.mu.Unlock()
	if w == nil {
		w = &worker{make(chan job, 1)}
		go ws.run(w)
	}
	w.jobs <- j
}

func (ws *workers) run(w *worker) {
	for j := range w.jobs {
		j.do()
		ws.mu.Lock()
		kept := len(ws.idle) < mostIdle && !ws.gone // its connection may have ended before it came here
		if kept {
			ws.idle = append(ws.idle, w)
		}
		ws.mu.Unlock()
		if !kept {
			return
		}
	}
}

// dismiss ends those that wait.
func (ws *workers) dismiss() {
	ws.mu.Lock()
	idle := ws.idle
	ws.idle, ws.gone = nil, true
	ws.mu.Unlock()
	for _, w := range idle {
		close(w.jobs)
	}
}
