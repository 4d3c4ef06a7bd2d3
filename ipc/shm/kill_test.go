//go:build linux

package shm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/portion"
)

// Random kills. Producers and consumers work as fast as they can, are killed at random moments, and are replaced; the
// process that made the ring is one of them. What each did is written in a ledger, in memory that they share and that
// outlives them, before or after it is done, so that at the end each item can be accounted for.

const (
	ledgerParties = 1 << 13 // processes in one run
	ledgerItems   = 1 << 11 // that one producer puts before it leaves

	// The environment variable says how long the killing goes on. Without it: killTime.
	killTimeEnv = "PLEXOR_KILL_TIME"
	killTime    = time.Second // and in CI, with PLEXOR_TESTS=all, three times that
	killSeedEnv = "PLEXOR_KILL_SEED"

	numberEnv = "PLEXOR_SHM_NUMBER"
)

// An account is what is known of one process.
type account struct {
	started atomic.Uint32
	killed  atomic.Uint32 // set before the signal is sent
	begun   atomic.Uint32 // items that it has begun to put, from 1 on
	put     atomic.Uint32 // and those of which Put has said that they are
	done    atomic.Uint32 // items that it has done
}

type ledger struct {
	parties [ledgerParties]account
	items   [ledgerParties][ledgerItems]atomic.Uint32 // see mark
}

// A mark is what became of an item: who has taken it last, plus 1; whether it has begun to say Done, and ended.
type mark = uint32

const (
	markDoing mark = 1 << 30
	markDone  mark = 1 << 31
	markTaker mark = 1<<16 - 1
)

func mapLedger(f *os.File) (*ledger, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(ledger{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*ledger)(unsafe.Pointer(unsafe.SliceData(mem))), nil
}

func newLedger(t *testing.T) (*ledger, *os.File) {
	t.Helper()
	fd, err := unix.MemfdCreate("ledger", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "ledger")
	t.Cleanup(func() { _ = f.Close() }) // the test is over
	if err := f.Truncate(int64(unsafe.Sizeof(ledger{}))); err != nil {
		t.Fatal(err)
	}
	l, err := mapLedger(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(l)), unsafe.Sizeof(*l))) }) // likewise
	return l, f
}

// killItem is an item's content: who put it, which of its own it is, and a length that follows from those.
func killItem(number, seq uint32) []byte {
	h := number*2654435761 ^ seq*40503
	length := 8 + h%120
	if h%61 == 0 {
		length = 1000 // many slots
	}
	b := make([]byte, length)
	binary.NativeEndian.PutUint32(b, number)
	binary.NativeEndian.PutUint32(b[4:], seq)
	for i := 8; i < len(b); i++ {
		b[i] = byte(h + uint32(i))
	}
	return b
}

func readKillItem(b []byte) (number, seq uint32, err error) {
	if len(b) >= 8 {
		number, seq = binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
		if number < ledgerParties && seq > 0 && seq < ledgerItems && string(killItem(number, seq)) == string(b) {
			return number, seq, nil
		}
	}
	return 0, 0, fmt.Errorf("an item of %d bytes that nobody put: %x", len(b), b)
}

func init() {
	children["kill: produce"] = func(r *Ring) error { return withLedger(r, produce) }
	children["kill: consume"] = func(r *Ring) error { return withLedger(r, consume) }
	children["kill: create"] = func(r *Ring) error {
		made, err := Create(testName(os.Getppid(), "kill"), Options{Slots: 64, SlotSize: 64})
		if err != nil {
			return err
		}
		say("made")
		return withLedger(made, func(r *Ring, l *ledger, me uint32) error {
			return errors.Join(produce(r, l, me), made.Close())
		})
	}
}

func withLedger(r *Ring, f func(r *Ring, l *ledger, me uint32) error) error {
	l, err := mapLedger(os.NewFile(4, "ledger"))
	if err != nil {
		return err
	}
	me, err := strconv.Atoi(os.Getenv(numberEnv))
	if err != nil {
		return err
	}
	l.parties[me].started.Store(1)
	return f(r, l, uint32(me))
}

func produce(r *Ring, l *ledger, me uint32) error {
	for seq := uint32(1); seq < ledgerItems; {
		var items [][]byte
		for range min(1+rand.Uint32N(8), ledgerItems-seq) {
			items = append(items, killItem(me, seq+uint32(len(items))))
		}
		seq += uint32(len(items))
		l.parties[me].begun.Store(seq - 1)
		if n, err := r.Put(context.Background(), items...); err != nil {
			return fmt.Errorf("put %d of %d: %w", n, len(items), err)
		}
		l.parties[me].put.Store(seq - 1)
	}
	return nil
}

