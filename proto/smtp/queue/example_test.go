package queue_test

import (
	"context"
	"log"
	"net"

	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/proto/smtp/queue"
)

// A relay for this machine, which sends on by a smarthost.
func Example() {
	q, err := queue.Open("/var/spool/relay", queue.Options{
		Name:      "relay.example.org",
		Smarthost: "mail.example.org:587",
		Auth:      smtp.Plain("", "relay", "secret"),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	go q.Run(ctx)
	ln, err := net.Listen("tcp", "127.0.0.1:2525")
	if err != nil {
		log.Fatal(err)
	}
	anybody := func(context.Context, smtp.Peer, smtp.Mailbox) error { return nil } // on this machine
	srv := &smtp.Server{Backend: q.Backend(anybody), Name: "relay.example.org", DSN: true}
	for {
		nc, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go srv.Serve(ctx, nc)
	}
}
