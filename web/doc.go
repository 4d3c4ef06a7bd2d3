// Package web is HTTP on the engine: it serves any [net/http.Handler] on a [plexor.Server], where a connection that
// waits for its next request holds no goroutine, no stack and no buffer.
//
//	mux := http.NewServeMux()
//	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello\n") })
//	srv := &plexor.Server{Handler: web.Handler(mux, web.Options{})}
//	log.Fatal(srv.ListenAndServe("tcp://127.0.0.1:8080", "tls://127.0.0.1:8443"))
//
// # Where a handler runs
//
// A handler of net/http may block in any way: so it runs on a goroutine, taken from those that are kept for it, while
// the loop goes on. One that never blocks but by its request and its answer, and by what package coro has, is marked by
// [Inline] and runs on the connection's coroutine, which saves the way to a goroutine and back.
//
// Either way it may rely on what net/http promises it; package proto/http1 tells what that is. A connection that is
// hijacked becomes one of [plexor.Conn.Shared], for goroutines. A handler that returns and leaves its connection to
// something that comes later has [http1.Switcher]: WebSocket stands on it, and Events.
//
// # HTTP/2
//
// It is net/http's own. A client that agrees on h2 over TLS, or that begins with HTTP/2's preface, has its connection
// handed over, and is served by goroutines of net/http: some 20 KiB for each connection, and what its streams take.
//
// # Bounds
//
// All that a peer chooses has one: see [Options], http1.Limits, and plexor.Limits for connections.
package web
