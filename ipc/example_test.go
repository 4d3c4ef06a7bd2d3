package ipc_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/plexor-go/plexor/ipc"
)

// Both ends are in one program here; theirs is for the ExtraFiles of an exec.Cmd.
func ExampleNewPipe() {
	ctx := context.Background()
	mine, theirs, err := ipc.NewPipe(ipc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer mine.Close()
	other, err := ipc.FilePipe(theirs, ipc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()

	if err := mine.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	msg, err := other.Recv(ctx)
	fmt.Println(string(msg), err)
	// Output: hello <nil>
}

func ExampleNewTyped() {
	ctx := context.Background()
	mine, theirs, err := ipc.NewPipe(ipc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	other, err := ipc.FilePipe(theirs, ipc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	type job struct{ A, B int }
	jobs, worker := ipc.NewTyped[job, int](mine), ipc.NewTyped[int, job](other)
	defer jobs.Close()
	defer worker.Close()

	if err := jobs.Send(ctx, job{2, 3}); err != nil {
		log.Fatal(err)
	}
	j, err := worker.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := worker.Send(ctx, j.A*j.B); err != nil {
		log.Fatal(err)
	}
	fmt.Println(jobs.Recv(ctx))
	// Output: 6 <nil>
}

// The other side may be Python:
//
//	from multiprocessing.connection import Client
//	with Client(("127.0.0.1", port), authkey=b"secret") as c:
//	    c.send_bytes(b"hello")
//	    print(c.recv_bytes())
func ExampleListenPython() {
	ctx := context.Background()
	o := ipc.PythonOptions{AuthKey: []byte("secret")}
	l, err := ipc.ListenPython("tcp://127.0.0.1:0", o)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	c, err := ipc.DialPython(ctx, l.Addr(), o)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	if err := c.SendBytes(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	msg, err := s.RecvBytes(ctx)
	fmt.Println(string(msg), err)
	// Output: hello <nil>
}

// open serves a manager and connects to it; in earnest the two are different processes.
func open() (*ipc.Client, func()) {
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		log.Fatal(err)
	}
	m, err := ipc.ServeManager(filepath.Join(dir, "manager"), ipc.ManagerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	c, err := ipc.DialManager(context.Background(), m.Path(), m.Token())
	if err != nil {
		log.Fatal(err)
	}
	return c, func() {
		c.Close()
		m.Close()
		os.RemoveAll(dir)
	}
}

func ExampleServeManager() {
	c, end := open()
	defer end()
	ctx := context.Background()
	ages := ipc.OpenMap[string, int](c, "ages")
	if err := ages.Set(ctx, "Ann", 33); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ages.Get(ctx, "Ann"))
	fmt.Println(ipc.OpenCounter(c, "visits").Add(ctx, 1))
	// Output:
	// 33 true <nil>
	// 1 <nil>
}

// Money goes from one account to the other, if it is there, and nobody sees it on both or on none.
func ExampleClient_Do() {
	c, end := open()
	defer end()
	ctx := context.Background()
	from, to := ipc.OpenCounter(c, "from"), ipc.OpenCounter(c, "to")
	if err := from.Set(ctx, 100); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		fmt.Println(c.Do(ctx, from.Is(100), from.Adding(-30), to.Adding(30)))
	}
	fmt.Println(to.Get(ctx))
	// Output:
	// true <nil>
	// false <nil>
	// 30 <nil>
}

// Who has lost the lock, and does not know it yet, changes nothing.
func ExampleLock_Holds() {
	c, end := open()
	defer end()
	ctx := context.Background()
	lock, value := ipc.OpenLock(c, "lock"), ipc.OpenValue[string](c, "value")
	token, err := lock.Lock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Do(ctx, lock.Holds(token), value.Setting("mine")))
	if err := lock.Unlock(ctx, token); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Do(ctx, lock.Holds(token), value.Setting("still mine")))
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleMap_Watch() {
	c, end := open()
	defer end()
	ctx := context.Background()
	m := ipc.OpenMap[string, int](c, "m")
	w, err := m.Watch(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Set(ctx, "k", 7); err != nil {
		log.Fatal(err)
	}
	ch, err := w.Next(ctx)
	fmt.Println(ch.Key, ch.Value, err)
	// Output: k 7 <nil>
}
