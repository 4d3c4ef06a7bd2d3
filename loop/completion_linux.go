package loop

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/plexor-go/plexor/internal/prefetch"
	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/uring"
)

// completion is the driver over io_uring: it asks for reads, writes and accepts, and is told when they are done.
//
// One ring a loop, and one system call a turn: what a turn asks for is submitted by the call that waits for the next
// one. A connection has one receive under way for as long as it wants to read (multishot), into buffers that all
// connections of the loop share; the handler gets a view of the buffer, and the kernel has it back when the handler
// returns. What a turn writes is sent out of the arena, by operations that do not wait: what the kernel does not take
// at once comes back with their completions, moves to the connection's blocks, and is sent by system calls when a
// poll says that there is room. So nothing that the kernel looks at later lies on Go's heap, and a slow peer holds up
// no memory that others need.
//
// Completions carry an operation and the number of a slot. A slot is given to nobody else while an operation of it is
// under way, and its descriptor is not closed: so a completion can't be taken for another's. That is why release only
// cancels, if something is under way, and the last completion closes.
type completion struct {
	loop    *Loop
	opt     *Options
	ring    *uring.Ring
	bufs    *uring.BufRing
	slots   []*slot
	endings map[uint32]error // of slots that hold bytes: io.EOF, or why the connection broke
	free    []uint32
	arenas  []*sendArena
	arena   *sendArena
	again   []*slot // to look at in the next dispatch: bytes are held
	spare   []*slot
	sending []*slot     // their sends are submitted with the next wait, and done when it returns
	ready   []uring.CQE // of this turn
	turn    uint32
	ranOut  uint32    // the turn in which the buffers last ran out, or were resized
	limit   int       // buffers in use, in bytes
	most    int       // buffers that there are, in bytes
	lacks   lineLimit // of the log's lines about want of memory
	hungry  hungry
	enabled bool
	// Whether the kernel fills a buffer with what several connections send.
	incremental bool
	// Whether the kernel does without bounds on multishot receives; see receive.
	single  bool
	waker   *eventfd
	signals uring.SignalBlock
	sweep   sweep
	waited  bool // the last wait did, or might have
	// unguarded is for a test of what happens otherwise: signals are not blocked while the kernel is entered.
	unguarded bool
	pio       *packetIO // sends datagrams
	group     *uring.BufRing
	message   *uring.Message // what a datagram is received with: its peer
	telling   *uring.Message // and where it was sent to
	memory    *uring.Arena
}

const (
	receiveGroup = 0
	packetGroup  = 1

	// How long a loop that ends waits for the kernel to be done with cancelled operations.
	cancelLimit = 2 * time.Second
)

func probeCompletion() DriverInfo {
	info := DriverInfo{Name: completionName}
	if os.Getenv(noIOUring) != "" {
		info.Err = errSwitchedOff
		return info
	}
	// What a loop needs is tried by making what a loop has.
	done := make(chan struct{})
	go func() { // the ring belongs to its thread
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		o, _ := Options{}.withDefaults() // the defaults are no mistake
		d, err := newCompletion(&Loop{opt: o})
		if err == nil {
			if err = d.start(); err == nil {
				err = d.wait(0)
			}
			info.Features = d.features()
			_ = d.close() // it was for the trial alone
		}
		info.Err = err
	}()
	<-done
	return info
}

// newCompletion makes a driver of the loop's size.
func newCompletion(l *Loop) (driver, error) {
	// A filter may let a ring be made and not be used. That must show here, where there is still a choice.
	if err := uring.Available(); err != nil {
		return nil, err
	}
	size := completionSizes[l.size]
	// Made disabled, for it belongs to the thread that enables it, which start does.
	o := uring.Options{Entries: size.submissions, CQEntries: size.completions, NoIOWait: true,
		Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun | uring.SetupSubmitAll | uring.SetupDisabled}
	ring, err := uring.New(o)
	if err != nil && !scarce(err) { // Linux before 6.15 does not know NoIOWait
		o.NoIOWait = false
		ring, err = uring.New(o)
	}
	if err != nil {
		return nil, err
	}
	d := &completion{loop: l, opt: &l.opt, ring: ring, limit: leastReceive, most: size.receive,
		endings: make(map[uint32]error)}
	if err := d.makeBuffers(); err != nil {
		_ = ring.Close() // err is the one to tell
		return nil, err
	}
	return d, nil
}

