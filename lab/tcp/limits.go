package tcp

import (
	"errors"
	"time"
)

// Limits bound what a stack keeps, and for how long. A zero field is its default.
type Limits struct {
	SendBuffer    int           // bytes that wait to be acknowledged, a connection: 256 KiB
	ReceiveBuffer int           // bytes that wait to be read, and the largest window that is offered: 256 KiB
	Backlog       int           // connections of a listener that are not open yet, or not accepted: 128
	TimeWaits     int           // connections that wait their last time; one more ends the oldest: 4096
	Challenges    int           // challenge ACKs and resets to nobody a second, on average (RFC 5961, section 7): 100
	UserTimeout   time.Duration // R2: how long data may stay unacknowledged: 100 s, the least of MUST-23 and RFC 1122
	SynTimeout    time.Duration // R2 of a SYN: 3 minutes (MUST-23)
	KeepAlive     time.Duration // how long any connection may be silent before it is asked: off, but see Conn.SetKeepAlive
	FinWait       time.Duration // how long a closed connection waits for the peer's end: 60 s, as Linux has it
	// Orphan is how long a connection that nobody has any more waits for a peer that answers, and takes nothing, as its
	// window is shut: 3 minutes, about what Linux comes to. It would else keep what waits to be sent for ever (MUST-37).
	Orphan time.Duration
	MSL    time.Duration // half of the last time: 30 s, as Linux has it, where RFC 9293 has 2 minutes
}

func (l Limits) filled() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	dur := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.SendBuffer, 256<<10)
	def(&l.ReceiveBuffer, 256<<10)
	l.ReceiveBuffer = min(l.ReceiveBuffer, maxWindow)
	def(&l.Backlog, 128)
	def(&l.TimeWaits, 4096)
	def(&l.Challenges, 100)
	dur(&l.UserTimeout, 100*time.Second)
	dur(&l.SynTimeout, 3*time.Minute)
	dur(&l.FinWait, 60*time.Second)
	dur(&l.Orphan, 3*time.Minute)
	dur(&l.MSL, 30*time.Second)
	return l
}

// maxWindow is the largest window with a scale of 14 (RFC 7323, section 2.3).
const maxWindow = 65535 << 14

// The fixed times and counts.
const (
	// delayedAck is how long an acknowledgment waits for data to travel with: Linux's least. MUST-40 wants below 500 ms.
	delayedAck = 40 * time.Millisecond
	// defaultKeepAlive is how long a connection may be silent that asks for keep-alive and does not say (MUST-28).
	defaultKeepAlive = 2 * time.Hour
	// leastFull is what a receiver takes for a full segment at least: more text than one of them is acknowledged at once
	// (SHLD-19). Of smaller ones as many wait as fit, as Linux has it.
	leastFull = 536
	// probeSlack is how much later than two round trips a probe of the tail is sent: timers of both sides have as much,
	// and what comes late by a little was not lost.
	probeSlack = 2 * time.Millisecond
	// dupThreshold is how many duplicate acknowledgments mean a loss where there is no SACK (RFC 5681, section 3.2).
	dupThreshold = 3
	// maxRecords is how many sent segments a connection remembers; with that many in flight nothing new is sent.
	maxRecords = 4096
	// defaultMSS4 and defaultMSS6 are a peer's segment size where it has not said (MUST-15).
	defaultMSS4, defaultMSS6 = 536, 1220
	// stalled is R1 in timeouts (SHLD-10).
	stalled = 3
	// minMSS bounds what a peer, or an ICMP message, can make of a segment: below, headers cost more than data.
	minMSS = 88
	// holeAfter is how many timeouts in a row mean that the path may swallow large segments, and holeMSS what they are
	// made then: Linux's base of its probes (RFC 4821, section 7.2 says 1024 too). Twice as many mean that this is too
	// large still, and 512 of text goes through everywhere.
	holeAfter         = 2
	holeMSS, leastMSS = 1024, 512
)

// What ends a connection, or refuses a call.
var (
	// ErrReset: the peer reset the connection.
	ErrReset = errors.New("connection reset by peer")
	// ErrRefused: the peer answered the SYN with a reset.
	ErrRefused = errors.New("connection refused")
	// ErrTimeout: what was sent stayed unacknowledged for too long.
	ErrTimeout = errors.New("connection timed out")
	// ErrClosed: the connection was closed on this side, or its writing half was.
	ErrClosed = errors.New("connection closed")
	// ErrInUse: there is a listener, or a connection with these addresses.
	ErrInUse = errors.New("address in use")
	// ErrAddress: nobody can be connected to there: a group, everybody, or no address (MUST-46).
	ErrAddress = errors.New("not an address of one host")
	// ErrUnreachable: the network says that the peer cannot be reached, while the connection was not open yet.
	ErrUnreachable = errors.New("destination unreachable")
)
