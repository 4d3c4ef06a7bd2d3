package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"
)

// A Transport moves packets between nodes. It may lose some. Of those that come, none comes twice, and none overtakes
// another one of the same sender that went the same way, to that node or to all.
type Transport interface {
	// Open begins. take is called with each packet that is for id or for all, one at a time; it may keep the packet.
	Open(id NodeID, take func(packet []byte)) error
	// Send sends a packet to a node, or to all if to is 0. One goroutine calls it. The packet is the caller's again
	// when it returns.
	Send(to NodeID, packet []byte) error
	// Close ends it. No call of take begins afterwards.
	Close() error
}

// Options say what a node is. The zero value is a node alone.
type Options struct {
	// Name is what other nodes call this one; "": the machine's name. It need not be the only one of that name.
	Name string
	// Transport leads to the other nodes; nil: there are none, and all rooms are in this process. The Bus closes it.
	Transport Transport
	Limits    Limits
	// Log is told once of each other version of the protocol that nodes are heard to speak: such a node and this one
	// do not see each other. nil: slog.Default().
	Log *slog.Logger
}

// A Bus is a node. All methods are for any goroutine, and for what runs on a loop; those that wait take a context, and
// are not for a loop.
type Bus struct {
	tr     Transport
	limits Limits
	log    *slog.Logger
	poke   chan struct{} // the timer is to look
	mail   chan struct{} // there is something to be sent
	done   chan struct{} // closed: it is over
	ends   sync.WaitGroup

	mu       sync.Mutex
	m        *machine
	services map[string]*answerer
	out      []parcel
	queued   int // bytes of out
	next     time.Time
	woken    *[]*cursor // to be woken when mu is not held any more; nil: none
	foreign  [256]bool  // versions that were logged
	closed   bool
}

// wakeLists are what Bus.woken points to.
var wakeLists = sync.Pool{New: func() any { return new([]*cursor) }}

// Open starts a node. It looks around for a second before it owns rooms, if there is a transport: what is published
// before then waits.
func Open(o Options) (*Bus, error) {
	l, err := o.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name, _ = os.Hostname() // "" without one
	}
	if len(o.Name) > mostName {
		return nil, fmt.Errorf("bus: the node's name: %w", ErrTooLong)
	}
	var seed [40]byte
	_, _ = rand.Read(seed[:]) // it never fails
	b := &Bus{tr: o.Transport, limits: l, log: cmp.Or(o.Log, slog.Default()), poke: make(chan struct{}, 1),
		mail: make(chan struct{}, 1), done: make(chan struct{}), services: make(map[string]*answerer)}
	id := NodeID(binary.BigEndian.Uint64(seed[32:])) | 1
	random := mathrand.New(mathrand.NewChaCha8([32]byte(seed[:32])))
	b.m = newMachine(id, o.Name, l, random, time.Now(), b.tr == nil)
	if b.tr != nil {
		if err := b.tr.Open(id, b.take); err != nil {
			return nil, fmt.Errorf("bus: %w", err)
		}
	}
	b.do(func(*machine) {}) // it has something to say
	b.ends.Add(1)
	go b.tick()
	if b.tr != nil {
		b.ends.Add(1)
		go b.sender()
	}
	return b, nil
}

// ID is the node's.
func (b *Bus) ID() NodeID { return b.m.id }

// do does something with the machine, and what follows from it. It reports false if the bus is closed.
func (b *Bus) do(f func(m *machine)) bool {
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return false
	}
	b.m.now = time.Now()
	f(b.m)
	b.after()
	return true
}

// unlock gives mu back, and wakes subscribers. They need mu, and thousands of them that wait for it while others are
// still woken by who holds it would hand it from one to the next, with a switch of goroutines each.
func (b *Bus) unlock() {
	woken := b.woken
	b.woken = nil
	b.mu.Unlock()
	if woken == nil {
		return
	}
	for _, c := range *woken {
		c.wake()
	}
	clear(*woken)
	*woken = (*woken)[:0]
	wakeLists.Put(woken)
}

