package ipc

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzPipe: whatever a peer sends, the receiver returns messages within the bound, then an error or the end.
func FuzzPipe(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x02hi\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		p := pipeOf(t, stream)
		for {
			msg, err := p.Recv(limited(t))
			if err != nil {
				return
			}
			if len(msg) > 1000 {
				t.Fatalf("a message of %d bytes", len(msg))
			}
		}
	})
}

// FuzzTyped: whatever gob a peer sends, there is a value or an error.
func FuzzTyped(f *testing.F) {
	f.Add([]byte("\x01\x03\x04\x00\x02"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		typed := Typed[int, point]{p: &Pipe{}}
		var v point
		_ = typed.decode(msg, &v) // either is right
		_ = typed.decode(msg, &v)
	})
}

// pipeOf is a pipe whose peer sends stream, and ends.
func pipeOf(t *testing.T, stream []byte) *Pipe {
	t.Helper()
	p, f, err := NewPipe(Options{MaxMessage: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go func() {
		defer f.Close()
		f.Write(stream)
	}()
	return p
}

// FuzzPythonFrames: the same for Python's frames.
func FuzzPythonFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02hi\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01x"))
	f.Add([]byte("\xff\xff\xff\xfe"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := pythonOf(t, stream, nil)
		for {
			msg, err := c.RecvBytes(limited(t))
			if err != nil {
				return
			}
			if len(msg) > 1000 {
				t.Fatalf("a message of %d bytes", len(msg))
			}
		}
	})
}

func pythonOf(t *testing.T, stream, key []byte) *PythonConn {
	t.Helper()
	nc, f, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer f.Close()
		f.Write(stream)
	}()
	o := PythonOptions{AuthKey: key, MaxMessage: 1000}
	c, err := newPythonConn(nc, o, "fuzz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// FuzzPythonHandshake: nobody who does not know the key gets through, whatever they send.
func FuzzPythonHandshake(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x3b#CHALLENGE#{sha256}0123456789012345678901234567890123456789\x00\x00\x00\x09#WELCOME#"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := pythonOf(t, stream, []byte("key"))
		o := PythonOptions{AuthKey: []byte("key"), MaxMessage: 1000, HandshakeTimeout: 100 * time.Millisecond}
		if err := c.handshake(limited(t), o, answerChallenge, deliverChallenge); err == nil {
			t.Fatal("the handshake succeeded")
		}
	})
}

// FuzzPythonChallenge: no bytes but the right MAC pass for an answer, and what is answered is never more than a MAC.
func FuzzPythonChallenge(f *testing.F) {
	key := []byte("key")
	challenge := append([]byte(challengeDigest), make([]byte, challengeRandom)...)
	f.Add(append([]byte("{md5}"), mac(digests["md5"], key, challenge)...))
	f.Add(mac(digests["md5"], key, challenge))
	f.Add([]byte("#CHALLENGE#{sha3_384}" + string(make([]byte, 40))))
	f.Add([]byte("{sha256}"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if err := verify(key, challenge, msg); err == nil {
			right := bytes.Equal(msg, mac(digests["md5"], key, challenge))
			for name, h := range digests {
				right = right || bytes.Equal(msg, append([]byte("{"+name+"}"), mac(h, key, challenge)...))
			}
			if !right {
				t.Fatalf("%q passes for an answer", msg)
			}
		}
		if reply, err := answer(key, msg); err == nil && (len(reply) < oldAnswer || len(reply) > 64) {
			t.Fatalf("an answer of %d bytes", len(reply))
		}
	})
}

// FuzzRequest: what is read of a request is what would be written of it.
func FuzzRequest(f *testing.F) {
	for o := op(1); o < opEnd; o++ {
		s := step{op: o, name: "n", n: 1, a: []byte("a"), b: []byte("b")}
		f.Add(s.append([]byte{1, kindCall}))
		f.Add(s.append(s.append([]byte{1, kindBatch})))
	}
	f.Add([]byte{1, kindCancel})
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, _, steps, err := readRequest(msg, nil)
		if err != nil {
			return
		}
		var again []byte
		for i := range steps {
			again = steps[i].append(again)
		}
		r := reader{p: again}
		for i := range steps {
			var s step
			r.step(&s)
			if r.bad || s.op != steps[i].op || s.name != steps[i].name || s.n != steps[i].n || s.m != steps[i].m ||
				!bytes.Equal(s.a, steps[i].a) || !bytes.Equal(s.b, steps[i].b) {
				t.Fatalf("step %d: read %+v, wrote and read %+v", i, steps[i], s)
			}
		}
	})
}

// FuzzReply: no reply makes a client panic.
func FuzzReply(f *testing.F) {
	f.Add((&reply{status: statusEvent, n: int64(opMapSet), items: [][]byte{{0}, []byte("k"), []byte("v")}}).append(nil, 7))
	f.Add((&reply{status: statusError, n: codeKind}).append(nil, 1))
	f.Fuzz(func(t *testing.T, msg []byte) {
		c := &Client{calls: map[uint64]*call{1: {}}, watches: map[uint64]*watch{7: {}}}
		if id, rp, err := readReply(msg); err == nil {
			c.handLocked(id, rp)
			_ = codeError(rp.n, string(rp.item(0)))
			_, _, _ = got[point](rp, nil)
		}
	})
}

// FuzzManager: whatever a client that knows the token sends, the manager goes on for another one, and its books are
// right.
func FuzzManager(f *testing.F) {
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	m, err := ServeManager(path, ManagerOptions{Log: quiet, MaxMemory: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		m.Close()
		sum := 0
		for _, o := range m.st.objects {
			sum += o.size
		}
		if sum != m.st.bytes {
			f.Errorf("the names count %d bytes, and the manager %d", sum, m.st.bytes)
		}
		os.RemoveAll(dir)
	})
	for o := op(1); o < opEnd; o++ {
		s := step{op: o, name: kindOf(o).String(), n: 1, a: varint(2), b: []byte("b")}
		msg := s.append([]byte{1, kindCall})
		f.Add(append([]byte{0, 0, 0, byte(len(msg))}, msg...))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		bad, err := DialManager(ctx, path, m.Token())
		if err != nil {
			t.Fatal(err)
		}
		defer bad.Close()
		bad.s.nc.SetDeadline(time.Now().Add(patience))
		bad.s.nc.Write(stream)
		bad.s.nc.(*net.UnixConn).CloseWrite()
		if _, err := io.Copy(io.Discard, bad.s.nc); err != nil && os.IsTimeout(err) {
			t.Fatalf("the manager does not end: %v", err)
		}
		good, err := DialManager(ctx, path, m.Token())
		if err != nil {
			t.Fatal(err)
		}
		defer good.Close()
		if _, err := OpenEvent(good, "event of the good").IsSet(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