// memoryLacks tells the log what the loop does with less memory.
func (d *completion) memoryLacks(what string, err error) {
	if unlogged, ok := d.lacks.next(d.loop.readClock()); ok {
		d.opt.Log.Warn("a loop has less memory than it asked for: "+what,
			"driver", completionName, "err", err, "unlogged", unlogged)
	}
}

func (d *completion) makeBuffers() (err error) {
	for _, op := range []uring.Op{uring.OpRecv, uring.OpSend, uring.OpAccept, uring.OpPollAdd, uring.OpAsyncCancel,
		uring.OpRead} {
		if !d.ring.Supports(op) {
			return fmt.Errorf("the kernel has no %v: %w", op, errors.ErrUnsupported)
		}
	}
	d.bufs, err = d.ring.NewBufRing(uring.BufRingOptions{Group: receiveGroup, Size: sharedBuffer,
		Entries: d.most / sharedBuffer, Start: leastReceive / sharedBuffer, Incremental: true})
	d.incremental = err == nil
	if err != nil && !scarce(err) { // Linux before 6.12
		d.bufs, err = d.ring.NewBufRing(uring.BufRingOptions{Group: receiveGroup, Size: singleBuffer,
			Entries: d.most / singleBuffer, Start: leastReceive / singleBuffer})
	}
	if err != nil {
		return err
	}
	if d.waker, err = newEventfd(); err != nil {
		return err
	}
	return nil
}

func (d *completion) name() string { return completionName }

// features are those of the kernel's that make a difference here.
func (d *completion) features() (fs []string) {
	for _, f := range d.ring.Features() {
		switch f {
		case "single_issuer", "defer_taskrun", "reg_reg_ring", "cqe_skip", "ext_arg", "nodrop", "no_iowait":
			fs = append(fs, f)
		}
	}
	if d.incremental {
		fs = append(fs, "incremental_buffers")
	}
	return fs
}

// start binds the ring to this goroutine's thread, and so the goroutine to it.
func (d *completion) start() error {
	runtime.LockOSThread()
	d.loop.thread.Store(ownThread())
	if err := d.ring.Enable(); err != nil {
		return err
	}
	d.enabled = true
	_ = d.ring.Register() // without, each call looks the descriptor up
	return d.armWaker()
}

// wait makes two calls: the first submits, without telling Go's scheduler, and is enough when something has
// completed by then; only if nothing has, the second one waits. Signals wait meanwhile: see uring.SignalBlock.
func (d *completion) wait(timeout time.Duration) error {
	if !d.unguarded {
		d.signals.Block()
		defer d.signals.Unblock()
	}
	ready, err := d.ring.SubmitAndPoll()
	if err == nil && ready == 0 && timeout != 0 && len(d.again) == 0 && d.hungry.none() && !d.awaited() {
		d.waited = true
		_, err = d.ring.Wait(1, d.sweep.bound(timeout, len(d.loop.conns)))
	}
	switch err {
	case uring.ErrTimeout:
		return nil
	case uring.ErrBusy, uring.ErrAgain: // there are completions to read first
		return nil
	}
	return err
}

func (d *completion) found() bool {
	return len(d.ring.Ready())+len(d.again) > 0 || !d.hungry.none() || d.awaited()
}

// awaited reports whether something is to follow a send that is done by now.
func (d *completion) awaited() bool {
	for _, s := range d.sending {
		if c := s.conn; c == nil || c.out != nil || c.is(shutWanted|full) {
			return true
		}
	}
	return false
}

func (d *completion) wake() error { return d.waker.wake() }

// dispatch hands out what has completed by now, and what was held and may go on.
func (d *completion) dispatch() {
	d.turn++
	d.hungry.served, d.hungry.short = 0, false
	if d.waited || d.turn%sweepTurns == 0 {
		d.waited = false
		d.lookAround()
	}
	if d.turn-d.ranOut > calmTurns {
		d.resize(d.limit / 2)
	}
	// Copied, so that the queue has room for what the handlers cause.
	d.ready = d.ready[:0]
	for cqes := d.ring.Ready(); len(cqes) > 0; cqes = d.ring.Ready() {
		d.ready = append(d.ready, cqes...)
		d.foresee(cqes)
		d.ring.Advance(len(cqes))
	}
	d.finishSends(d.ring.Prepared() == 0) // before anything else is asked for
	again := d.again
	d.again = d.spare[:0]
	for i, s := range again {
		again[i] = nil
		s.queued = false
		d.lookAt(s)
	}
	d.spare = again[:0]
	var ahead lookahead
	many := len(d.loop.conns) >= manyConns
	for i := range d.ready {
		if many {
			d.prefetch(i, &ahead)
		}
		d.complete(&d.ready[i])
	}
	d.ready = d.ready[:0]
	d.feed()
}

