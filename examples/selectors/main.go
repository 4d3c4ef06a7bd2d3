// Command selectors is the textbook's event loop, on a selector and sockets alone: one goroutine serves every client.
// It answers each piece that arrives on 127.0.0.1:8088 with the same in upper case and "_SB" behind it. A reply that
// the kernel does not take at once is cut short: package loop is what handles that, and all else that a server meets.
//
//	go run ./examples/selectors                  # on tcp://127.0.0.1:8088; stop it with Ctrl-C
//	printf hello | nc -N 127.0.0.1 8088          # prints HELLO_SB
package main

import (
	"bytes"
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

var sel = must(selector.Default())

// accept is called when the listener is ready.
func accept(listener sock.Socket) {
	if conn, err := listener.Accept(); err == nil {
		sel.Register(conn.FD(), selector.Read, func() { read(conn) })
	}
}

// read is called when a connection has data, or its end.
func read(conn sock.Socket) {
	buf := make([]byte, 4096)
	n, err := conn.Recv(buf)
	if err != nil {
		sel.Unregister(conn.FD())
		conn.Close()
		return
	}
	conn.Send(append(bytes.ToUpper(buf[:n]), "_SB"...))
}

func main() {
	addr := must(sock.ParseAddr(append(os.Args, "tcp://127.0.0.1:8088")[1]))
	listener := must(sock.Listen(addr, sock.Options{}))
	must(0, sel.Register(listener.FD(), selector.Read, func() { accept(listener) }))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.Println("listening on", must(listener.LocalAddr()))
	context.AfterFunc(ctx, func() { sel.Wake() }) // a wait that nothing is ready for returns, and the loop ends
	for ctx.Err() == nil {
		for _, r := range must(sel.Select(-1, nil)) {
			r.Data.(func())()
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
