// Command pipe starts itself as a child process and talks with it over a pipe: one message in, one message out, whole
// or not at all. At the end it closes its end, and the child, which finds the end of the pipe, ends too.
//
//	go run ./examples/pipe
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"

	"github.com/plexor-go/plexor/ipc"
)

// child answers each message with the same in upper case. The pipe is its descriptor 3.
func child(ctx context.Context) error {
	p, err := ipc.FilePipe(os.NewFile(3, "pipe"), ipc.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	for {
		msg, err := p.Recv(ctx)
		if err == io.EOF { // the parent has closed its end, or died
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.Send(ctx, bytes.ToUpper(msg)); err != nil {
			return err
		}
	}
}

func parent(ctx context.Context) error {
	mine, theirs, err := ipc.NewPipe(ipc.Options{})
	if err != nil {
		return err
	}
	defer mine.Close()
	cmd := exec.Command(os.Args[0], "child")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs}, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	theirs.Close() // the child has it: were it open here too, the child's death would not end the pipe
	for _, text := range []string{"hello", "", "two\nlines"} {
		if err := mine.Send(ctx, []byte(text)); err != nil {
			return err
		}
		answer, err := mine.Recv(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%q comes back as %q\n", text, answer)
	}
	if err := mine.CloseWrite(ctx); err != nil { // no more from here
		return err
	}
	_, err = mine.Recv(ctx)
	fmt.Println("the child has closed its end:", err)
	err = cmd.Wait() // who does not wait for a child leaves a zombie
	fmt.Println("the child has ended:", cmd.ProcessState)
	return err
}

func main() {
	run := parent
	if len(os.Args) > 1 && os.Args[1] == "child" {
		run = child
	}
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
