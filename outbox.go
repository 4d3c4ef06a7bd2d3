package plexor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/layer"
)

// An Outbox is where any goroutine puts what a connection is to send: another connection's handler, another loop, a
// goroutine that the engine knows nothing of. [Conn.Outbox] gives it, and it may be kept for as long as anybody
// likes. It is a bounded queue, in which nobody waits unless he asks to (SendWait, PutWait).
//
// # Order
//
// What is put into an Outbox leaves in that order: of one goroutine's calls as they were made, those of an [Audience]
// that the connection is in among them. Each entry leaves in one piece, between two Writes or Sends of the handler's
// and never within one; which of the two comes first is not promised. A handler that writes without end and an Outbox
// that never empties take turns.
//
// # Bounds
//
// What finds no room in the connection's own output (Limits.HighWater), since the peer does not read, waits in the
// Outbox, up to its [OutboxLimits]. Then these say what happens: the newest is refused with ErrOutboxFull, the oldest
// is dropped, or the connection is closed. What has a key (SendLatest, PutLatest) takes the place of what waits with
// the same key. Reading from the peer goes on while entries wait, as it does while a handler's Writes wait: not at
// all with [Messages] while the output is full. Whoever waits for room gets it first come, first served; a Send that
// does not wait may be quicker.
//
// # Bytes
//
// A message or piece is the caller's again when the method returns. Many outboxes share the bytes of a [Prepared].
// An Outbox that nobody asked for costs nothing, and one in which nothing waits some 350 bytes.
//
// # The end
//
// Entries that were accepted before Close, CloseWrite, the handler's return or Shared leave before what these do:
// they count as written, so Close waits for them, within Limits.Linger. [Server.Shutdown] takes no connection for
// quiet while entries wait. But they are dropped if another coroutine's Write is half done when the connection is
// closed, for the peer could not tell them from its rest; and when the connection breaks, is reset or aborted, or its
// idle timeout passes. While the handshake of StartTLS is under way, and from when the write deadline of the Conn has
// passed until it is set anew, they wait. From the end on all methods fail with an error that is net.ErrClosed to
// errors.Is, and never ErrOutboxFull, and the Outbox holds nothing but itself.
//
// All methods may be called by any goroutine and any coroutine, at once.
type Outbox struct {
	mu       sync.Mutex
	c        *Conn // nil: it takes no more
	w        *worker
	codec    frame.Codec // nil: none
	err      error       // why it takes no more
	limits   OutboxLimits
	queue    outQueue
	listed   uint64       // the mail has it since so many casts were handed in, plus 1; 0: it does not
	overrun  bool         // it was full, and the connection is to be closed
	waiters  []*outWaiter // for room, in the order in which they came
	in       []*Audience
	dropped  int64
	replaced int64
	sent     atomic.Int64

	// Of the loop alone.
	rest  []byte // of an entry that has left in part
	holds bool   // it has the right to write, and waits for room, or is in the midst of an entry
}

var (
	// ErrOutboxFull is what does not fit into an [Outbox] now: it was not taken. errors.Is does not find
	// net.ErrClosed in it.
	ErrOutboxFull = errors.New("plexor: the outbox is full (OutboxLimits)")
	// ErrOutboxTooLong is what never fits, as it alone is longer than OutboxLimits.Bytes.
	ErrOutboxTooLong = errors.New("plexor: it is longer than all that the outbox may hold (OutboxLimits.Bytes)")
)

// OutboxLimits bound an [Outbox]. The zero value of each field means its default. A Server's are in [Limits];
// SetLimits changes those of one.
type OutboxLimits struct {
	// Bytes is how many bytes of entries may wait (default 256 KiB), and Entries how many of them (default 1024,
	// which is a bound on what the queue itself takes, of 48 bytes each). What is in the connection's own output does
	// not count.
	Bytes   int
	Entries int
	// WhenFull is what happens to an entry for which there is no room.
	WhenFull WhenFull
}

// WhenFull says what an [Outbox] does when it is full.
type WhenFull uint8

const (
	// RefuseNewest refuses the new entry with ErrOutboxFull. It is the default.
	RefuseNewest WhenFull = iota
	// DropOldest drops those that have waited longest, until there is room. One of which a part has left is never
	// dropped.
	DropOldest
	// CloseWhenFull ends the connection with a reset: for peers that must get all or be gone. The Send that finds no
	// room fails with ErrOutboxFull, and so does what the connection's handler reads and writes.
	CloseWhenFull
)

const (
	// So that a peer that does not read costs at most twice what one without an Outbox does.
	defaultOutboxBytes   = defaultHighWater
	defaultOutboxEntries = 1024
)

