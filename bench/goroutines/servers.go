//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/plexor-go/plexor"
)

// serviceNames are what is served if nothing is chosen; ws and room are there too, see sockets.go: a page of 64 bytes
// by net/http, a call with 64 bytes each way by gRPC, and an echo.
var serviceNames = []string{"http", "grpc", "echo"}

// serversOf are the servers of a service.
func serversOf(service string) []string {
	switch service {
	case "ws":
		return socketServers
	case "room":
		return roomServers
	}
	return serverNames
}

// serverNames are the listeners in the order of the table: package net's, Server.Listen's, and a handler of a Server
// that gives its connection to a goroutine with Conn.Shared.
var serverNames = []string{"net", "listen", "shared"}

// bodySize is how much is answered, in bytes.
const bodySize = 64

func listener(name, driver string) (net.Listener, error) {
	srv := &plexor.Server{Driver: driver}
	switch name {
	case "net":
		return net.Listen("tcp", "127.0.0.1:0")
	case "listen":
		return srv.Listen("tcp://127.0.0.1:0")
	case "shared":
		ln := make(given)
		addr, err := srv.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
			sh := c.Shared()
			go func() { ln <- sh }()
		}))
		return sharedListener{ln, addr}, err
	}
	return nil, fmt.Errorf("no server %q", name)
}

// given are the connections that handlers gave away.
type given chan net.Conn

type sharedListener struct {
	given
	addr net.Addr
}

func (l sharedListener) Accept() (net.Conn, error) { return <-l.given, nil }
func (l sharedListener) Close() error              { return nil }
func (l sharedListener) Addr() net.Addr            { return l.addr }

// beServer is the process of a server: it prints its address, then its CPU time and context switches for each line that
// it reads, until its input ends.
func beServer(name, service, driver string) error {
	if service == "ws" || service == "room" {
		address, err := listenSockets(service, name, driver)
		if err != nil {
			return err
		}
		fmt.Println(address)
		return tellUsage()
	}
	ln, err := listener(name, driver)
	if err != nil {
		return err
	}
	serve, ok := services[service]
	if !ok {
		return fmt.Errorf("no service %q", service)
	}
	go serve(ln)
	fmt.Println(ln.Addr())
	return tellUsage()
}

// tellUsage answers each line that is read.
func tellUsage() error {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var ru syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
			return fmt.Errorf("getrusage: %w", err)
		}
		fmt.Println(ru.Utime.Nano()+ru.Stime.Nano(), ru.Nvcsw+ru.Nivcsw)
	}
	return nil
}

// services serve on a listener until the process ends.
var services = map[string]func(net.Listener){"http": serveHTTP, "grpc": serveGRPC, "echo": serveEcho}

func serveHTTP(ln net.Listener) {
	page := make([]byte, bodySize)
	_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) }))
}

func serveEcho(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 16<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func serveGRPC(ln net.Listener) {
	srv := grpc.NewServer()
	srv.RegisterService(&echoService, struct{}{})
	_ = srv.Serve(ln)
}

// echoMethod is the one of echoService.
const echoMethod = "/bench.Echo/Echo"

// echoService answers with what it was asked.
var echoService = grpc.ServiceDesc{ServiceName: "bench.Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
	MethodName: "Echo",
	Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		return in, decode(in)
	},
}}}

// readAnswer reads one answer of net/http: its head, and a body of bodySize.
func readAnswer(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err := io.CopyN(io.Discard, r, bodySize)
			return err
		}
	}
}
