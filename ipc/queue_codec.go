package ipc

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
	"sync"
)

// A QueueCodec turns values into bytes and back. Its methods may be called by several goroutines at once.
type QueueCodec[T any] interface {
	// Encode is the value's bytes. They are the queue's until Put returns.
	Encode(v T) ([]byte, error)
	// Decode is the value of bytes, which may be arbitrary ones if a process put what is no T. They are the value's own,
	// which may refer to them.
	Decode(b []byte) (T, error)
}

// A QueueEncodeError is a value that could not be encoded. Nothing was put.
type QueueEncodeError struct {
	Index int // which of those that were given
	Err   error
}

func (e *QueueEncodeError) Error() string { return fmt.Sprintf("encode value %d: %v", e.Index, e.Err) }

// Unwrap gives the codec's reason.
func (e *QueueEncodeError) Unwrap() error { return e.Err }

// A QueueDecodeError is an item that is no value of the queue's type.
type QueueDecodeError struct {
	Data []byte // what was put
	Err  error
}

func (e *QueueDecodeError) Error() string {
	return fmt.Sprintf("decode an item of %d bytes: %v: all processes need the same type and codec", len(e.Data), e.Err)
}

// Unwrap gives the codec's reason.
func (e *QueueDecodeError) Unwrap() error { return e.Err }

func (q *Queue[T]) encode(v T) ([]byte, error) {
	if q.raw {
		return *any(&v).(*[]byte), nil
	}
	return q.codec.Encode(v)
}

func (q *Queue[T]) decode(b []byte) (v T, err error) {
	if q.raw {
		*any(&v).(*[]byte) = b
		return v, nil
	}
	if v, err = q.codec.Decode(b); err != nil {
		return v, &QueueDecodeError{b, err}
	}
	return v, nil
}

// queueGob is package gob, with each value a stream of its own, since each may be read by another process.
//
// Most of what decoding takes is to read the description of the type and to compile a decoder for it. So decoders are
// kept that have read one, and are given the values that come with the same one, byte for byte.
type queueGob[T any] struct {
	kept *sync.Pool // of *gobDecoder
}

func newQueueGob[T any]() queueGob[T] { return queueGob[T]{new(sync.Pool)} }

func (queueGob[T]) Encode(v T) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// A gobDecoder has read types.
type gobDecoder struct {
	types []byte
	in    bytes.Reader
	d     *gob.Decoder
}

func (q queueGob[T]) Decode(b []byte) (v T, err error) {
	types := b[:gobTypes(b)]
	if g, _ := q.kept.Get().(*gobDecoder); g != nil && bytes.Equal(g.types, types) {
		if v, err := q.decode(g, b[len(types):]); err == nil {
			return v, nil
		}
		// It may have read more: what is inside an interface has its description within the value, and a second one of the
		// same type is an error.
	}
	g := &gobDecoder{types: bytes.Clone(types)}
	g.d = gob.NewDecoder(&g.in)
	return q.decode(g, b)
}

func (q queueGob[T]) decode(g *gobDecoder, b []byte) (v T, err error) {
	g.in.Reset(b)
	if err := g.d.Decode(&v); err != nil {
		return *new(T), err
	}
	if g.in.Len() > 0 {
		return *new(T), fmt.Errorf("%d bytes behind the value: %w", g.in.Len(), io.ErrUnexpectedEOF)
	}
	g.in.Reset(nil)
	q.kept.Put(g)
	return v, nil
}

// gobTypes is the length of the descriptions of types that b begins with. Each is a message: its length, and a number
// of a type below zero (package gob, "Encoding Details"). Of what is no gob it is less than that, and the decoder says
// so.
func gobTypes(b []byte) (n int) {
	for {
		length, at := gobUint(b[n:])
		if at == 0 || length > uint64(len(b)-n-at) {
			return n
		}
		id, size := gobUint(b[n+at:][:length])
		if size == 0 || id&1 == 0 { // the sign is the lowest bit
			return n
		}
		n += at + int(length)
	}
}

// gobUint reads a number of gob's, and tells how many bytes it takes: one below 128, else the negated count of the
// bytes that follow, the highest first. 0 bytes: there is none.
func gobUint(b []byte) (x uint64, size int) {
	if len(b) == 0 || b[0] < 128 {
		if len(b) == 0 {
			return 0, 0
		}
		return uint64(b[0]), 1
	}
	n := -int(int8(b[0]))
	if n > 8 || n >= len(b) {
		return 0, 0
	}
	for _, c := range b[1 : n+1] {
		x = x<<8 | uint64(c)
	}
	return x, n + 1
}