// withDefaults checks l and fills it in.
func (l OutboxLimits) withDefaults() (OutboxLimits, error) {
	if l.Bytes == 0 {
		l.Bytes = defaultOutboxBytes
	}
	if l.Entries == 0 {
		l.Entries = defaultOutboxEntries
	}
	switch {
	case l.Bytes < 0:
		return l, fmt.Errorf("plexor: OutboxLimits.Bytes is %d: it must be positive, or 0 for the default of %d",
			l.Bytes, defaultOutboxBytes)
	case l.Entries < 0:
		return l, fmt.Errorf("plexor: OutboxLimits.Entries is %d: it must be positive, or 0 for the default of %d",
			l.Entries, defaultOutboxEntries)
	case l.WhenFull > CloseWhenFull:
		return l, fmt.Errorf("plexor: OutboxLimits.WhenFull is %d: there is no such choice", l.WhenFull)
	}
	return l, nil
}

// OutboxStats are an [Outbox]'s counts since it was made.
type OutboxStats struct {
	Entries  int   // that wait now
	Bytes    int   // of those
	Sent     int64 // entries that the connection has taken
	Dropped  int64 // that were refused for want of room, dropped to make some, or lost with the connection
	Replaced int64 // that a newer one with the same key took the place of
}

// A Prepared is a message that is encoded once, for many outboxes. The zero value is empty.
type Prepared struct{ p []byte }

// Prepare encodes msg. The error is the codec's, which refuses the message.
func Prepare(codec frame.Codec, msg []byte) (Prepared, error) {
	if codec == nil {
		return Prepared{}, ErrNoCodec
	}
	p, err := codec.Append(make([]byte, 0, len(msg)+mostHeader), msg)
	return Prepared{p}, err
}

// PrepareBytes is Prepare for bytes that are to leave as they are. It copies p.
func PrepareBytes(p []byte) Prepared { return Prepared{append([]byte(nil), p...)} }

// Outbox is the connection's outbox, made with the first call: see [Outbox]. As all of a Conn it is for the
// coroutines of the connection's loop; what it returns is for any goroutine. After wrong use, and when the connection
// is over, all methods of what it returns fail, and tell why. Its Send has the codec that the Conn has during the
// last call of Outbox.
func (c *Conn) Outbox() *Outbox {
	if err := c.usable("outbox"); err != nil {
		return &Outbox{err: err}
	}
	if c.raw.is(over | closed) {
		return &Outbox{err: &outboxEnd{c.reason()}}
	}
	x := c.raw.getWaits()
	if x.box == nil {
		x.box = &Outbox{c: c, w: c.raw.w, limits: c.raw.w.outboxLimits()}
	}
	x.box.mu.Lock()
	defer x.box.mu.Unlock()
	x.box.codec = c.Codec()
	return x.box
}

// outboxLimits are those of a new Outbox.
func (w *worker) outboxLimits() OutboxLimits {
	if w.srv != nil {
		return w.srv.limits.Outbox
	}
	l, _ := OutboxLimits{}.withDefaults() // they are valid
	return l
}

// An outboxEnd is why an Outbox takes no more.
type outboxEnd struct{ why error }

func (e *outboxEnd) Error() string {
	if e.why == nil || e.why == net.ErrClosed {
		return "plexor: outbox: the connection is closed"
	}
	return "plexor: outbox: the connection has ended: " + layer.Plain(e.why.Error())
}

// Unwrap is net.ErrClosed alone, so that no reason is taken for a full outbox.
func (e *outboxEnd) Unwrap() error { return net.ErrClosed }

// SetLimits changes the bounds from now on. What waits stays, and counts.
func (o *Outbox) SetLimits(l OutboxLimits) error {
	l, err := l.withDefaults()
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.c == nil {
		return o.err
	}
	o.limits = l
	o.wakeWaiters()
	return nil
}

// Limits are the bounds, with no field that stands for a default.
func (o *Outbox) Limits() OutboxLimits {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.limits
}

// Send puts msg, as one message in the codec of [Messages], behind what waits. On the connection's own loop it leaves
// with what else the turn writes, if nothing waits; else the loop is woken, once for all that is put until it comes
// to it. It never waits for the peer, nor for the loop. That Send returns nil does not mean that msg will arrive: the
// connection may break. An error, ErrOutboxFull, ErrOutboxTooLong, ErrNoCodec, the codec's, or one that is
// net.ErrClosed, means that it was not taken.
func (o *Outbox) Send(msg []byte) error { return o.send(nil, msg) }

// SendLatest is Send for what only the latest of is of interest: if an entry with the same key waits, msg takes its
// place, and that one is gone. key must be comparable; nil is none. Looking for it takes time in proportion to how
// many entries wait.
func (o *Outbox) SendLatest(key any, msg []byte) error { return o.send(key, msg) }

