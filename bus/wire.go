package bus

import (
	"encoding/binary"
	"errors"
)

// A packet is what a node sends to another one, or to all: a version, who sends it, and frames.
//
//	packet = version (1 byte) · NodeID (8 bytes) · frame…
//	frame  = kind (1 byte) · length (uvarint) · fields
//	fields = chan, epoch, seq, flags, n (uvarints) · room, key (their length, a uvarint, and bytes) · data (the rest)
//
// All kinds have the same fields. What a kind does not use is a zero byte. Packets of all versions begin alike.
const (
	wireVersion  = 2
	packetHeader = 9
)

// A kind is what a frame says. Who sends it: F is a node with subscribers of a room, O the room's owner, N any node.
type kind uint8

const (
	kindHello   kind = iota + 1 // N to all: I live. chan: clock; epoch: view; seq: table; flags; key: name; data: I hear
	kindOps                     // N: my table from version seq to n; flags: whole begins, more comes; data: entries
	kindAskOps                  // N to N: I have your table up to seq
	kindJoin                    // F to O: the room, please. chan: of this try; epoch, seq: where I am; flags: fresh
	kindWelcome                 // O to F: chan: of the join; epoch, seq: behind which I begin; n: the last there is
	kindNotMine                 // O to F: I do not own the room. chan: of the join
	kindMsg                     // O to F: epoch, seq, data
	kindGap                     // O to F: epoch; what was up to seq is no longer there
	kindRetired                 // O to F: the epoch has ended with seq
	kindMerge                   // O to the next O: epoch, which was mine, has ended
	kindMerged                  // and the answer
	kindAck                     // F to O: I have up to seq of epoch; flags: something is missing behind it
	kindLeave                   // F to O: nothing more of epoch
	kindPub                     // F to O: chan; seq: number within it, from 1; data
	kindPubAck                  // O to F: chan; n: number within it; epoch, seq: the message's position
	kindPubNo                   // O to F: chan: nothing of it was or will be taken from number n on
	kindCall                    // N to N: chan: of the call; room: service; n: milliseconds it may take; data
	kindCalled                  // N to N: chan: the call has come
	kindAnswer                  // N to N: chan; seq: part, from 1; flags: last, failed; data
	kindGot                     // N to N: chan; seq: parts that have come; flags: cancel
	kindEnd                     // not a kind
)

// Flags of frames.
const (
	flagReady  = 1 << iota // hello: it has looked around, and may own rooms
	flagBye                // hello: it goes
	flagAsk                // hello: greet me
	flagWhole              // ops: the table begins anew
	flagMore               // ops: and goes on
	flagFresh              // join: it has no messages of the room
	flagNext               // welcome: the epoch follows that of the join, and none was between
	flagHole               // ack
	flagLast               // answer
	flagFailed             // answer
	flagCancel             // got
	flagApart              // msg: no message, but that nodes were apart
	flagLost               // answer: nobody knows any more
	flagNobody             // answer: there is no such service, or somebody else must decide
	flagSwap               // call: of a value. room: bucket; key; seq: stamp; data: sum (8 bytes), value
	flagRemove             // call: of a value that is to be deleted
)

// A frame is one thing that is said. data is never written to.
type frame struct {
	kind            kind
	chn, epoch, seq uint64
	flags, n        uint64
	room, key       string
	data            []byte
}

var (
	errPacket  = errors.New("bus: a packet that is none")
	errVersion = errors.New("bus: a packet of another version of the protocol")
)

// appendPacket begins a packet.
func appendPacket(p []byte, from NodeID) []byte {
	return binary.BigEndian.AppendUint64(append(p, wireVersion), uint64(from))
}

// size is at least what f takes in a packet.
func (f *frame) size() int {
	return 1 + 8*binary.MaxVarintLen64 + len(f.room) + len(f.key) + len(f.data)
}

// append adds f to a packet.
func (f *frame) append(p []byte) []byte {
	var head [7*binary.MaxVarintLen64 + 512]byte
	b := head[:0]
	for _, v := range [...]uint64{f.chn, f.epoch, f.seq, f.flags, f.n} {
		b = binary.AppendUvarint(b, v)
	}
	for _, s := range [...]string{f.room, f.key} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	p = binary.AppendUvarint(append(p, byte(f.kind)), uint64(len(b)+len(f.data)))
	return append(append(p, b...), f.data...)
}

// parsePacket calls do for each frame. Their data is part of p. The first frame that is none ends it, with an error.
func parsePacket(p []byte, do func(from NodeID, f *frame)) error {
	switch {
	case len(p) < packetHeader:
		return errPacket
	case p[0] != wireVersion:
		return errVersion
	}
	from := NodeID(binary.BigEndian.Uint64(p[1:]))
	for p = p[packetHeader:]; len(p) > 0; {
		k := kind(p[0])
		n, used := binary.Uvarint(p[1:])
		if used <= 0 || n > uint64(len(p)-1-used) || k == 0 || k >= kindEnd {
			return errPacket
		}
		body := p[1+used : 1+used+int(n)]
		p = p[1+used+int(n):]
		f := frame{kind: k}
		if !f.parse(body) {
			return errPacket
		}
		do(from, &f)
	}
	return nil
}

func (f *frame) parse(b []byte) bool {
	for _, v := range [...]*uint64{&f.chn, &f.epoch, &f.seq, &f.flags, &f.n} {
		n, used := binary.Uvarint(b)
		if used <= 0 {
			return false
		}
		*v, b = n, b[used:]
	}
	for _, s := range [...]*string{&f.room, &f.key} {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > mostName || n > uint64(len(b)-used) {
			return false
		}
		*s, b = string(b[used:used+int(n)]), b[used+int(n):]
	}
	f.data = b
	return true
}

// mostName is how long the name of a room, a service, a member, a key or a node may be, in bytes.
const mostName = 255
