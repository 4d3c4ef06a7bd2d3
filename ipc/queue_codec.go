package ipc

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
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
type queueGob[T any] struct{}

func (queueGob[T]) Encode(v T) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (queueGob[T]) Decode(b []byte) (v T, err error) {
	r := bytes.NewReader(b)
	if err := gob.NewDecoder(r).Decode(&v); err != nil {
		return *new(T), err
	}
	if r.Len() > 0 {
		return *new(T), fmt.Errorf("%d bytes behind the value: %w", r.Len(), io.ErrUnexpectedEOF)
	}
	return v, nil
}