func consume(r *Ring, l *ledger, me uint32) error {
	for {
		items := make([]Item, 1+rand.IntN(8))
		n, err := r.Get(context.Background(), items, nil)
		if err != nil {
			return err
		}
		items = items[:n]
		if err := l.take(items, me); err != nil {
			return err
		}
		if rand.IntN(20) == 0 {
			l.mark(items, 0)
			if err := r.Return(items...); err != nil {
				return err
			}
			continue
		}
		l.mark(items, markDoing|me+1)
		if err := r.Done(items...); err != nil {
			return err
		}
		l.mark(items, markDone|me+1)
		l.parties[me].done.Add(uint32(n))
	}
}

// take notes that items were taken, and checks that they may be.
func (l *ledger) take(items []Item, me uint32) error {
	for _, item := range items {
		number, seq, err := readKillItem(item.Data)
		if err != nil {
			return err
		}
		at := &l.items[number][seq]
		was := at.Load()
		switch taker := was & markTaker; {
		case was&markDone != 0:
			return fmt.Errorf("item %d of %d came again after Done had returned to %d", seq, number, taker-1)
		case taker != 0 && l.parties[taker-1].killed.Load() == 0:
			return fmt.Errorf("item %d of %d came while %d has it, who lives", seq, number, taker-1)
		case taker != 0 && item.Deliveries < 2:
			return fmt.Errorf("item %d of %d came again, and says that this is the first time", seq, number)
		case seq > l.parties[number].begun.Load():
			return fmt.Errorf("item %d of %d came, and was not put yet", seq, number)
		}
		at.Store(me + 1)
	}
	return nil
}

// mark notes what becomes of items.
func (l *ledger) mark(items []Item, m mark) {
	for _, item := range items {
		number, seq, _ := readKillItem(item.Data) // take has read it
		l.items[number][seq].Store(m)
	}
}

// A crowd is the processes of a run.
type crowd struct {
	t      *testing.T
	ring   *Ring
	ledger *ledger
	file   *os.File
	next   uint32
	alive  []*member
	ends   chan *member
	kills  int
}

type member struct {
	number uint32
	part   string
	cmd    *exec.Cmd
	err    error // how it ended
}

