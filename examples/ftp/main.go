// Command ftp is an inbox: whoever logs in as "you" with the password "secret" may store files, and everybody may read
// them. A session that waits for its next command costs neither a goroutine nor a buffer.
//
//	go run ./examples/ftp                        # on tcp://127.0.0.1:2121; stop it with Ctrl-C
//	echo hello | curl -sS -T - ftp://you:secret@127.0.0.1:2121/a.txt
//	curl -sS ftp://127.0.0.1:2121/a.txt          # prints: hello
//
// The folder is a new one in the system's place for such, and is removed at the end. Each file that has come is logged.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/ftpd"
	"github.com/plexor-go/plexor/proto/ftp"
)

func main() {
	if err := run(append(os.Args, "tcp://127.0.0.1:2121")[1]); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	dir, err := os.MkdirTemp("", "inbox")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()

	users := new(ftp.Accounts)
	users.Anonymous(ftp.Dir(root))
	users.Add("you", "secret", &ftp.User{Name: "you", FS: ftp.Dir(root), MostFile: 1 << 30})
	service := &ftp.Server{Users: users, Done: func(r ftp.Record) {
		if r.Command == "STOR" && r.Err == nil {
			log.Printf("%s has stored %q, %d bytes", r.User, r.Path, r.Bytes)
		}
	}}
	srv := new(plexor.Server)
	addr, err := srv.Open(address, ftpd.Handler(service))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}