// SendWait is Send that waits for room as long as OutboxLimits.WhenFull would refuse, drop or close, until ctx is
// done, whose cause it then returns, or the connection ends. On a coroutine ctx must be the one that it was given, or
// derived from it, as for the operations of package coro: so the coroutine parks. What else runs on the connection's
// loop (a timer, a posted function) can't wait.
func (o *Outbox) SendWait(ctx context.Context, msg []byte) error {
	p, err := o.prepare(msg)
	if err != nil {
		return err
	}
	return o.PutWait(ctx, p)
}

// Write puts p as it is, as Send puts a message. It takes all of it or nothing.
func (o *Outbox) Write(p []byte) (int, error) {
	if err := o.put(entry{p: p}, putting{borrowed: true}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Put is Send for what is prepared.
func (o *Outbox) Put(m Prepared) error { return o.put(entry{p: m.p}, putting{}) }

// PutLatest is SendLatest for what is prepared.
func (o *Outbox) PutLatest(key any, m Prepared) error {
	return o.put(entry{p: m.p, key: key}, putting{})
}

// Stats are the counts.
func (o *Outbox) Stats() OutboxStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	return OutboxStats{Entries: o.queue.n, Bytes: o.queue.bytes,
		Sent: o.sent.Load(), Dropped: o.dropped, Replaced: o.replaced}
}

// Err is why the Outbox takes no more, an error that is net.ErrClosed to errors.Is; nil: it does.
func (o *Outbox) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *Outbox) send(key any, msg []byte) error {
	p, err := o.prepare(msg)
	if err != nil {
		return err
	}
	return o.put(entry{p: p.p, key: key}, putting{})
}

func (o *Outbox) prepare(msg []byte) (Prepared, error) {
	o.mu.Lock()
	codec, err := o.codec, o.err
	o.mu.Unlock()
	if err != nil {
		return Prepared{}, err
	}
	return Prepare(codec, msg)
}

// A putting says how an entry is put in.
type putting struct {
	borrowed bool // its bytes are the caller's again afterwards
	waits    bool // who puts it waits for room
	woken    bool // and has done so
}

// put puts e in, if there is room.
func (o *Outbox) put(e entry, how putting) error {
	o.mu.Lock()
	w := o.w
	if o.c == nil {
		defer o.mu.Unlock()
		return o.err
	}
	if len(e.p) == 0 {
		o.mu.Unlock()
		return nil
	}
	if w.loop.OnLoop() {
		o.mu.Unlock()
		return o.putHere(e, w, how)
	}
	defer o.mu.Unlock()
	if err := o.take(e, how); err != nil {
		return err
	}
	o.list()
	return nil
}

// list has the loop come to what was put in. The caller holds mu.
func (o *Outbox) list() {
	if o.c == nil {
		return
	}
	if casts := o.w.mail.casts.Load(); o.listed != casts+1 { // it is behind all casts already
		o.listed = casts + 1
		o.w.mail.add(post{box: o}) // a loop that has ended has ended the box, or is about to
	}
}

// take takes e in, or says why not. The caller holds mu.
func (o *Outbox) take(e entry, how putting) error {
	switch {
	case o.c == nil:
		return o.err
	case o.overrun:
		return &outboxEnd{ErrOutboxFull}
	case len(e.p) > o.limits.Bytes:
		o.dropped++
		return ErrOutboxTooLong
	case how.waits && o.mustWait(len(e.p), how.woken):
		return errNoRoomYet
	}
	if how.borrowed {
		e.p = append([]byte(nil), e.p...)
	}
	e.after = o.w.mail.casts.Load()
	return o.admit(e)
}

// admit is take for an entry whose place among the casts is known.
func (o *Outbox) admit(e entry) error {
	if e.key != nil {
		if i := o.queue.find(e.key); i >= 0 {
			fits := o.queue.bytes-len(o.queue.at(i).p)+len(e.p) <= o.limits.Bytes
			if fits || o.limits.WhenFull == DropOldest {
				o.replaced++
			}
			if fits {
				o.queue.replace(i, e.p)
				return nil
			}
			if o.limits.WhenFull == DropOldest {
				o.queue.remove(i) // then it is the newest of all
			}
		}
	}
	for o.full(len(e.p)) {
		switch o.limits.WhenFull {
		case DropOldest:
			o.queue.pop()
			o.dropped++
		case CloseWhenFull:
			o.dropped++
			o.overrun = true
			o.listed = 0
			o.list()
			return ErrOutboxFull
		default:
			o.dropped++
			return ErrOutboxFull
		}
	}
	o.queue.push(e)
	return nil
}

// full reports whether there is no room for n bytes more. The caller holds mu.
func (o *Outbox) full(n int) bool {
	return o.queue.n >= o.limits.Entries || o.queue.bytes+n > o.limits.Bytes
}
