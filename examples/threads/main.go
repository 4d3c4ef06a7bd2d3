// Command threads counts with two threads of the operating system: without a lock, which loses counts, with a lock, and
// with an atomic addition. Then a semaphore lets three of ten in at once, and an event lets all go at the same time.
//
//	go run ./examples/threads
package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	threads = 2
	each    = 2_000_000
)

// run starts threads (goroutines that have one of their own, until they end) and waits for them.
func run(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			f(i)
		})
	}
	all.Wait()
}

// withoutLock reads, adds one and writes, as n++ does; between the two the other thread may have written. (The reading
// and writing is atomic, so that the program is a lawful one: what is lost is lost between them.)
func withoutLock() int64 {
	var n atomic.Int64
	run(threads, func(int) {
		for range each {
			n.Store(n.Load() + 1)
		}
	})
	return n.Load()
}

func withLock() (n int64) {
	var lock sync.Mutex
	run(threads, func(int) {
		for range each {
			lock.Lock()
			n++
			lock.Unlock()
		}
	})
	return n
}

func withAtomic() int64 {
	var n atomic.Int64
	run(threads, func(int) {
		for range each {
			n.Add(1)
		}
	})
	return n.Load()
}

// withSemaphore returns how many of ten threads were inside at once at most: a channel
// with three places is a semaphore.
func withSemaphore() int64 {
	places := make(chan struct{}, 3)
	var inside, most atomic.Int64
	run(10, func(int) {
		places <- struct{}{}
		for now := inside.Add(1); ; {
			if seen := most.Load(); now <= seen || most.CompareAndSwap(seen, now) {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
		inside.Add(-1)
		<-places
	})
	return most.Load()
}

// withEvent returns how many threads had gone on before the event: a channel that is closed is an event.
func withEvent() (before int64) {
	event := make(chan struct{})
	var waiting sync.WaitGroup
	var gone atomic.Int64
	waiting.Add(10)
	go func() {
		waiting.Wait()
		before = gone.Load()
		close(event)
	}()
	run(10, func(int) {
		waiting.Done()
		<-event
		gone.Add(1)
	})
	return before
}

func main() {
	const want = threads * each
	n := withoutLock()
	fmt.Printf("without a lock:  %d of %d, %d were lost\n", n, want, want-n)
	fmt.Printf("with a lock:     %d of %d\n", withLock(), want)
	fmt.Printf("with an atomic:  %d of %d\n", withAtomic(), want)
	fmt.Printf("semaphore of 3:  at most %d of 10 threads were inside at once\n", withSemaphore())
	fmt.Printf("event:           %d of 10 threads had gone on before it\n", withEvent())
}
