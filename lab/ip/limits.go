package ip

import (
	"errors"
	"math"
	"time"
)

// Limits bound what a host keeps, and for how long. A zero field is its default.
type Limits struct {
	Neighbors int // link addresses that are known or asked for, in all: 512. One more takes the place of the oldest
	Waiting   int // packets that wait for a neighbor's link address, each: 3 (RFC 1122, section 2.3.2.2: at least one)

	Assemblies      int           // datagrams that are put together at a time: 64. One more takes the place of the oldest
	SourceDatagrams int           // of them from one source: 16. One more is dropped
	AssemblyBytes   int           // of all their fragments: 1 MiB
	SourceBytes     int           // of those from one source: 256 KiB
	Fragments       int           // of one datagram: 128, as 64 KiB at an MTU of 576 take 119
	AssemblyTime4   time.Duration // how long the fragments of one are waited for: 30 s, as Linux has it
	AssemblyTime6   time.Duration // 60 s (RFC 8200, section 4.5)

	Errors int // ICMP errors that are sent a second, and in a burst: 100 (RFC 1812, 4.3.2.8; RFC 4443, section 2.4 (f))
	Echoes int // echo requests that are answered a second, and in a burst: 1000

	Sockets   int // of UDP: 1024
	Datagrams int // that wait in a socket to be read: 256
	Bytes     int // of them: 208 KiB, as Linux has it
	Replies   int // echo replies that wait to be read: 64
	Refusals  int // that wait in a socket that is Told to be read: 64

	Paths   int // destinations whose MTU is known to be below the link's: 256. One more takes the place of the oldest
	Output  int // frames that wait for the next Flush: 1024. One more is dropped
	Looped  int // packets to the host itself that wait for the next Flush: 1024. One more is dropped
	Learned int // routers, and prefixes and addresses each, that router advertisements may make: 16
}

func (l Limits) filled() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.Neighbors, 512}, {&l.Waiting, 3}, {&l.Assemblies, 64}, {&l.SourceDatagrams, 16}, {&l.AssemblyBytes, 1 << 20},
		{&l.SourceBytes, 256 << 10}, {&l.Fragments, 128}, {&l.Errors, 100}, {&l.Echoes, 1000}, {&l.Sockets, 1024},
		{&l.Datagrams, 256}, {&l.Bytes, 208 << 10}, {&l.Replies, 64}, {&l.Refusals, 64}, {&l.Paths, 256}, {&l.Output, 1024},
		{&l.Looped, 1024}, {&l.Learned, 16},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if l.AssemblyTime4 <= 0 {
		l.AssemblyTime4 = 30 * time.Second
	}
	if l.AssemblyTime6 <= 0 {
		l.AssemblyTime6 = 60 * time.Second
	}
	return l
}

// off is the time of what is not to come.
const off = time.Duration(math.MaxInt64)

// The fixed times and counts.
const (
	retransTime   = time.Second      // between two questions for a neighbor (RFC 4861, section 10: RETRANS_TIMER)
	multicastAsks = 3                // MAX_MULTICAST_SOLICIT; for ARP too, once a second (RFC 1122, section 2.3.2.1)
	unicastAsks   = 3                // MAX_UNICAST_SOLICIT
	reachableTime = 30 * time.Second // REACHABLE_TIME; what is used is 0.5 to 1.5 times that, by chance
	delayTime     = 5 * time.Second  // DELAY_FIRST_PROBE_TIME
	staleTime     = 10 * time.Minute // a neighbor that nobody has used for so long is forgotten

	probes4       = 3                // RFC 5227, section 1.1: PROBE_NUM
	probeTime     = time.Second      // PROBE_MIN, and as much again by chance
	announceWait  = 2 * time.Second  // ANNOUNCE_WAIT
	defendTime    = 10 * time.Second // DEFEND_INTERVAL
	defaultTTL    = 64               // RFC 1122, section 3.2.1.7, and IANA's value
	leastMTU4     = 68               // RFC 791: each link takes this much
	leastMTU6     = 1280             // RFC 8200, section 5
	leastPath4    = 552              // what an ICMP message can make of a path: Linux's min_pmtu, as 68 would be an attack
	pathTime      = 10 * time.Minute // after which a path is tried anew (RFC 1191, section 6.3; RFC 8201, section 5.3)
	quoteLen4     = 576              // the most that an ICMP error has (RFC 1812, section 4.3.2.3)
	mostEthernet  = 64 << 10         // the largest packet and a header
	leastUDPFirst = 8                // a first fragment has at least the header of UDP and ICMP,
	leastTCPFirst = 20               // or that of TCP (RFC 1858, section 3.2.1; RFC 3128)
)

// What refuses a call, or is told to a socket.
var (
	// ErrUnreachable: there is no route, or the network says so, or no neighbor answers.
	ErrUnreachable = errors.New("destination unreachable")
	// ErrRefused: nobody has the port.
	ErrRefused = errors.New("connection refused")
	// ErrTooLong: a datagram is longer than IP carries, or one that may not be cut is longer than the path's MTU.
	ErrTooLong = errors.New("message too long")
	// ErrInUse: another socket has the address and port.
	ErrInUse = errors.New("address in use")
	// ErrAddress: the address is not this host's, or of another family, or nobody can be sent to there.
	ErrAddress = errors.New("cannot use the address")
	// ErrExpired: a router says that the TTL or hop limit was used up, or the destination that fragments were missing.
	ErrExpired = errors.New("time exceeded")
	// ErrNoName: there is no such name (NXDOMAIN).
	ErrNoName = errors.New("no such name")
	// ErrNoData: the name has no addresses of the family.
	ErrNoData = errors.New("the name has no such addresses")
	// ErrTruncated: an answer of a name server does not fit into a datagram; it is to be had by TCP.
	ErrTruncated = errors.New("the answer was truncated")
	// ErrTimeout: no name server has answered.
	ErrTimeout = errors.New("no answer")
	// ErrClosed: the socket was closed.
	ErrClosed = errors.New("socket closed")
	// ErrLimit: one more than the bound of Limits.
	ErrLimit = errors.New("over the limit")
)

// A bucket holds back what is sent in answer to others: rate tokens a second, and as many at once.
type bucket struct {
	rate   int
	tokens int
	since  time.Duration // when tokens was right
}

// take reports whether one more may be sent.
func (b *bucket) take(now time.Duration) bool {
	each := time.Second / time.Duration(b.rate)
	if n := int((now - b.since) / each); n > 0 {
		b.since += time.Duration(n) * each
		if b.tokens = min(b.rate, b.tokens+n); b.tokens == b.rate {
			b.since = now
		}
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}
