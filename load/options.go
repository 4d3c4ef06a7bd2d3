package load

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/sock"
)

// Expect is what the server makes of a message.
type Expect string

const (
	// ExpectEcho: the message itself.
	ExpectEcho Expect = "echo"
	// ExpectUpper: the message with a to z in upper case and "_SB" behind it, as the service upper of plexor serve
	// answers. On a stream without a codec the server answers pieces as they come, and "_SB" may stand behind any of
	// them; a message is answered when the one behind its last byte is there.
	ExpectUpper Expect = "upper"
)

// Options say what load to put on which server. The zero value of a field means its default.
type Options struct {
	// Address is whom to load: tcp://host:port, tls://host:port, udp://host:port or unix:///path, with options as a
	// query, as plexor.Dial takes them. Of a name's addresses the first is taken.
	Address string
	// Insecure trusts any certificate of a tls address. The way to trust one alone is fingerprint=… in the address.
	Insecure bool
	// Codec frames the messages of a stream; nil sends their bytes as they are.
	Codec frame.Codec
	// HTTP, if set, is a request of HTTP/1.1 that is sent in place of messages; Depth of them are pipelined, and Reconnect
	// says with each that the connection ends. Size, Codec and Expect are of no use then.
	HTTP *HTTP
	// WebSocket, if set, has the messages sent by WebSocket. Codec and Expect are of no use then.
	WebSocket *WebSocket
	// Expect is what comes back (default ExpectEcho).
	Expect Expect

	// Conns is how many connections there are at once (default 1); over UDP, how many sockets.
	Conns int
	// Depth is how many messages may be under way on each (default 1).
	Depth int
	// Size is the length of a message in bytes, without what Codec adds (default 64).
	Size int

	// Duration is how long to measure (default 10 s, or for ever if Requests is set).
	Duration time.Duration
	// Requests is how many messages to send in all; 0 for no such end. All of them are measured.
	Requests int64
	// Warmup is how long to send before measuring. It does not go with Requests.
	Warmup time.Duration
	// RampUp is the time over which the connections are made, at even distances. Each sends at once. 0 makes them as
	// fast as it can, and starts all of them together.
	RampUp time.Duration

	// Rate is how many messages are due each second, over all connections; 0 is a closed loop.
	Rate float64
	// Think is how long a connection waits after an answer before it sends again. It does not go with Rate.
	Think time.Duration
	// Reconnect makes a connection for each message; its latency counts from the beginning of the connecting. Depth
	// must be 1.
	Reconnect bool

	// Timeout is how long a connection may take to be made, and how long it may stand still while an answer is due
	// (default 5 s); of a datagram, when it counts as lost (default 1 s).
	Timeout time.Duration

	// Loops is how many event loops share the connections (default 1), each with a thread of its own.
	Loops int
	// Driver is what the loops wait on (default "auto"; see loop.Options).
	Driver string

	// Progress is called a few times a second while the run goes on, from the goroutine of Run.
	Progress func(Progress)

	request []byte // HTTP as it is sent
}

// A Progress is how far a run is.
type Progress struct {
	Phase    string        // "connecting", "warming up", "measuring" or "waiting for the last answers"
	Elapsed  time.Duration // since the phase began
	Fraction float64       // of the measurement, 0 to 1
	Conns    int           // connections that stand
	Messages int64         // answered so far, also before the measurement
	Rate     float64       // messages a second since the last call
}

// The defaults, and what bounds a run.
const (
	defaultSize     = 64
	defaultDuration = 10 * time.Second
	defaultTimeout  = 5 * time.Second
	packetTimeout   = time.Second

	mostConns = 1 << 20
	mostLoops = 1 << 10
	// mostFlight is how many bytes may be under way on one connection; the loop keeps them until the kernel takes them.
	mostFlight = 64 << 20
	// mostDatagram is what UDP can carry over IPv4 (RFC 768).
	mostDatagram = 65507
)

// ErrOptions is found by errors.Is in the errors of [Run] that are mistakes in its Options.
var ErrOptions = errors.New("load: wrong options")

// An optionError says which option is wrong, and what it should be.
type optionError struct{ text string }

func (e *optionError) Error() string        { return e.text }
func (e *optionError) Is(target error) bool { return target == ErrOptions }

func wrong(format string, args ...any) error { return &optionError{fmt.Sprintf(format, args...)} }

// A target is Options.Address, taken apart.
type target struct {
	addr    sock.Addr // of tls:// too its scheme is tcp
	options sock.Options
	secure  bool
}

func (t *target) packets() bool { return t.addr.Scheme == "udp" }

