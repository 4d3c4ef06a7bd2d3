package plexor_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/portion"
)

// TestAudience: all members, of several loops, get what is sent between their Add and their Remove, in order with
// what is sent to them alone; a member whose connection ends leaves by itself.
func TestAudience(t *testing.T) {
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		b := boxed(t, p, stream, &plexor.Server{Loops: 2, Stall: -1})
		a := new(plexor.Audience)
		say := func(msg string) {
			p, _ := plexor.Prepare(boxCodec, []byte(msg))
			if err := a.Put(p); err != nil {
				t.Errorf("Put of %q: %v", msg, err)
			}
		}
		const members = 6
		var clients []net.Conn
		var boxes []*plexor.Outbox
		for i := range members {
			c, o := b.dialBox()
			clients, boxes = append(clients, c), append(boxes, o)
			say("before " + fmt.Sprint(i)) // which o does not get
			if err := a.Add(o); err != nil || a.Add(o) != nil || a.Len() != i+1 {
				t.Fatalf("Add: %v, and there are %d", err, a.Len())
			}
		}
		goOn, held := make(chan struct{}), make(chan struct{}, members)
		for _, o := range boxes { // so that all of it waits for the loops at once
			go plexor.OnLoop(o, func() {
				held <- struct{}{}
				<-goOn
			})
		}
		for range b.Loops {
			receive(t, held, "the loops")
		}
		for i := range 50 {
			say(fmt.Sprint("all ", i))
			for _, o := range boxes {
				if err := put(o, fmt.Sprint("one ", i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		close(goOn)
		if !a.Remove(boxes[0]) || a.Remove(boxes[0]) || a.Len() != members-1 {
			t.Errorf("Remove: %d are left", a.Len())
		}
		say("last")
		_ = put(boxes[0], "alone")
		for m, c := range clients {
			for i := m + 1; i < members; i++ {
				if msg := nextFrame(t, c); msg != fmt.Sprint("before ", i) {
					t.Fatalf("member %d got %.20q, want before %d", m, msg, i)
				}
			}
			for i := range 50 {
				for _, what := range []string{"all", "one"} {
					if msg := nextFrame(t, c); msg != fmt.Sprint(what, " ", i) {
						t.Fatalf("member %d got %.20q, want %s %d", m, msg, what, i)
					}
				}
			}
			want := "last"
			if m == 0 {
				want = "alone"
			}
			if msg := nextFrame(t, c); msg != want {
				t.Fatalf("member %d got %.20q, want %s", m, msg, want)
			}
			c.Close()
		}
		b.until("all have left", func() bool { return a.Len() == 0 })
		if err := a.Add(boxes[1]); !errors.Is(err, net.ErrClosed) || a.Len() != 0 {
			t.Errorf("Add of one that has ended: %v", err)
		}
	})
}

// TestAudienceCodecs: a message is encoded for each codec; if one refuses it, or a member has none, nobody gets it.
func TestAudienceCodecs(t *testing.T) {
	boxes := make(chan *plexor.Outbox, 1)
	give := func(c *plexor.Conn, _ []byte) error { boxes <- c.Outbox(); return nil }
	b := (place{"auto", "tcp://127.0.0.1:0"}).serve(t, new(plexor.Server), plexor.Messages(frame.Line{Max: 20}, give))
	a := new(plexor.Audience)
	dialTo := func(addr net.Addr, hello string) (net.Conn, *plexor.Outbox) {
		c := dial(t, addr)
		send(t, c, hello)
		o := receive(t, boxes, "the outbox")
		if err := a.Add(o); err != nil {
			t.Fatal(err)
		}
		return c, o
	}
	addr, err := b.Open("tcp://127.0.0.1:0", plexor.Messages(frame.Length{Bytes: 2}, give))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := b.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
		boxes <- c.Outbox()
		for _, err := c.Read(make([]byte, 10)); err == nil; _, err = c.Read(make([]byte, 10)) {
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	line, lineBox := dialTo(b.addr, "\n")
	line2, _ := dialTo(b.addr, "\n")
	length, _ := dialTo(addr, "\x00\x00")
	if err := a.Send([]byte("hello")); err != nil {
		t.Error(err)
	}
	if err := a.Send([]byte(strings.Repeat("x", 30))); err == nil {
		t.Error("a message that a codec refuses was sent")
	}
	if err := a.SendExcept(lineBox, []byte("others")); err != nil {
		t.Error(err)
	}
	_, none := dialTo(bare, "!")
	if err := a.Send([]byte("nobody")); !errors.Is(err, plexor.ErrNoCodec) {
		t.Errorf("Send to one without a codec: %v", err)
	}
	a.Remove(none)
	if err := a.SendLatest("k", []byte("end")); err != nil {
		t.Error(err)
	}
	want(t, line, "hello\nend\n")
	want(t, line2, "hello\nothers\nend\n")
	want(t, length, "\x00\x05hello\x00\x06others\x00\x03end")
}

// TestAudienceSlow: a member that does not read keeps nobody else from anything, and misses what its own limits say.
func TestAudienceSlow(t *testing.T) {
	beside(t)
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		beside(t)
		b, slow, o := fullBox(t, p, stream, plexor.OutboxLimits{Entries: 3, WhenFull: plexor.DropOldest})
		quick, q := b.dialBox()
		a := new(plexor.Audience)
		for _, o := range []*plexor.Outbox{o, q} {
			if err := a.Add(o); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			p, _ := plexor.Prepare(boxCodec, fmt.Append(nil, i))
			if err := a.Put(p); err != nil {
				t.Fatal(err)
			}
			if msg := nextFrame(t, quick); msg != fmt.Sprint(i) {
				t.Fatalf("%.20q came, want %d", msg, i)
			}
		}
		// The last three, and no more, unless the system found room for one meanwhile.
		var came []string
		for len(came) == 0 || came[len(came)-1] != "9" {
			came = append(came, nextFrame(t, slow))
		}
		if n := len(came); n < 3 || n > 9 || !slices.Equal(came[n-3:], []string{"7", "8", "9"}) || !slices.IsSorted(came) {
			t.Errorf("%q came to the slow one, want 7, 8 and 9", came)
		}
		if s := o.Stats(); s.Dropped != int64(10-len(came)) {
			t.Errorf("%+v, want %d dropped", s, 10-len(came))
		}
	})
}

// TestAudienceHeldLoop: a loop that is held takes a bounded number of casts, and the others go on.
func TestAudienceHeldLoop(t *testing.T) {
	b := boxed(t, place{"auto", "tcp://127.0.0.1:0"}, false, &plexor.Server{Loops: 2, Stall: -1})
	_, o := b.dialBox()
	client, q := b.dialBox() // of the other loop, which has fewer
	a := new(plexor.Audience)
	for _, o := range []*plexor.Outbox{o, q} {
		if err := a.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	held, goOn := make(chan struct{}), make(chan struct{})
	go plexor.OnLoop(o, func() { close(held); <-goOn })
	<-held
	refused := 0
	const n = 5000
	for i := range n {
		if err := a.Send(fmt.Append(nil, i)); errors.Is(err, plexor.ErrOutboxFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
		if msg := nextFrame(t, client); msg != fmt.Sprint(i) {
			t.Fatalf("%.20q came, want %d", msg, i)
		}
	}
	close(goOn)
	if refused != n-4096 || a.Missed() != int64(refused) {
		t.Errorf("%d of %d missed a member, want %d; Missed says %d", refused, n, n-4096, a.Missed())
	}
}

// TestAudienceRandom: senders, joiners, leavers and closers at once, on both sides. Each client gets whole frames,
// and those of each sender in order. Run it with -race.
func TestAudienceRandom(t *testing.T) {
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		const seed, senders, clients = 11, 4, 8
		rounds := portion.Fewer(150, 60)
		limits := plexor.Limits{Outbox: plexor.OutboxLimits{Entries: 64, WhenFull: plexor.DropOldest}}
		b := boxed(t, p, stream, &plexor.Server{Loops: 2, Limits: limits})
		a := new(plexor.Audience)
		var mu sync.Mutex
		boxes := make([]*plexor.Outbox, clients)
		for i := range boxes {
			_, boxes[i] = b.follow()
		}
		var all sync.WaitGroup
		for s := range senders {
			r := rand.New(rand.NewPCG(seed, uint64(s)))
			all.Go(func() {
				for i := range rounds {
					mu.Lock()
					o := boxes[r.IntN(clients)]
					mu.Unlock()
					msg := fmt.Sprintf("%d %d %s", s, i, strings.Repeat("m", r.IntN(2000)))
					var err error
					switch r.IntN(12) {
					case 0:
						a.Remove(o)
					case 1:
						if client, fresh := b.follow(); r.IntN(2) == 0 {
							client.Close()
						} else {
							mu.Lock()
							boxes[r.IntN(clients)] = fresh
							mu.Unlock()
						}
					case 2, 3, 4:
						err = a.Add(o)
					case 5, 6, 7:
						p, _ := plexor.Prepare(boxCodec, []byte(msg))
						err = a.Put(p)
					case 8:
						// It takes an older one's place, and so has an order of its own.
						p, _ := plexor.Prepare(boxCodec, []byte("1"+msg))
						err = o.PutLatest(s, p)
					default:
						err = put(o, msg)
					}
					if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, plexor.ErrOutboxFull) {
						t.Errorf("seed %d, sender %d, round %d: %v", seed, s, i, err)
					}
				}
			})
		}
		all.Wait()
		if err := b.Close(); err != nil { // which ends those that follow
			t.Error(err)
		}
		b.readers.Wait()
	})
}

// follow dials, and reads all that comes until the end: frames of "sender number …", in order for each.
func (b *boxBench) follow() (net.Conn, *plexor.Outbox) {
	b.t.Helper()
	client := b.dialMessages()
	b.asking.Lock()
	defer b.asking.Unlock()
	command(b.t, client, "box")
	o := receive(b.t, b.boxes, "the outbox")
	b.readers.Go(func() {
		in, err := frame.NewReader(client, boxCodec)
		last := map[int]int{}
		for err == nil {
			var msg []byte
			if msg, err = in.Next(); err == nil {
				var s, i int
				if _, err := fmt.Sscanf(string(msg), "%d %d ", &s, &i); err != nil || i < last[s] {
					b.t.Errorf("%.20q came behind %d: %v", msg, last[s], err)
				}
				last[s] = i
			}
		}
		if _, bad := errors.AsType[*frame.Error](err); bad && !errors.Is(err, net.ErrClosed) {
			b.t.Errorf("what came was no frame: %v", err)
		}
	})
	return client, o
}