func (c *crowd) start(part string) *member {
	c.t.Helper()
	if c.next == ledgerParties {
		c.t.Fatal("the ledger is full")
	}
	cmd := child(c.t, c.ring, part, numberEnv+"="+strconv.Itoa(int(c.next)))
	cmd.ExtraFiles = append(cmd.ExtraFiles, c.file)
	if part == "kill: create" {
		out, err := cmd.StdoutPipe()
		if err != nil {
			c.t.Fatal(err)
		}
		defer func() {
			if _, err := out.Read(make([]byte, 5)); err != nil {
				c.t.Fatal(err)
			}
		}()
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	m := &member{number: c.next, part: part, cmd: cmd}
	c.next++
	c.alive = append(c.alive, m)
	go func() {
		m.err = m.cmd.Wait()
		c.ends <- m
	}()
	return m
}

// kill kills one of those that live, and waits until it has ended.
func (c *crowd) kill(i int) {
	c.t.Helper()
	m := c.alive[i]
	c.ledger.parties[m.number].killed.Store(1)
	_ = m.cmd.Process.Kill() // it may have ended by itself
	c.kills++
	for ended := false; !ended; {
		e := <-c.ends
		c.over(e)
		ended = e == m
	}
}

// over removes one that has ended, and checks how.
func (c *crowd) over(m *member) {
	c.t.Helper()
	for i, a := range c.alive {
		if a == m {
			c.alive = append(c.alive[:i], c.alive[i+1:]...)
			break
		}
	}
	if s := m.cmd.ProcessState.String(); m.err != nil && s != "signal: killed" {
		c.t.Errorf("%s %d ended with %q", m.part, m.number, s)
	}
	c.ledger.parties[m.number].killed.Store(1) // it lives no more
}

func (c *crowd) done() (n uint64) {
	for i := range c.next {
		n += uint64(c.ledger.parties[i].done.Load())
	}
	return n
}

// TestKills kills thousands of processes in a minute (PLEXOR_KILL_TIME=60s), and for a second without that.
func TestKills(t *testing.T) {
	for _, row := range []struct {
		name                 string
		producers, consumers int
	}{
		{"one and one", 1, 1},
		{"three and three", 3, 3},
		{"one and five", 1, 5},
		{"five and one", 5, 1},
	} {
		t.Run(row.name, func(t *testing.T) { runKills(t, row.producers, row.consumers, 4) })
	}
}

func runKills(t *testing.T, producers, consumers int, share time.Duration) {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv(killSeedEnv), 10, 64); err == nil {
		seed = s
	}
	defer func() {
		if t.Failed() {
			t.Logf("%s=%d", killSeedEnv, seed)
		}
	}()
	random := rand.New(rand.NewPCG(seed, 1))
	span := killTime
	if portion.All() {
		span *= 3
	}
	if s := os.Getenv(killTimeEnv); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		span = d
	}
	span /= share

	c := &crowd{t: t, ends: make(chan *member)}
	c.ledger, c.file = newLedger(t)
	name := testName(os.Getpid(), "kill")
	// The creator is started with some ring, and makes its own.
	c.ring = make1(t, Options{Slots: 1})
	c.start("kill: create")
	defer func() {
		if err := Remove(name); err != nil {
			t.Error(err)
		}
	}()
	var err error
	if c.ring, err = Open(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.ring.Close(); err != nil {
			t.Error(err)
		}
	})
	fill := func() {
		count := map[string]int{}
		for _, m := range c.alive {
			count[m.part]++
		}
		for range producers - count["kill: produce"] - count["kill: create"] {
			c.start("kill: produce")
		}
		for range consumers - count["kill: consume"] {
			c.start("kill: consume")
		}
	}
	last, lastDone := time.Now(), uint64(0)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for begun := time.Now(); time.Since(begun) < span && !t.Failed(); {
		fill()
		// How long until the next: often next to nothing, sometimes long enough for all to wait.
		pause.Reset(time.Duration(random.ExpFloat64() * float64(5*time.Millisecond)))
		select {
		case m := <-c.ends:
			c.over(m)
			continue
		case <-pause.C:
		}
		// One that has begun, mostly; the others are killed in their sleep, so to speak.
		i := random.IntN(len(c.alive))
		if c.ledger.parties[c.alive[i].number].started.Load() != 0 || random.IntN(20) == 0 {
			c.kill(i)
		}
		if n := c.done(); n > lastDone {
			last, lastDone = time.Now(), n
		} else if time.Since(last) > 20*time.Second {
			s, err := c.ring.Stats()
			t.Errorf("stuck: nothing was done for 20 s, and the ring has %+v, %v", s, err)
		}
	}
	for len(c.alive) > 0 {
		c.kill(random.IntN(len(c.alive)))
	}
	c.account()
	t.Logf("%d processes, %d kills, %d items done", c.next, c.kills, c.done())
}

// account gets what is left in the ring, and then looks whether all that was put was done.
func (c *crowd) account() {
	t := c.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	joined := make(chan error, 1)
	go func() { joined <- c.ring.Join(ctx) }()
	me := c.next
	if c.next++; me == ledgerParties {
		t.Fatal("the ledger is full")
	}
	rest, stop := context.WithCancel(ctx)
	go func() {
		err := <-joined
		if err != nil {
			t.Errorf("Join: %v", err)
		}
		joined <- err
		stop()
	}()
	items := make([]Item, 16)
	left := 0
	for {
		n, err := c.ring.Get(rest, items, nil)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			t.Fatalf("with all dead: %v", err)
		}
		if err := c.ledger.take(items[:n], me); err != nil {
			t.Error(err)
		}
		if err := c.ring.Done(items[:n]...); err != nil {
			t.Fatal(err)
		}
		c.ledger.mark(items[:n], markDone|me+1)
		left += n
	}
	<-joined
	total := 0
	for number := range c.next {
		a := &c.ledger.parties[number]
		for seq := uint32(1); seq <= a.put.Load(); seq++ {
			total++
			m := c.ledger.items[number][seq].Load()
			taker := m & markTaker
			// One that was killed within Done may have done it.
			if m&markDone == 0 && (m&markDoing == 0 || taker == 0 || c.ledger.parties[taker-1].killed.Load() == 0) {
				t.Errorf("item %d of %d was put, and is lost: its mark is %#x", seq, number, m)
			}
		}
	}
	// The dead are noticed by who waits.
	for s, want := (Stats{}), (Stats{Free: 64, Parties: 1}); s != want; {
		short, stop := context.WithTimeout(ctx, CheckInterval)
		err := c.ring.WaitItem(short)
		stop()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("wait for an item that nobody puts: %v", err)
		}
		if s, err = c.ring.Stats(); err != nil || s != want && ctx.Err() != nil {
			t.Fatalf("at the end %+v, %v; want %+v", s, err, want)
		}
	}
	t.Logf("%d items put, %d of them left at the end", total, left)
}
