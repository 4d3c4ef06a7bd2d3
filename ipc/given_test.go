package ipc

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestNil: an argument that is nil is named, and so is the line of the call.
func TestNil(t *testing.T) {
	var none context.Context
	ctx := limited(t)
	m, err := ServeManager(socketPath(t), ManagerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := DialManager(ctx, m.Path(), m.Token())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mine, theirs, err := NewPipe(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	defer mine.Close()
	typed := NewTyped[int, int](mine)
	pipes, err := ListenPipe(socketPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pipes.Close()
	python, err := ListenPython("tcp://127.0.0.1:0", PythonOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer python.Close()
	spoken, err := DialPython(ctx, python.Addr(), PythonOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer spoken.Close()
	watch, err := OpenEvent(c, "e").Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, want string
		f          func()
	}{
		{"DialManager", "the context", func() { DialManager(none, m.Path(), nil) }},
		{"DialPipe", "the context", func() { DialPipe(none, m.Path(), Options{}) }},
		{"DialPython", "the context", func() { DialPython(none, python.Addr(), PythonOptions{}) }},
		{"FilePipe", "the file", func() { FilePipe(nil, Options{}) }},
		{"PipeListener.Accept", "the context", func() { pipes.Accept(none) }},
		{"PythonListener.Accept", "the context", func() { python.Accept(none) }},
		{"PythonConn.SendBytes", "the context", func() { spoken.SendBytes(none, nil) }},
		{"PythonConn.RecvBytes", "the context", func() { spoken.RecvBytes(none) }},
		{"Pipe.Send", "the context", func() { mine.Send(none, nil) }},
		{"Pipe.Send of a file", "a file", func() { mine.Send(ctx, nil, theirs, nil) }},
		{"Pipe.Recv", "the context", func() { mine.Recv(none) }},
		{"Pipe.RecvFiles", "the context", func() { mine.RecvFiles(none) }},
		{"Pipe.CloseWrite", "the context", func() { mine.CloseWrite(none) }},
		{"NewTyped", "the pipe", func() { NewTyped[int, int](nil) }},
		{"Typed.Send", "the context", func() { typed.Send(none, 1) }},
		{"Typed.Recv", "the context", func() { typed.Recv(none) }},
		{"Typed.RecvSoon", "the context", func() { typed.RecvSoon(none) }},
		{"NewQueue", "the ring", func() { NewQueue[int](nil, nil) }},
		{"Client.Do", "the context", func() { c.Do(none) }},
		{"Client.Remove", "the context", func() { c.Remove(none, "x") }},
		{"Counter.Add", "the context", func() { OpenCounter(c, "n").Add(none, 1) }},
		{"Map.Watch", "the context", func() { OpenMap[string, int](c, "m").Watch(none) }},
		{"Watch.Next", "the context", func() { watch.Next(none) }},
		{"Watch.Close", "the context", func() { watch.Close(none) }},
		{"OpenBarrier", "the client", func() { OpenBarrier(nil, "x", 1) }},
		{"OpenCounter", "the client", func() { OpenCounter(nil, "x") }},
		{"OpenEvent", "the client", func() { OpenEvent(nil, "x") }},
		{"OpenList", "the client", func() { OpenList[int](nil, "x") }},
		{"OpenLock", "the client", func() { OpenLock(nil, "x") }},
		{"OpenMap", "the client", func() { OpenMap[int, int](nil, "x") }},
		{"OpenNamespace", "the client", func() { OpenNamespace(nil, "x") }},
		{"OpenRWLock", "the client", func() { OpenRWLock(nil, "x") }},
		{"OpenSemaphore", "the client", func() { OpenSemaphore(nil, "x", 1) }},
		{"OpenSharedQueue", "the client", func() { OpenSharedQueue[int](nil, "x", 1) }},
		{"OpenValue", "the client", func() { OpenValue[int](nil, "x") }},
		{"AttributeOf", "the namespace", func() { AttributeOf[int](nil, "x") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				if !strings.HasPrefix(got, "ipc: ") || !strings.Contains(got, row.want+" is nil, at ") ||
					!strings.Contains(got, "given_test.go:") {
					t.Errorf("it panicked with %q, want ipc: …: %s is nil, and the line", got, row.want)
				}
			}()
			row.f()
		})
	}
	if _, err := OpenCounter(c, "n").Add(ctx, 1); err != nil {
		t.Errorf("a call after those that were refused: %v", err)
	}
	if err := watch.Close(ctx); err != nil {
		t.Errorf("the watch's end after those that were refused: %v", err)
	}
	theirPipe, err := FilePipe(theirs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer theirPipe.Close()
	if err := mine.Send(ctx, []byte("x")); err != nil {
		t.Errorf("a message after those that were refused: %v", err)
	}
	if msg, err := theirPipe.Recv(ctx); string(msg) != "x" || err != nil {
		t.Errorf("a message after those that were refused came as %q: %v", msg, err)
	}
}
