package loop_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// pythonServer is an upper server in Python's selectors module, as its documentation's example is built. It prints
// its port, and ends with its standard input.
const pythonServer = `
import selectors, socket, sys, threading, os
sel = selectors.DefaultSelector()
def accept(l):
    c, _ = l.accept()
    c.setblocking(False)
    sel.register(c, selectors.EVENT_READ, read)
def read(c):
    data = c.recv(1000)
    if data:
        c.send(data.upper() + b"_SB")
    else:
        sel.unregister(c)
        c.close()
l = socket.create_server(("127.0.0.1", 0), backlog=200)
l.setblocking(False)
sel.register(l, selectors.EVENT_READ, accept)
print(l.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    for key, _ in sel.select():
        key.data(key.fileobj)
`

// TestPythonServer: our connections as clients of a server that nobody here wrote.
func TestPythonServer(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	cmd := exec.Command(python, "-c", pythonServer)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stdin.Close() // which ends it
		_ = cmd.Wait()
	}()
	line := make([]byte, 16)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := sock.ParseAddr("tcp://127.0.0.1:" + strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			l, err := loop.New(loop.Options{Driver: d.Name})
			if err != nil {
				t.Fatal(err)
			}
			const clients = 50
			left := clients
			for range clients {
				p := &pythonClient{t: t, done: func() {
					if left--; left == 0 {
						_ = l.Close() // from the loop itself
					}
				}}
				if _, err := l.Dial(addr, sock.Options{}, 0, p); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A pythonClient asks three times and closes.
type pythonClient struct {
	loop.Base
	t     *testing.T
	got   bytes.Buffer
	asked int
	done  func()
}

func (p *pythonClient) Opened(c *loop.Conn) { p.ask(c) }

func (p *pythonClient) ask(c *loop.Conn) {
	p.asked++
	if _, err := c.Write([]byte("hello, python")); err != nil {
		p.t.Error(err)
	}
}

func (p *pythonClient) Data(c *loop.Conn, b []byte) {
	p.got.Write(b)
	if p.got.Len() < p.asked*len("hello, python_SB") {
		return
	}
	if p.asked < 3 {
		p.ask(c)
		return
	}
	if err := c.Close(); err != nil {
		p.t.Error(err)
	}
}

func (p *pythonClient) Closed(_ *loop.Conn, err error) {
	if want := strings.Repeat("HELLO, PYTHON_SB", 3); err != nil || p.got.String() != want {
		p.t.Errorf("got %q, want %q; closed with %v", p.got.String(), want, err)
	}
	p.done()
}