// parseTarget reads an address. The files that a tls address names are left to plexor.Dial.
func parseTarget(address string) (t target, err error) {
	if t.addr, t.secure, err = plexor.ParseAddr(address); err != nil {
		return t, wrong("%v", err)
	}
	o, rest, err := sock.ParseOptions(t.addr.Query)
	if err == nil {
		err = o.Check(t.addr)
	}
	switch {
	case err != nil:
		return t, wrong("address %q: %v", address, err)
	case !t.secure && len(rest) > 0:
		return t, wrong("address %q: unknown options %v; there are %s", address, rest, strings.Join(sock.OptionKeys(), ", "))
	case t.addr.Scheme != "unix" && t.addr.Port == 0:
		return t, wrong("address %q: port 0 is none to connect to", address)
	}
	if pin := rest.Get("fingerprint"); pin != "" {
		if b, err := hex.DecodeString(strings.ReplaceAll(pin, ":", "")); err != nil || len(b) != sha256.Size {
			return t, wrong("address %q: fingerprint is no SHA-256 in hexadecimal", address)
		}
	}
	t.options = o
	return t, nil
}

// readable is an address for people: nothing of its path or zone is percent-encoded.
func readable(address string) string {
	a, secure, err := plexor.ParseAddr(address)
	if err != nil {
		return address
	}
	_, query, has := strings.Cut(address, "?")
	if has {
		if plain, err := url.QueryUnescape(query); err == nil {
			query = plain
		}
		query = "?" + query
	}
	scheme := a.Scheme
	if secure {
		scheme = "tls"
	}
	if scheme == "unix" {
		return "unix://" + a.Path + query
	}
	return scheme + "://" + net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) + query
}

// withDefaults fills in what was left open, and refuses what makes no sense.
func (o Options) withDefaults(t *target) (Options, error) {
	if o.WebSocket != nil {
		if err := o.checkWebSocket(t); err != nil {
			return o, err
		}
	}
	if o.HTTP != nil {
		if err := o.checkHTTP(t); err != nil {
			return o, err
		}
	}
	for _, d := range []struct {
		name            string
		v               *int
		def, from, upTo int
	}{
		{"connections", &o.Conns, 1, 1, mostConns},
		{"depth", &o.Depth, 1, 1, mostFlight},
		{"size", &o.Size, defaultSize, 1, mostFlight},
		{"loops", &o.Loops, 1, 1, mostLoops},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < d.from || *d.v > d.upTo {
			return o, wrong("%s: %d is out of range: want %d to %d, or 0 for %d", d.name, *d.v, d.from, d.upTo, d.def)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"duration", o.Duration}, {"warm-up", o.Warmup}, {"ramp-up", o.RampUp}, {"think time", o.Think},
		{"timeout", o.Timeout}} {
		if d.v < 0 {
			return o, wrong("%s: %v is negative", d.name, d.v)
		}
	}
	if o.Duration == 0 && o.Requests == 0 {
		o.Duration = defaultDuration
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
		if t.packets() {
			o.Timeout = packetTimeout
		}
	}
	if o.Expect == "" {
		o.Expect = ExpectEcho
	}
	o.Loops = min(o.Loops, o.Conns)
	return o, o.check(t)
}

func (o *Options) check(t *target) error {
	switch {
	case o.Expect != ExpectEcho && o.Expect != ExpectUpper:
		return wrong("expect: unknown service %q; there are %s, %s", o.Expect, ExpectEcho, ExpectUpper)
	case o.Requests < 0:
		return wrong("requests: %d is negative", o.Requests)
	case o.Rate < 0 || o.Rate > 1e9 || o.Rate != o.Rate:
		return wrong("rate: %v is out of range: want up to 1e9 messages a second, or 0 for a closed loop", o.Rate)
	case o.Rate > 0 && o.Think > 0:
		return wrong("think time: with a rate the messages have their times already")
	case o.Requests > 0 && o.Warmup > 0:
		return wrong("warm-up: with a number of requests all of them are measured")
	case o.Reconnect && o.Depth > 1:
		return wrong("depth: a connection for each message has one message under way, not %d", o.Depth)
	case o.Reconnect && o.RampUp > 0:
		return wrong("ramp-up: with a connection for each message there are none to make before")
	case o.Reconnect && t.packets():
		return wrong("reconnect: udp has no connections")
	case o.Insecure && !t.secure:
		return wrong("insecure: only a tls address has certificates")
	case o.Size > mostFlight/o.Depth:
		return wrong("size × depth: %d × %d is more than the %d MiB that may be under way on a connection", o.Size, o.Depth,
			mostFlight>>20)
	case t.packets() && o.Codec != nil:
		return wrong("frame: a datagram is a message already")
	case t.packets() && o.Size > mostDatagram:
		return wrong("size: a datagram carries %d bytes, not %d", mostDatagram, o.Size)
	case t.packets() && o.Depth > mostIDs(o.Size)/2:
		return wrong("depth: datagrams of %d bytes have no room for numbers that tell %d apart: want a depth up to %d, or "+
			"a larger size", o.Size, o.Depth, mostIDs(o.Size)/2)
	}
	return nil
}
