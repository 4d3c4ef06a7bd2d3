package ftp_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	"github.com/plexor-go/plexor/proto/ftp"
)

// A server of a folder on a goroutine a connection, and a client that stores a file, lists, and fetches it.
func Example() {
	dir, err := os.MkdirTemp("", "ftp")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()
	users := new(ftp.Accounts)
	users.Add("joe", "secret", &ftp.User{Name: "joe", FS: ftp.Dir(root)})
	srv := &ftp.Server{Users: users}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	ctx := context.Background()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go srv.Serve(ctx, nc)
		}
	}()

	c, err := ftp.Dial(ctx, ln.Addr().String(), ftp.ClientOptions{User: "joe", Password: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Stor(ctx, "hello.txt", 0, strings.NewReader("hello\n")); err != nil {
		log.Fatal(err)
	}
	for e, err := range c.Entries(ctx, "/") {
		fmt.Println(e.Name, e.Size, err)
	}
	if _, err := c.Retr(ctx, "hello.txt", 0, os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello.txt 6 <nil>
	// hello
}

// What a protocol is made of can be used without a connection.
func ExampleParseFacts() {
	e, err := ftp.ParseFacts("type=file;size=1024;modify=19980615100045; a name")
	fmt.Println(e.Name, e.Size, e.Modified.Year(), err)
	port, err := ftp.ParseEPSV("Entering Extended Passive Mode (|||6446|)")
	fmt.Println(port, err)
	fmt.Printf("%q\n", ftp.AppendReply(nil, 211, "Features:", " UTF8", "End"))
	// Output:
	// a name 1024 1998 <nil>
	// 6446 <nil>
	// "211-Features:\r\n UTF8\r\n211 End\r\n"
}
