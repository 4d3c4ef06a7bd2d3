package websocket

import "compress/flate"

// The most compressors, for each level, and decompressors that wait for the next message, of all connections. One is
// 1.2 MB (level 1; 0.8 for others), and 40 KB. What is used at once has no bound but the number of messages that are
// written or read at once.
const (
	idleWriters = 8
	idleReaders = 64
)

// compressors are by level.
var compressors = func() (all [flate.BestCompression + 1]pool[*flate.Writer]) {
	for i := range all {
		all[i] = make(pool[*flate.Writer], idleWriters)
	}
	return all
}()

const (
	defaultLevel     = flate.BestSpeed
	defaultThreshold = 256 // bytes
)

func (d *Deflate) level() int {
	if d.Level < 1 || d.Level > flate.BestCompression {
		return defaultLevel
	}
	return d.Level
}

func (d *Deflate) threshold() int {
	if d.Threshold <= 0 {
		return defaultThreshold
	}
	return d.Threshold
}

// syncTail is what a flush ends with: an empty block. It is not sent (RFC 7692, section 7.2.1).
const syncTail = "\x00\x00\xff\xff"

// A deflater compresses the messages of one direction. Between two of them it holds nothing, unless it keeps the
// window.
//
// compress/flate has one window, of 32 KiB. Where the peer can do with less only, the message is compressed in
// pieces of that size, each with an empty window: so nothing is ever referred to that lies further back.
type deflater struct {
	level, bits int
	keep        bool // the window, for the next message

	w    *flate.Writer
	sink sink
	used int // bytes since the window was empty, where bits are fewer than 15
}

// A sink is what a flate.Writer writes to: behind a slice.
type sink struct{ b []byte }

func (s *sink) Write(b []byte) (int, error) {
	s.b = append(s.b, b...)
	return len(b), nil
}

func newDeflater(level int, c *Compression) *deflater {
	return &deflater{level: level, bits: c.SendBits, keep: c.SendWindow && c.SendBits == mostBits}
}

// append compresses a piece of a message, and writes what comes of it behind dst: maybe nothing, if it is not the
// last.
func (d *deflater) append(dst, b []byte, last bool) []byte {
	if d.w == nil {
		d.begin()
	}
	d.sink.b = dst
	for d.bits < mostBits && d.used+len(b) > 1<<d.bits {
		n := 1<<d.bits - d.used
		d.w.Write(b[:n]) // neither fails: a sink does not
		d.w.Flush()
		d.w.Reset(&d.sink)
		b, d.used = b[n:], 0
	}
	d.w.Write(b)
	d.used += len(b)
	if last {
		d.w.Flush()
		d.sink.b = d.sink.b[:len(d.sink.b)-len(syncTail)]
		if !d.keep {
			d.forget()
		}
	}
	dst, d.sink.b = d.sink.b, nil
	return dst
}

func (d *deflater) begin() {
	d.used = 0
	if w, ok := compressors[d.level].get(); ok {
		w.Reset(&d.sink)
		d.w = w
		return
	}
	d.w, _ = flate.NewWriter(&d.sink, d.level) // fails for a level that is none only
}

// forget empties the window, also in the midst of a message that is given up.
func (d *deflater) forget() {
	if d.w != nil {
		d.w.Reset(nil)
		compressors[d.level].put(d.w)
		d.w = nil
	}
}
