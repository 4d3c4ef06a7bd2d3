// Command queue shares work among processes: this one puts jobs, three others do them. In
// the middle of it one worker is killed, as by the system when memory runs out. The job
// that it had in hand goes to another one, and nothing is lost.
//
//	go run ./examples/queue
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"

	"github.com/plexor-go/plexor/ipc"
	"github.com/plexor-go/plexor/ipc/shm"
)

const (
	jobs    = 1000
	workers = 3
	deadly  = jobs / 2 // the job that its first worker does not survive
)

// work is a worker: the queue's memory is its descriptor 3.
func work() error {
	ring, err := shm.OpenFile(os.NewFile(3, "queue"))
	if err != nil {
		return err
	}
	q := ipc.NewQueue[int](ring, nil)
	for {
		job, err := q.Get(context.Background())
		if err == io.EOF { // no more will come, and all are done
			return q.Close()
		}
		if err != nil {
			return err
		}
		if job.Value == deadly && job.Deliveries == 1 {
			fmt.Println("a worker is killed")
			me, _ := os.FindProcess(os.Getpid()) // never fails here
			_ = me.Kill()                        // no clean-up, no goodbye
			select {}
		}
		if job.Deliveries > 1 {
			fmt.Printf("job %d came again\n", job.Value)
		}
		if err := job.Done(); err != nil { // only now is it gone from the queue
			return err
		}
	}
}

func serve() error {
	ring, err := shm.New(shm.Options{Slots: 64})
	if err != nil {
		return err
	}
	q := ipc.NewQueue[int](ring, nil)
	file, err := ring.File()
	if err != nil {
		return err
	}
	var crew []*exec.Cmd
	for range workers {
		cmd := exec.Command(os.Args[0], "work")
		cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{file}, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		crew = append(crew, cmd)
	}
	for i := range jobs { // waits while the queue is full
		if err := q.Put(context.Background(), i); err != nil {
			return err
		}
	}
	if err := q.Join(context.Background()); err != nil { // until all are done
		return err
	}
	if err := q.End(); err != nil {
		return err
	}
	for _, cmd := range crew {
		_ = cmd.Wait() // one was killed, and the others have said what was wrong
		fmt.Println("a worker ended:", cmd.ProcessState)
	}
	fmt.Println("all", jobs, "jobs are done")
	return q.Close()
}

func main() {
	run := serve
	if len(os.Args) > 1 && os.Args[1] == "work" {
		run = work
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
