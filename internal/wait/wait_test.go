package wait

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestAcrossBubbles: who waits in a bubble is woken from outside it, and the other way round.
func TestAcrossBubbles(t *testing.T) {
	outside := make(chan func())
	go func() {
		for f := range outside {
			f()
		}
	}()
	defer close(outside)
	var mu sync.Mutex
	var c Cond
	n := 0
	change := func() {
		mu.Lock()
		defer mu.Unlock()
		n++
		c.Broadcast()
	}
	await := func(want int) {
		mu.Lock()
		defer mu.Unlock()
		for n < want {
			c.Wait(&mu)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for i := range 100 {
			outside <- change
			await(2*i + 1)
			l := NewLatch()
			outside <- func() { await(2*i + 2); l.Open() }
			change()
			l.Wait()
		}
	})
}

// TestCond: nobody who waits is forgotten, however many there are.
func TestCond(t *testing.T) {
	var mu sync.Mutex
	var c Cond
	var g sync.WaitGroup
	turn := 0
	const rounds, each = 50, 8
	for range each {
		g.Go(func() {
			for i := range rounds {
				mu.Lock()
				turn++
				c.Broadcast()
				for turn < (i+1)*each {
					c.Wait(&mu)
				}
				mu.Unlock()
			}
		})
	}
	g.Wait()
	if turn != rounds*each {
		t.Errorf("%d turns, want %d", turn, rounds*each)
	}
}

func TestBubbled(t *testing.T) {
	if Bubbled() {
		t.Error("outside: true")
	}
	synctest.Test(t, func(t *testing.T) {
		if !Bubbled() {
			t.Error("inside: false")
		}
		time.Sleep(time.Minute)
		if !Bubbled() {
			t.Error("inside, later: false")
		}
	})
}

// TestSleeper: a sleep ends by the first of Wake and the context's end, and by its own bubble's goroutines or others.
func TestSleeper(t *testing.T) {
	outside := make(chan *Sleeper)
	go func() {
		for s := range outside {
			s.Wake()
			s.Wake()
		}
	}()
	defer close(outside)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	cases := func(t *testing.T) {
		for _, ctx := range []context.Context{context.Background(), t.Context()} {
			s := NewSleeper()
			outside <- s
			if err := s.Sleep(ctx); err != nil {
				t.Errorf("woken: %v", err)
			}
		}
		s := NewSleeper()
		s.Wake()
		if err := s.Sleep(ended); err != nil && err != context.Canceled {
			t.Errorf("both: %v", err)
		}
		if err := NewSleeper().Sleep(ended); err != context.Canceled {
			t.Errorf("the context had ended: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if err := NewSleeper().Sleep(ctx); err != context.Canceled {
			t.Errorf("the context ends: %v", err)
		}
	}
	t.Run("outside", cases)
	synctest.Test(t, cases)
}

// TestPulse: it beats in a bubble whose time stands still, and ends by its channel, in a bubble and outside.
func TestPulse(t *testing.T) {
	outside, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	beats := func(t *testing.T) {
		p := NewPulse(2 * time.Millisecond)
		defer p.Stop()
		for range 3 {
			if !p.Next(never) {
				t.Error("it ended without an end")
			}
		}
		if !p.Next(nil) {
			t.Error("it ended without a channel")
		}
		p.every = time.Hour
		if p.tick != nil {
			p.tick.Reset(time.Hour)
		}
		if p.Next(outside) {
			t.Error("it beat after the end")
		}
	}
	close(outside)
	t.Run("outside", beats)
	synctest.Test(t, func(t *testing.T) {
		go func() { <-never }() // not of the bubble, so its time stands still
		beats(t)
		never <- struct{}{}
	})
}

// TestEvent: an event happens in a bubble or outside it, and who waits, by whichever way, in the bubble or outside it,
// hears of it once.
func TestEvent(t *testing.T) {
	outside := make(chan func())
	go func() {
		for f := range outside {
			go f()
		}
	}()
	defer close(outside)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, happens := range []string{"inside", "outside"} {
		t.Run(happens, func(t *testing.T) {
			var mu sync.Mutex
			heard := make(map[string]int)
			hear := func(who string) {
				mu.Lock()
				defer mu.Unlock()
				heard[who]++
			}
			var e Event
			var there sync.WaitGroup
			there.Add(2)
			if happens == "outside" {
				there.Add(1)
			}
			synctest.Test(t, func(t *testing.T) {
				asked, ours := make(chan bool), make(chan struct{}) // of the bubble
				outside <- func() {
					defer there.Done()
					done := e.Done()
					if done != e.Done() {
						t.Error("another channel")
					}
					<-done
					hear("channel outside")
				}
				outside <- func() {
					defer there.Done()
					_ = e.Wait(context.Background())
					hear("wait outside")
				}
				go func() {
					done := e.Done()
					asked <- true
					<-done
					hear("channel inside")
				}()
				go func() { _ = e.Wait(t.Context()); hear("wait inside") }()
				e.Then(func() { hear("then") })
				e.Then(func() { hear("taken back") })()
				e.ThenHere(func() { hear("then here"); close(ours) })
				<-asked
				if err := e.Wait(ended); err != context.Canceled || e.Happened() {
					t.Errorf("a wait whose context had ended: %v", err)
				}
				if happens == "inside" {
					e.Happen()
				} else {
					outside <- func() { defer there.Done(); e.Happen() }
				}
				<-e.Done()
				<-ours
				e.Happen()
				e.Then(func() { hear("then, late") })
			})
			there.Wait()
			for _, who := range []string{"channel outside", "wait outside", "channel inside", "wait inside", "then", "then here",
				"then, late"} {
				if heard[who] != 1 {
					t.Errorf("%s: heard %d times, want once", who, heard[who])
				}
			}
			if heard["taken back"] != 0 {
				t.Error("what was taken back was called")
			}
			<-e.Done()
		})
	}
}

// TestAfterFunc: it is called in a bubble whose time stands still, and in none, and not once it was stopped.
func TestAfterFunc(t *testing.T) {
	after := func(t *testing.T) {
		var e Event
		never := make(chan struct{})
		AfterFunc(time.Hour, func() { close(never) })()
		AfterFunc(time.Millisecond, e.Happen)
		if err := e.Wait(context.Background()); err != nil { // on a mutex, so that no time passes in a bubble
			t.Error(err)
		}
		select {
		case <-never:
			t.Error("what was stopped was called")
		default:
		}
	}
	t.Run("outside", after)
	synctest.Test(t, after)
}
