package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// scriptTime is what a script has at most. On a machine with much to do an interpreter takes long to start.
const scriptTime = 5 * time.Minute

// python starts a script in a python3 that has the module, and returns what it prints. The test fails if the script
// does, and is skipped where there is none.
func python(t *testing.T, module, script string, args ...string) *bufio.Reader {
	t.Helper()
	for _, path := range []string{"python3", "/usr/bin/python3"} { // the system's is the one that apt installs modules for
		if exec.Command(path, "-c", "import importlib.util as u, sys; sys.exit(not u.find_spec('"+module+"'))").Run() != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
		cmd := exec.CommandContext(ctx, path, append([]string{"-c", script}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			defer cancel()
			if t.Failed() {
				cancel()
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", module, err, stderr.String())
			}
		})
		return bufio.NewReader(out)
	}
	t.Skipf("there is no python3 with the module %s", module)
	return nil
}

// clients talk to an echo: a text, an empty one, bytes, a long one twice (which a window makes short), a message in
// fragments, a ping. Then they close with 1001.
var clients = map[string]string{
	"websockets": `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], subprotocols=["other", "chat"], max_size=None,
                                  open_timeout=60, close_timeout=60, ping_interval=None) as ws:
        assert ws.subprotocol == "chat", ws.subprotocol
        assert [e.name for e in ws.extensions] == ["permessage-deflate"], ws.extensions
        for m in ["héllo", "", b"\x00\xff", "long " * 20000, "long " * 20000]:
            await ws.send(m)
            assert await ws.recv() == m
        await ws.send(["in ", "three ", "pieces"])
        assert await ws.recv() == "in three pieces"
        await asyncio.wait_for(await ws.ping(), 20)
        await ws.close(1001, "bye")
asyncio.run(main())
`,
	"aiohttp": `
import asyncio, sys, aiohttp
async def main():
    async with aiohttp.ClientSession() as s:
        async with s.ws_connect(sys.argv[1], protocols=["chat"], compress=15, max_msg_size=0) as ws:
            assert ws.protocol == "chat", ws.protocol
            assert ws.compress, "no compression"
            for m in ["héllo", "", "long " * 20000, "long " * 20000]:
                await ws.send_str(m)
                assert await ws.receive_str() == m
            await ws.send_bytes(b"\x00\xff")
            assert await ws.receive_bytes() == b"\x00\xff"
            await ws.ping()
            await ws.close(code=1001, message=b"bye")
asyncio.run(main())
`,
}

// TestPeerClients has clients that nobody here wrote.
func TestPeerClients(t *testing.T) {
	for module, script := range clients {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			deflate := new(Deflate)
			if module == "websockets" {
				deflate = &Deflate{SendWindow: true, ReceiveWindow: true, ReceiveBits: 10}
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			python(t, module, script, "ws://"+ln.Addr().String()+"/")
			ln.(*net.TCPListener).SetDeadline(time.Now().Add(scriptTime))
			nc, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c, _, err := Accept(nc, patient(&Options{Protocols: []string{"chat"}, Deflate: deflate}))
			if err != nil {
				t.Fatal(err)
			}
			if e := new(CloseError); !errors.As(echo(c), &e) || e.Code != GoingAway || e.Reason != "bye" {
				t.Errorf("told %+v", e)
			}
		})
	}
}

// server is an echo of the module websockets for four clients, which closes with 1001 when it is told to.
const server = `
import asyncio, websockets
async def serve(ws):
    async for m in ws:
        if m == "close":
            await ws.close(1001, "bye")
            return
        await ws.send(m)
async def main():
    done = asyncio.Semaphore(0)
    async def one(ws):
        await serve(ws)
        done.release()
    async with websockets.serve(one, "127.0.0.1", 0, subprotocols=["chat"], max_size=None,
                                close_timeout=60, ping_interval=None) as s:
        print(s.sockets[0].getsockname()[1], flush=True)
        for _ in range(4):
            await done.acquire()
asyncio.run(main())
`

// TestPeerServer has a server that nobody here wrote.
func TestPeerServer(t *testing.T) {
	t.Parallel()
	port, err := python(t, "websockets", server).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	host := "127.0.0.1:" + strings.TrimSpace(port)
	for name, deflate := range map[string]*Deflate{
		"plain": nil, "keeps nothing": {}, "keeps windows": {SendWindow: true, ReceiveWindow: true},
		"narrow": {SendWindow: true, ReceiveWindow: true, ReceiveBits: 9},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Dial(nc, "ws://"+host+"/x", patient(&Options{Protocols: []string{"chat"}, Deflate: deflate}))
			if err != nil {
				t.Fatal(err)
			}
			if c.Protocol() != "chat" || (c.Compression() != nil) != (deflate != nil) {
				t.Errorf("agreed on %q, %+v", c.Protocol(), c.Compression())
			}
			for i, msg := range []string{"héllo", "", strings.Repeat("long ", 20_000), strings.Repeat("long ", 20_000), "x"} {
				sent := make(chan error, 1)
				go func() { sent <- send(c, i%3, []byte(msg)) }()
				if _, got, err := receive(c, i%2); err != nil || string(got) != msg {
					t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
			if err := c.WriteMessage(Text, []byte("close")); err != nil {
				t.Fatal(err)
			}
			_, _, err = c.ReadMessage()
			if e := new(CloseError); !errors.As(err, &e) || e.Code != GoingAway || e.Reason != "bye" {
				t.Errorf("told %v", err)
			}
		})
	}
}
