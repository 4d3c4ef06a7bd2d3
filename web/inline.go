package web

import "net/http"

// Inline marks a handler that never blocks, but by its request and its answer and by package coro (with
// Request.Context): it runs on the coroutine of its connection, and need not wait for a goroutine. One that blocks in
// another way (a channel, a database, a file) holds up all connections of its loop, which the stall monitor reports. On
// other servers than this package's it is h. One that calls runtime.Goexit ends its coroutine: its connection is reset.
//
// It marks what is given to [Handler], or a route of an http.ServeMux that is. Middleware around it hides the mark.
func Inline(h http.Handler) http.Handler { return inline{h} }

type inline struct{ http.Handler }

// inlines is what tells whether a request's handler is marked.
func inlines(h http.Handler) func(*http.Request) bool {
	switch h := h.(type) {
	case inline:
		return func(*http.Request) bool { return true }
	case *http.ServeMux:
		return func(r *http.Request) bool {
			route, _ := h.Handler(r)
			_, marked := route.(inline)
			return marked
		}
	}
	return func(*http.Request) bool { return false }
}