// lookAt does for s what was put off.
func (d *completion) lookAt(s *slot) {
	switch {
	case s.listener() != nil:
		d.acceptOn(s)
	case s.packet() != nil:
		d.refusals(s)
	default:
		d.resume(s)
	}
}

// prefetch looks ahead of the completion ready[i].
func (d *completion) prefetch(i int, ahead *lookahead) {
	if s := d.slotOf(i + aheadSlot); s != nil {
		prefetch.Bytes(unsafe.Pointer(s), unsafe.Sizeof(*s))
	}
	if s := d.slotOf(i + aheadConn); s != nil && s.conn != nil {
		s.conn.prefetch()
	}
	var c *Conn
	if s := d.slotOf(i + aheadOfCall); s != nil {
		c = s.conn
	}
	ahead.next(c)
}

// complete is one completion.
func (d *completion) complete(c *uring.CQE) {
	op, number := opSet(c.UserData>>32), uint32(c.UserData)
	switch op {
	case opWake:
		d.woken(c)
		return
	case opCancel:
		return
	}
	s := d.slots[number]
	if !c.More() {
		s.ops &^= op
		s.cancels &^= op
	}
	switch op {
	case opReceive:
		s.unheard = false
		d.received(s, c)
	case opSend: // finishSends has seen to it
	case opPollOut:
		d.writable(s, c)
	case opPollIn:
		if s.listener() != nil {
			d.comes(s)
			break
		}
		d.watched(s, selector.Read, c)
	case opAccept:
		d.accepted(s, c)
	case opReceiveMessage:
		d.receivedPacket(s, c)
	case opPollHangup:
		d.hangup(s, c)
	case opPollError:
		d.refusedPacket(s, c)
	default:
		panic(fmt.Sprintf("loop: a completion that nobody asked for: %#x", c.UserData))
	}
	if s.released && s.ops == 0 {
		d.gone(s)
	}
}

// submission gives an entry of the queue for an operation of s.
func (d *completion) submission(s *slot, op opSet) *uring.SQE {
	e := d.entry()
	s.ops |= op
	e.UserData = s.mark(op)
	return e
}

// entry gives an entry of the queue. If that is full it is submitted, and some of what it asks for is done at once.
func (d *completion) entry() *uring.SQE {
	if e := d.ring.SQE(); e != nil {
		return e
	}
	e, err := d.ring.NextSQE()
	if err != nil {
		// The kernel takes nothing: it has no memory, or completions wait to be read. Neither lasts.
		e = d.patience(err)
	}
	d.foresee(d.ring.Ready())
	return e
}

// mostPatience bounds how long the kernel may refuse submissions.
const mostPatience = 5 * time.Second

func (d *completion) patience(err error) *uring.SQE {
	for limit := time.Now().Add(mostPatience); time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
		var e *uring.SQE
		if e, err = d.ring.NextSQE(); err == nil {
			return e
		}
	}
	panic(fmt.Sprintf("loop: io_uring takes no submissions: %v", err))
}

// close waits for what was cancelled, for a bounded time, and gives the ring back.
func (d *completion) close() error {
	if !d.enabled { // it belongs to the thread that made it; this one is to close it
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = d.ring.Enable() // Close tells if it had to succeed
	}
	for limit := time.Now().Add(cancelLimit); d.busy() && time.Now().Before(limit); {
		if d.wait(cancelLimit/10) != nil {
			break // the ring's own end ends them too
		}
		d.dispatch()
	}
	err := d.ring.Close()
	for _, s := range d.slots {
		if s.released && s.ops != 0 {
			d.gone(s)
		}
	}
	for _, a := range d.arenas {
		err = errors.Join(err, a.memory.Free())
	}
	if d.memory != nil {
		err = errors.Join(err, d.memory.Free())
	}
	if d.waker != nil {
		err = errors.Join(err, d.waker.close())
	}
	return err
}

func (d *completion) busy() bool {
	return slices.ContainsFunc(d.slots, func(s *slot) bool { return s.released && s.ops != 0 })
}
