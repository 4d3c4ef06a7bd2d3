package frame

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func mustReader(t testing.TB, r io.Reader, c Codec) *Reader {
	t.Helper()
	fr, err := NewReader(r, c)
	if err != nil {
		t.Fatal(err)
	}
	return fr
}

func TestReaderEnds(t *testing.T) {
	for _, row := range []struct{ name, stream, err string }{
		{"empty", "", ""},
		{"whole", "1:a,", ""},
		{"short", "1:a,2:", "unexpected EOF"},
		{"bad", "1:a,x", "malformed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := mustReader(t, iotest.OneByteReader(strings.NewReader(row.stream)), Netstring{})
			var err error
			for err == nil {
				_, err = r.Next()
			}
			if row.err == "" && err != io.EOF || !strings.Contains(err.Error(), row.err) {
				t.Errorf("got %v, want %q", err, row.err)
			}
			if _, again := r.Next(); again != err {
				t.Errorf("again: got %v, want %v", again, err)
			}
			if n := 0; row.err != "" {
				for msg, again := range r.All() {
					if n++; msg != nil || again != err || n > 1 {
						t.Errorf("All: got %q, %v", msg, again)
					}
				}
			}
		})
	}
}

// TestReaderGoesOn: an error of the stream loses nothing.
func TestReaderGoesOn(t *testing.T) {
	boom := os.ErrDeadlineExceeded
	r := mustReader(t, &script{steps: []step{{"3:o", nil}, {"", boom}, {"ne,3:t", boom}, {"wo", nil}, {",", boom},
		{"", io.EOF}}}, Netstring{})
	for i, want := range []struct {
		msg string
		err error
	}{{"", boom}, {"one", nil}, {"", boom}, {"two", nil}, {"", boom}, {"", io.EOF}, {"", io.EOF}} {
		if msg, err := r.Next(); string(msg) != want.msg || err != want.err {
			t.Fatalf("step %d: got %q, %v; want %q, %v", i, msg, err, want.msg, want.err)
		}
	}
}

// A script is a stream that gives what it says, and an error along with it.
type script struct{ steps []step }

type step struct {
	data string
	err  error
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.steps) == 0 {
		return 0, nil
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	return copy(p, st.data), st.err
}

func TestReaderNoProgress(t *testing.T) {
	r := mustReader(t, &script{}, Line{})
	if _, err := r.Next(); err != io.ErrNoProgress {
		t.Errorf("got %v, want io.ErrNoProgress", err)
	}
}

// TestReaderBuffered: what was read too much is there for another format.
func TestReaderBuffered(t *testing.T) {
	r := mustReader(t, strings.NewReader("CONNECT\n\n\x00\x01binary"), Line{})
	for line, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if len(line) == 0 {
			break
		}
	}
	if got := string(r.Buffered()); got != "\x00\x01binary" || r.Offset() != 9 {
		t.Errorf("got %q at %d", got, r.Offset())
	}
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}

	r = mustReader(t, &script{steps: []step{{"half", nil}, {"", os.ErrDeadlineExceeded}}}, Line{})
	if _, err := r.Next(); err != os.ErrDeadlineExceeded {
		t.Fatal(err)
	}
	if got := string(r.Buffered()); got != "half" {
		t.Errorf("got %q", got)
	}
}

// TestReaderReadsInPlace: most of a large message is not copied by way of the piece.
func TestReaderReadsInPlace(t *testing.T) {
	c := Length{Bytes: 4}
	stream := mustAppend(t, c, nil, make([]byte, 1<<20))
	counter := &reads{r: bytes.NewReader(stream)}
	r := mustReader(t, counter, c)
	msg, err := r.Next()
	if err != nil || len(msg) != 1<<20 {
		t.Fatalf("got %d bytes, %v", len(msg), err)
	}
	if counter.n > 8 {
		t.Errorf("1 MiB took %d reads, want few large ones", counter.n)
	}
}

type reads struct {
	r io.Reader
	n int
}

func (r *reads) Read(p []byte) (int, error) { r.n++; return r.r.Read(p) }

// writes keeps what each Write was given.
type writes struct {
	all []string
	max int   // bytes taken of each Write, if positive
	err error // returned by each Write
}

func (w *writes) Write(p []byte) (int, error) {
	n := len(p)
	if w.max > 0 {
		n = min(n, w.max)
	}
	if w.err != nil && w.max == 0 {
		n = 0
	}
	w.all = append(w.all, string(p[:n]))
	return n, w.err
}

func TestWriter(t *testing.T) {
	to := &writes{}
	w, err := NewWriter(to, Length{Bytes: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range []string{"hello", "", strings.Repeat("x", 3000)} {
		if n, err := w.Write([]byte(msg)); n != len(msg) || err != nil {
			t.Errorf("Write of %d bytes: got %d, %v", len(msg), n, err)
		}
	}
	if len(to.all) != 3 || to.all[0] != "\x00\x05hello" || to.all[1] != "\x00\x00" || len(to.all[2]) != 3002 {
		t.Errorf("got %q, want one Write a message", to.all)
	}
	if n, err := w.Write(make([]byte, 65536)); n != 0 || !errors.Is(err, ErrTooLong) || len(to.all) != 3 {
		t.Errorf("too long: got %d, %v", n, err)
	}
	if _, err := w.Write([]byte("on")); err != nil {
		t.Errorf("after a message that was refused: %v", err)
	}
}

func TestWriterErrors(t *testing.T) {
	for _, row := range []struct {
		name   string
		to     writes
		err    error
		failed bool // for good
	}{
		{"nothing sent", writes{err: os.ErrDeadlineExceeded}, os.ErrDeadlineExceeded, false},
		{"a part sent", writes{err: os.ErrDeadlineExceeded, max: 3}, os.ErrDeadlineExceeded, true},
		{"all sent", writes{err: os.ErrDeadlineExceeded, max: 100}, os.ErrDeadlineExceeded, false},
		{"short without an error", writes{max: 3}, io.ErrShortWrite, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, err := NewWriter(&row.to, Line{})
			if err != nil {
				t.Fatal(err)
			}
			n, first := w.Write([]byte("hello"))
			if n != 0 || !errors.Is(first, row.err) {
				t.Fatalf("got %d, %v; want %v", n, first, row.err)
			}
			row.to.err, row.to.max = nil, 0
			if _, err := w.Write([]byte("more")); (err != nil) != row.failed || row.failed && err != first {
				t.Errorf("the next Write: got %v; want the first error again: %t", err, row.failed)
			}
		})
	}
}