// after is what follows from what the machine has done. The caller holds mu, and gives it back by unlock.
func (b *Bus) after() {
	m := b.m
	m.settleLocal()
	for len(m.calls.starts) > 0 {
		b.start()
		m.settleLocal()
	}
	for _, r := range m.woken {
		r.woke = false
		if b.woken == nil {
			b.woken = wakeLists.Get().(*[]*cursor)
		}
		*b.woken = append(*b.woken, r.subs...)
	}
	clear(m.woken)
	m.woken = m.woken[:0]
	if len(m.out) > 0 && b.tr != nil {
		for _, p := range m.out {
			if b.queued += p.f.size(); b.queued > b.limits.Out {
				b.queued -= p.f.size()
				m.stats.Dropped++
				continue
			}
			b.out = append(b.out, p)
		}
		offer(b.mail)
	}
	clear(m.out)
	m.out = m.out[:0]
	if busy := len(m.busyRooms)+len(m.busySeats) > 0 || m.calls.busy(); busy && b.next.Sub(m.now) > tick {
		offer(b.poke)
	}
}

// offer puts a token into a channel that has room for one.
func offer(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take takes a packet from the transport.
func (b *Bus) take(packet []byte) {
	if b.read(packet) {
		return
	}
	from := NodeID(binary.BigEndian.Uint64(packet[1:]))
	b.log.Warn("bus: a node speaks another version of the protocol, and is not heard", "node", from,
		"version", packet[0], "own", wireVersion)
}

// read reads a packet. false: it is the first one of another version, which is to be logged.
func (b *Bus) read(packet []byte) bool {
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return true
	}
	now := time.Now()
	known := true
	switch err := parsePacket(packet, func(from NodeID, f *frame) { b.m.receive(now, from, f) }); err {
	case nil:
	case errVersion:
		b.m.stats.Foreign++
		known = b.foreign[packet[0]]
		b.foreign[packet[0]] = true
	default:
		b.m.stats.Refused++
	}
	b.after()
	return known
}

// tick has the machine do what is due.
func (b *Bus) tick() {
	defer b.ends.Done()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-b.poke:
		case <-b.done:
			return
		}
		b.mu.Lock()
		now := time.Now()
		if wait := b.next.Sub(now); wait > tick {
			b.next = now.Add(tick) // poked
		} else if wait <= 0 {
			b.next = b.m.tick(now, b.tr == nil)
			b.after()
		}
		t.Reset(time.Until(b.next))
		b.unlock()
	}
}

// sender sends what the machine has said, many frames in a packet.
func (b *Bus) sender() {
	defer b.ends.Done()
	var out []parcel
	for over := false; !over; {
		select {
		case <-b.mail:
		case <-b.done:
			over = true // what is there is sent
		}
		b.mu.Lock()
		out, b.out = b.out, out[:0]
		b.queued = 0
		b.mu.Unlock()
		dropped := b.sendAll(out)
		clear(out)
		if dropped > 0 {
			b.mu.Lock()
			b.m.stats.Dropped += dropped
			b.mu.Unlock()
		}
	}
}

// sendAll gathers frames to the same node.
func (b *Bus) sendAll(out []parcel) (dropped int64) {
	type packet struct {
		to NodeID
		p  []byte
	}
	var packets []packet
	send := func(p *packet) {
		if len(p.p) > packetHeader && b.tr.Send(p.to, p.p) != nil {
			dropped++
		}
		p.p = p.p[:packetHeader]
	}
	for i := range out {
		to, f := out[i].to, &out[i].f
		at := slices.IndexFunc(packets, func(p packet) bool { return p.to == to })
		if at < 0 {
			at = len(packets)
			packets = append(packets, packet{to, appendPacket(nil, b.m.id)})
		}
		p := &packets[at]
		if len(p.p)+f.size() > packetGood {
			send(p)
		}
		p.p = f.append(p.p)
	}
	for i := range packets {
		send(&packets[i])
	}
	return dropped
}

// Close says goodbye to the other nodes, and ends the node: rooms that it owned get another owner at once, its members
// are gone. Who waits for something gets ErrClosed.
func (b *Bus) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		b.ends.Wait()
		return nil
	}
	b.m.bye(time.Now())
	b.after()
	for _, s := range slices.Clone(b.m.calls.in) {
		s.end(b.m)
	}
	b.closed = true
	b.unlock()
	close(b.done)
	b.ends.Wait()
	if b.tr == nil {
		return nil
	}
	if err := b.tr.Close(); err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	return nil
}

