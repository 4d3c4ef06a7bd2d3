package pcapng

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A Writer writes a capture. Each call writes one block with one Write: what is written is whole at any time. The bytes
// are in little-endian order.
type Writer struct {
	w       io.Writer
	section Section
	begun   bool
	count   int // of interfaces
	buf     []byte
	refused error // what is wrong with the block that is being made
	err     error // of the io.Writer
}

// NewWriter makes a Writer of one section. The section's header goes out with the first block.
func NewWriter(w io.Writer, s Section) *Writer { return &Writer{w: w, section: s} }

var le = binary.LittleEndian

// Interface adds an interface and returns its number.
func (w *Writer) Interface(i Interface) (int, error) {
	if w.count == MaxInterfaces {
		return 0, fmt.Errorf("pcapng: %d interfaces: %w", w.count+1, ErrTooLong)
	}
	w.begin(blockInterface)
	w.buf = le.AppendUint16(w.buf, uint16(i.LinkType))
	w.buf = le.AppendUint16(w.buf, 0)
	w.buf = le.AppendUint32(w.buf, i.SnapLen)
	w.text(optName, i.Name)
	w.text(optDescription, i.Description)
	w.option(optResolution, []byte{nano})
	if err := w.end(true); err != nil {
		return 0, err
	}
	w.count++
	return w.count - 1, nil
}

// maxSeconds is the last second that 64 bits of nanoseconds hold.
const maxSeconds = (1<<64-1)/1_000_000_000 - 1

// Packet writes a packet. It keeps nothing of p. Times before 1970 and after 2554 cannot be written.
func (w *Writer) Packet(p *Packet) error {
	length := p.Length
	if length == 0 {
		length = len(p.Data)
	}
	sec, ns := p.Time.Unix(), p.Time.Nanosecond()
	switch {
	case p.Interface < 0 || p.Interface >= w.count:
		return fmt.Errorf("pcapng: interface %d of %d: %w", p.Interface, w.count, ErrFormat)
	case len(p.Data) > MaxBlock/2:
		return fmt.Errorf("pcapng: packet of %d bytes: %w", len(p.Data), ErrTooLong)
	case length < len(p.Data) || int64(length) > 1<<32-1:
		return fmt.Errorf("pcapng: packet of %d bytes with %d: %w", length, len(p.Data), ErrFormat)
	case sec < 0 || sec > maxSeconds:
		return fmt.Errorf("pcapng: time %v: %w", p.Time, ErrFormat)
	}
	at := uint64(sec)*1e9 + uint64(ns)
	w.begin(blockPacket)
	w.buf = le.AppendUint32(w.buf, uint32(p.Interface))
	w.buf = le.AppendUint32(w.buf, uint32(at>>32))
	w.buf = le.AppendUint32(w.buf, uint32(at))
	w.buf = le.AppendUint32(w.buf, uint32(len(p.Data)))
	w.buf = le.AppendUint32(w.buf, uint32(length))
	w.buf = append(w.buf, p.Data...)
	w.pad()
	any := len(p.Comments) > 0 || p.Direction != Unknown
	if p.Direction != Unknown {
		w.option(optFlags, []byte{byte(p.Direction), 0, 0, 0})
	}
	for _, c := range p.Comments {
		w.text(optComment, c)
	}
	return w.end(any)
}

// begin starts a block, behind the section's header where none has gone out.
func (w *Writer) begin(kind uint32) {
	w.buf, w.refused = w.buf[:0], nil
	if !w.begun {
		w.header()
	}
	w.buf = le.AppendUint32(w.buf, kind)
	w.buf = le.AppendUint32(w.buf, 0)
}

// header writes the section header block.
func (w *Writer) header() {
	w.buf = le.AppendUint32(w.buf, blockSection)
	w.buf = le.AppendUint32(w.buf, 0)
	w.buf = le.AppendUint32(w.buf, byteOrder)
	w.buf = le.AppendUint16(w.buf, 1)
	w.buf = le.AppendUint16(w.buf, 0)
	w.buf = le.AppendUint64(w.buf, 1<<64-1) // of no known length
	w.text(optHardware, w.section.Hardware)
	w.text(optSystem, w.section.System)
	w.text(optApplication, w.section.Application)
	for _, c := range w.section.Comments {
		w.text(optComment, c)
	}
	w.buf = le.AppendUint32(w.buf, optEnd)
	w.close(0)
}

// option writes an option, text one where it is not empty.
func (w *Writer) option(code uint16, value []byte) {
	if len(value) > maxOption {
		w.refused = fmt.Errorf("pcapng: option of %d bytes: %w", len(value), ErrTooLong)
		return
	}
	w.buf = le.AppendUint16(w.buf, code)
	w.buf = le.AppendUint16(w.buf, uint16(len(value)))
	w.buf = append(w.buf, value...)
	w.pad()
}

func (w *Writer) text(code uint16, value string) {
	if value != "" {
		w.option(code, []byte(value))
	}
}

func (w *Writer) pad() {
	for len(w.buf)%4 != 0 {
		w.buf = append(w.buf, 0)
	}
}

// close writes the length of the block that began at start, before and behind it.
func (w *Writer) close(start int) {
	n := uint32(len(w.buf) - start + 4)
	le.PutUint32(w.buf[start+4:], n)
	w.buf = le.AppendUint32(w.buf, n)
}

// end writes the block out. An error of the io.Writer stays: what follows a part of a block cannot be read.
func (w *Writer) end(options bool) error {
	if options {
		w.buf = le.AppendUint32(w.buf, optEnd)
	}
	start := 0
	if !w.begun {
		start = int(le.Uint32(w.buf[4:]))
	}
	w.close(start)
	n := len(w.buf) - start
	switch {
	case w.err != nil:
		return w.err
	case w.refused != nil:
		return w.refused
	case n > MaxBlock:
		return fmt.Errorf("pcapng: block of %d bytes: %w", n, ErrTooLong)
	}
	if _, err := w.w.Write(w.buf); err != nil {
		w.err = fmt.Errorf("pcapng: write: %w", err)
		return w.err
	}
	w.begun = true
	return nil
}

// Epoch is the time of a packet that was captured d after the beginning of a run in virtual time: so much after 1970.
func Epoch(d time.Duration) time.Time { return time.Unix(0, int64(d)).UTC() }
