package loop

import (
	"fmt"
	"log/slog"
	"time"
)

// Options are the bounds and choices of a loop. The zero value of each field means its default.
type Options struct {
	// Driver is what the loop waits on: "epoll", "kqueue", "poll", "select", or "auto" (the default), the best
	// that works here. Drivers lists them.
	Driver string
	// Network is what the loop stands on in place of the kernel's sockets (default none). Its driver is "virtual" then.
	Network Network

	// HighWater is how many bytes of output may wait for one connection (default 256 KiB). From there on Write
	// refuses with ErrFull, and reading from the connection pauses, until half of them have gone.
	HighWater int
	// ReadBuffer is the largest piece that Data gets, in bytes (default 64 KiB). A loop on a selector has a buffer of
	// twice that size, for all its connections.
	ReadBuffer int
	// ReadBudget is how many bytes are read from one connection in a turn before the others have theirs
	// (default 256 KiB).
	ReadBudget int
	// AcceptBudget is how many connections one listener accepts in a turn (default 64).
	AcceptBudget int
	// PostQueue is how many posted functions may wait (default 65536): Post then refuses with ErrPostQueueFull.
	PostQueue int
	// PacketSize is the longest datagram that is received whole (default 65535 bytes, which is all that UDP has).
	PacketSize int
	// PacketBatch is how many datagrams one system call receives or sends (default 32), and how many of one
	// socket are handled in a turn.
	PacketBatch int
	// PacketQueue is how many bytes of datagrams may wait to be sent by one socket (default 1 MiB).
	PacketQueue int

	// Spin is how long a loop with nothing to do looks again and again before it sleeps (default 0: it does not). To be
	// woken on a processor that idles takes 5 to 30 µs; a peer of this machine that answers sooner, as another process
	// does, is met awake. It costs a processor that others could use, so the loop does it only while it pays: after a few
	// vain tries it is left out, and tried again from time to time. With one processor (GOMAXPROCS) it is never done.
	Spin time.Duration

	// Linger bounds how long Close waits for the peer to acknowledge more of what was written (default 10 s): a peer that
	// reads slowly gets all, up to 30 times as long.
	Linger time.Duration
	// Stall is how long a handler may hold the loop before it is reported, once, with its stack (default
	// 100 ms). Negative: never. Time in which it had no processor is not counted, as far as the system tells (see Stall).
	Stall time.Duration
	// OnStall gets the report, on a goroutine of its own. The default writes it to Log: "at" is the line that holds the
	// loop, and the group "stack" has an attribute for each call, from the innermost.
	OnStall func(Stall)
	// Clock is where the time comes from (default the Network's, if there is one, or else the system's).
	Clock Clock
	// Log gets what nobody else is told: that a listener steps back for want of descriptors and goes on again, and stalls
	// (default slog.Default()). Of lines with the same level and message ten are written at once and then one a second,
	// by Clock if it is a SteppedClock; the attribute "omitted" says how many before it were not.
	Log *slog.Logger
}

// The defaults, and the bounds that are no choice.
const (
	defaultHighWater    = 256 << 10
	defaultReadBuffer   = 64 << 10
	defaultReadBudget   = 256 << 10
	defaultAcceptBudget = 64
	defaultPostQueue    = 64 << 10
	defaultPacketSize   = 65535
	defaultPacketBatch  = 32
	defaultPacketQueue  = 1 << 20
	defaultLinger       = 10 * time.Second
	defaultStall        = 100 * time.Millisecond

	corkLimit = 16 << 10  // a connection's output of one turn beyond which it leaves at once
	corkMore  = 68 << 10  // likewise, of WriteMore
	corkArena = 256 << 10 // what all connections' output of one turn may take before it moves to blocks

	// After Close, once all is acknowledged: how long the peer has to close its half.
	lingerForEOF = time.Second
	mostLingers  = 30 // how many times Options.Linger the closing of a connection may take whose peer reads slowly
)

// withDefaults checks o and fills it in.
func (o Options) withDefaults() (Options, error) {
	for _, f := range []struct {
		name    string
		v       *int
		def     int
		minimum int
	}{
		{"HighWater", &o.HighWater, defaultHighWater, 1},
		{"ReadBuffer", &o.ReadBuffer, defaultReadBuffer, 1},
		{"ReadBudget", &o.ReadBudget, defaultReadBudget, 1},
		{"AcceptBudget", &o.AcceptBudget, defaultAcceptBudget, 1},
		{"PostQueue", &o.PostQueue, defaultPostQueue, 1},
		{"PacketSize", &o.PacketSize, defaultPacketSize, 1},
		{"PacketBatch", &o.PacketBatch, defaultPacketBatch, 1},
		{"PacketQueue", &o.PacketQueue, defaultPacketQueue, 1},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < f.minimum {
			return o, fmt.Errorf("loop: Options.%s is %d: it must be at least %d, or 0 for the default of %d", f.name, *f.v,
				f.minimum, f.def)
		}
	}
	if o.Linger < 0 {
		return o, fmt.Errorf("loop: Options.Linger is %v: it must not be negative; 0 means the default of %v", o.Linger,
			defaultLinger)
	}
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	if o.Spin < 0 {
		return o, fmt.Errorf("loop: Options.Spin is %v: it must not be negative; 0 means not at all", o.Spin)
	}
	if o.Stall == 0 {
		o.Stall = defaultStall
	}
	if err := o.checkNetwork(); err != nil {
		return o, err
	}
	if o.Clock == nil && o.Network != nil {
		o.Clock = o.Network
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Driver == "" {
		o.Driver = "auto"
	}
	return o, nil
}