// Stats are the counts.
func (b *Bus) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.m
	s := m.stats
	s.Nodes, s.Rooms, s.Memory = 1, len(m.rooms.all), int64(m.memory)
	for _, p := range m.peers {
		if p.connected {
			s.Nodes++
		}
	}
	for _, seat := range m.seats.all {
		if seat.cur != nil {
			s.Owned++
		}
	}
	return s
}

// A Room is a name to which messages are published, and all subscribers of all nodes see them in the same order. It
// is there as long as somebody uses it; who owns it is found by its name. A Room may be copied.
type Room struct {
	b    *Bus
	name string
}

// Room is the one of that name, of 255 bytes at most.
func (b *Bus) Room(name string) Room { return Room{b, name} }

// Name is the room's.
func (r Room) Name() string { return r.name }

// in does something with the room.
func (r Room) in(f func(*room) error) (err error) {
	err = ErrClosed
	r.b.do(func(m *machine) {
		var in *room
		if in, err = m.room(r.name); err == nil {
			err = f(in)
		}
	})
	return err
}

// Publish publishes a message, and waits until its place in the room is known. data must not be written to any more.
// ErrPerhaps and the context's cause mean that it may have been published, or may be yet; ErrFull and ErrTooLong that
// it was not. Messages of one goroutine to a room stay in their order, and so do those of all Posts.
func (r Room) Publish(ctx context.Context, data []byte) (Position, error) {
	type answer struct {
		at  Position
		err error
	}
	c := make(chan answer, 1)
	err := r.in(func(in *room) error {
		return in.publish(data, func(at Position, err error) { c <- answer{at, err} })
	})
	if err != nil {
		return Position{}, err
	}
	select {
	case a := <-c:
		return a.at, a.err
	default:
	}
	select {
	case a := <-c:
		return a.at, a.err
	case <-ctx.Done():
		return Position{}, context.Cause(ctx)
	case <-r.b.done:
		return Position{}, fmt.Errorf("%w: %w", ErrPerhaps, ErrClosed)
	}
}

// Post is Publish for who does not wait: on a loop, or for many messages.
func (r Room) Post(data []byte) error {
	return r.in(func(in *room) error { return in.publish(data, nil) })
}

// A Subscription is a subscriber of a room. It is for one goroutine at a time; Close is for any.
type Subscription struct {
	b     *Bus
	c     *cursor
	ready chan struct{}
	over  chan struct{}
	once  sync.Once
	idle  bool // nothing is there until ready says so
}

// Subscribe subscribes from now on, or, with positions, behind what the subscriber has had: those of the last messages
// that it had, the newest last. One is enough, but for clients that went from node to node while these were cut off
// from each other: those show the last one of each epoch that they have seen, up to eight, and so get nothing twice.
// If messages behind the newest are not known any more, the first event is a Gap.
//
// A subscriber costs no queue of its own: it reads the messages that its node keeps of the room. If it is so slow that
// these are dropped before it has them, it gets a Gap in their place.
func (r Room) Subscribe(after ...Position) (*Subscription, error) {
	s := &Subscription{b: r.b, ready: make(chan struct{}, 1), over: make(chan struct{})}
	err := r.in(func(in *room) error {
		s.c = in.subscribe(after, func() { offer(s.ready) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Ready waits until the subscriber's node is in the room: from then on no message is missed without a Gap. For one that
// has subscribed without a position, "now" is then.
func (s *Subscription) Ready(ctx context.Context) error {
	return s.wait(ctx, func() bool { return s.c.known })
}

// Next waits for the next event.
func (s *Subscription) Next(ctx context.Context) (e Event, err error) {
	err = s.wait(ctx, func() (ok bool) {
		e, ok = s.c.next()
		return ok
	})
	return e, err
}

// wait waits until look, which is called with the machine held, says that it has what it wants.
func (s *Subscription) wait(ctx context.Context, look func() bool) error {
	for {
		if !s.idle { // else mu is left to others
			s.b.mu.Lock()
			select {
			case <-s.ready: // what comes from now on is told anew
			default:
			}
			ok := look()
			s.idle = !ok || s.c.idle()
			s.b.mu.Unlock()
			if ok {
				return nil
			}
		}
		select {
		case <-s.ready:
			s.idle = false
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.over:
			return ErrClosed
		case <-s.b.done:
			return ErrClosed
		}
	}
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.over)
		s.b.do(func(*machine) { s.c.end() })
	})
}
