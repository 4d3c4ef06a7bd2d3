//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"sync"

	"github.com/plexor-go/plexor/selector"
	"golang.org/x/sys/unix"
)

// The data of a descriptor is what to call when it is ready.
func Example() {
	s, err := selector.Default()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		log.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])

	running := true
	onWrite := func(fd int) {
		unix.Write(fd, []byte("hello"))
		s.Unregister(fd)
	}
	onRead := func(fd int) {
		buf := make([]byte, 100)
		n, _ := unix.Read(fd, buf)
		fmt.Printf("%s\n", buf[:n])
		running = false
	}
	s.Register(pipe[0], selector.Read, onRead)
	s.Register(pipe[1], selector.Write, onWrite)

	var ready []selector.Ready
	for running {
		if ready, err = s.Select(-1, ready); err != nil {
			log.Fatal(err)
		}
		for _, r := range ready {
			r.Data.(func(int))(r.FD)
		}
	}
	// Output: hello
}

// Another goroutine leaves something for the loop to do, and wakes it up.
func ExampleSelector_Wake() {
	s, err := selector.Default()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var mu sync.Mutex
	var posted []string
	go func() {
		mu.Lock()
		posted = append(posted, "from another goroutine")
		mu.Unlock()
		s.Wake()
	}()

	for done := false; !done; {
		if _, err := s.Select(-1, nil); err != nil {
			log.Fatal(err)
		}
		mu.Lock()
		for _, p := range posted {
			fmt.Println(p)
			done = true
		}
		posted = nil
		mu.Unlock()
	}
	// Output: from another goroutine
}

func ExampleOpen() {
	_, err := selector.Open("devpoll")
	fmt.Println(errors.Is(err, selector.ErrUnavailable))

	s, err := selector.Open("poll")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Name())
	s.Close()
	_, err = s.Select(-1, nil)
	fmt.Println(err, errors.Is(err, net.ErrClosed))
	// Output:
	// true
	// poll
	// selector: select (poll): the selector is closed true
}

func ExampleSelector_Keys() {
	s, err := selector.Open("poll")
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	s.Register(0, selector.Read, "standard input")
	for k := range s.Keys() {
		fmt.Println(k.FD, k.Events, k.Data)
	}
	// Output: 0 read standard input
}
