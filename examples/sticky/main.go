// Command sticky shows why bytes on a TCP connection "stick together": a client sends three messages, and the server
// receives them in pieces of the network's choosing. Then package frame puts the borders back.
//
//	go run ./examples/sticky
package main

import (
	"fmt"
	"io"
	"log"
	"net"

	"github.com/plexor-go/plexor/frame"
)

var messages = []string{"one", "two", "three"}

// codec says where a message ends: a length of four bytes stands before it.
var codec = frame.Length{Bytes: 4, Max: 1000}

// converse connects a client to a server. The server is busy with something else until the client has sent all.
func converse(client, server func(net.Conn) error) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	in, err := ln.Accept()
	if err != nil {
		return err
	}
	defer in.Close()
	err = client(out)
	out.Close()
	if err != nil {
		return err
	}
	return server(in)
}

// reads is the server that takes what a read returns for a message.
func reads(size int) func(net.Conn) error {
	return func(c net.Conn) error {
		for buf := make([]byte, size); ; {
			n, err := c.Read(buf)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Printf("   a read got %q\n", buf[:n])
		}
	}
}

// framed is the server that knows where a message ends.
func framed(c net.Conn) error {
	in, err := frame.NewReader(c, codec)
	if err != nil {
		return err
	}
	for msg, err := range in.All() {
		if err != nil {
			return err
		}
		fmt.Printf("   a message is %q\n", msg)
	}
	return nil
}

// sendBare writes the messages as they are.
func sendBare(c net.Conn) error {
	for _, m := range messages {
		if _, err := io.WriteString(c, m); err != nil {
			return err
		}
	}
	return nil
}

// sendFramed puts its length before each message, and sends all of it byte by byte: the worst of networks.
func sendFramed(c net.Conn) error {
	var stream []byte
	for _, m := range messages {
		var err error
		if stream, err = codec.Append(stream, []byte(m)); err != nil {
			return err
		}
	}
	fmt.Printf("   on the wire: %q\n", stream)
	for i := range stream {
		if _, err := c.Write(stream[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	for _, act := range []struct {
		title          string
		client, server func(net.Conn) error
	}{
		{"1. Three writes, and one read: they stick together.", sendBare, reads(100)},
		{"2. The same with a buffer of four bytes: they are cut anywhere.", sendBare, reads(4)},
		{"3. With a length before each message: the borders are back.", sendFramed, framed},
	} {
		fmt.Println(act.title)
		if err := converse(act.client, act.server); err != nil {
			log.Fatal(err)
		}
	}
}
