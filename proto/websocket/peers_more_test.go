package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// nodePath is where the system's packages for Node are.
const nodePath = "/usr/share/nodejs"

// node is python for a script in Node with a package.
func node(t *testing.T, pkg, script string, args ...string) *bufio.Reader {
	t.Helper()
	env := append(os.Environ(), "NODE_PATH="+nodePath)
	probe := exec.Command("node", "-e", "require('"+pkg+"')")
	probe.Env = env
	if probe.Run() != nil {
		t.Skipf("there is no node with the package %s", pkg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
	cmd := exec.CommandContext(ctx, "node", append([]string{"-e", script}, args...)...)
	cmd.Env = env
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
			t.Errorf("%s: %v\n%s", pkg, err, stderr.String())
		}
	})
	return bufio.NewReader(out)
}

// others are clients as those of TestPeerClients, each with what it can do: texts, an empty one, bytes, a long one
// twice, and then a close with 1001, or 1000 where nothing else may be said.
var others = map[string]struct {
	start  func(t *testing.T, pkg, script string, args ...string) *bufio.Reader
	pkg    string
	code   Code
	script string
}{
	"node ws": {node, "ws", GoingAway, `
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[1], ['other', 'chat'], {perMessageDeflate: {threshold: 1}});
const say = ['héllo', '', Buffer.from([0, 255]), 'long '.repeat(20000), 'long '.repeat(20000), 'in three pieces'];
let at = 0;
const next = () => {
  if (at < say.length - 1) return ws.send(say[at]);
  ws.send('in ', {fin: false}); ws.send('three ', {fin: false}); ws.send('pieces');
};
ws.on('open', () => {
  if (ws.protocol !== 'chat') throw new Error('protocol ' + ws.protocol);
  if (!ws.extensions.startsWith('permessage-deflate')) throw new Error('extensions ' + ws.extensions);
  next();
});
ws.on('message', (data) => {
  if (Buffer.compare(data, Buffer.from(say[at])) !== 0) throw new Error('message ' + at);
  if (++at < say.length) next(); else ws.ping('?');
});
ws.on('pong', (p) => { if (p.toString() !== '?') throw new Error('pong'); ws.close(1001, 'bye'); });
ws.on('close', (code) => { if (code !== 1001) throw new Error('closed with ' + code); });
`},
	"undici": {node, "undici", Normal, `
const {WebSocket} = require('undici');
const ws = new WebSocket(process.argv[1], ['chat']);
ws.binaryType = 'arraybuffer';
const say = ['héllo', new Uint8Array([0, 255]), 'long '.repeat(20000)]; // of undici 5 an empty one is never told
let at = 0;
ws.onopen = () => { if (ws.protocol !== 'chat') throw new Error('protocol'); ws.send(say[0]); };
ws.onmessage = (e) => {
  const same = typeof say[at] === 'string' ? e.data === say[at] : new Uint8Array(e.data).join() === say[at].join();
  if (!same) throw new Error('message ' + at);
  if (++at < say.length) ws.send(say[at]); else ws.close(1000, 'bye');
};
ws.onclose = (e) => { process.exit(e.code === 1000 && at === say.length ? 0 : 1); };
ws.onerror = (e) => { throw e.error || e; };
`},
	"wsproto": {python, "wsproto", GoingAway, `
import socket, sys
from urllib.parse import urlparse
from wsproto import WSConnection, ConnectionType
from wsproto.events import *
from wsproto.extensions import PerMessageDeflate
u = urlparse(sys.argv[1])
s = socket.create_connection((u.hostname, u.port), 60)
ws = WSConnection(ConnectionType.CLIENT)
s.sendall(ws.send(Request(host=u.netloc, target="/", subprotocols=["chat"], extensions=[PerMessageDeflate()])))
def events():
    while True:
        data = s.recv(65536)
        ws.receive_data(data or None)
        yield from ws.events()
        if not data:
            return
e = events()
first = next(e)
assert isinstance(first, AcceptConnection) and first.subprotocol == "chat" and first.extensions, first
def message():
    got = None
    for x in e:
        assert isinstance(x, Message), x
        got = x.data if got is None else got + x.data
        if x.message_finished:
            return got
for m in ["héllo", "", b"\x00\xff", "long " * 20000, "long " * 20000]:
    s.sendall(ws.send(Message(data=m)))
    assert message() == m
for m, last in [("in ", False), ("three ", False), ("pieces", True)]:
    s.sendall(ws.send(Message(data=m, message_finished=last)))
assert message() == "in three pieces"
s.sendall(ws.send(Ping(payload=b"?")))
x = next(e)
assert isinstance(x, Pong) and x.payload == b"?", x
s.sendall(ws.send(CloseConnection(code=1001, reason="bye")))
x = next(e)
assert isinstance(x, CloseConnection) and x.code == 1001, x
`},
	"autobahn": {python, "autobahn", 3001, `
import asyncio, sys
from urllib.parse import urlparse
from autobahn.asyncio.websocket import WebSocketClientProtocol, WebSocketClientFactory
from autobahn.websocket.compress import *
say = ["héllo", "", b"\x00\xff", "long " * 20000, "long " * 20000, "in pieces"]
failed = []
class Client(WebSocketClientProtocol):
    at = 0
    def onConnect(self, response):
        if response.protocol != "chat" or not response.extensions:
            failed.append(response)
    def onOpen(self):
        self.say()
    def say(self):
        m = say[self.at]
        text = isinstance(m, str)
        self.sendMessage(m.encode() if text else m, not text, fragmentSize=3 if len(m) < 100 and m else None)
    def onMessage(self, payload, isBinary):
        m = say[self.at]
        if payload != (m.encode() if isinstance(m, str) else m):
            failed.append(payload[:50])
        self.at += 1
        if self.at < len(say):
            self.say()
        else:
            self.sendPing(b"?")
    def onPong(self, payload):
        self.sendClose(3001, "bye")
    def onClose(self, wasClean, code, reason):
        if not wasClean or code != 3001 or self.at != len(say):
            failed.append((wasClean, code, reason))
        loop.stop()
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
factory = WebSocketClientFactory(sys.argv[1], protocols=["chat"])
factory.protocol = Client
def accept(response):
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)
factory.setProtocolOptions(openHandshakeTimeout=60, closeHandshakeTimeout=60, # the machine may be busy
                           perMessageCompressionOffers=[PerMessageDeflateOffer()],
                           perMessageCompressionAccept=accept)
u = urlparse(sys.argv[1])
loop.run_until_complete(loop.create_connection(factory, u.hostname, u.port))
loop.run_forever()
assert not failed, failed
`},
}

// TestOtherClients has more clients that nobody here wrote.
func TestOtherClients(t *testing.T) {
	t.Parallel()
	for name, c := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			c.start(t, c.pkg, c.script, "ws://"+ln.Addr().String()+"/")
			ln.(*net.TCPListener).SetDeadline(time.Now().Add(scriptTime))
			nc, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			conn, _, err := Accept(nc, patient(&Options{Protocols: []string{"chat"},
				Deflate: &Deflate{Threshold: 1, SendWindow: true, ReceiveWindow: true}}))
			if err != nil {
				t.Fatal(err)
			}
			if e := new(CloseError); !errors.As(echo(conn), &e) || e.Code != c.code || e.Reason != "bye" {
				t.Errorf("told %+v, want %d", e, c.code)
			}
		})
	}
}

// otherServers echo for two clients, and close with 1001 when they are told to. They print their port.
var otherServers = map[string]struct {
	start       func(t *testing.T, pkg, script string, args ...string) *bufio.Reader
	pkg, script string
}{
	"node ws": {node, "ws", `
const {WebSocketServer} = require('ws');
let left = 2;
const s = new WebSocketServer({host: '127.0.0.1', port: 0, perMessageDeflate: {threshold: 1},
  handleProtocols: (p) => p.has('chat') && 'chat'}, () => console.log(s.address().port));
s.on('connection', (ws) => {
  ws.on('message', (data, binary) => {
    if (data.toString() === 'close') ws.close(1001, 'bye'); else ws.send(data, {binary});
  });
  ws.on('close', () => { if (--left === 0) s.close(); });
});
`},
	"aiohttp": {python, "aiohttp", `
import asyncio
from aiohttp import web
left = asyncio.Semaphore(0)
async def serve(request):
    ws = web.WebSocketResponse(protocols=["chat"], compress=True, max_msg_size=0)
    await ws.prepare(request)
    async for m in ws:
        if m.type == web.WSMsgType.TEXT and m.data == "close":
            await ws.close(code=1001, message=b"bye")
        elif m.type == web.WSMsgType.TEXT:
            await ws.send_str(m.data)
        elif m.type == web.WSMsgType.BINARY:
            await ws.send_bytes(m.data)
    left.release()
    return ws
async def main():
    app = web.Application()
    app.router.add_get("/x", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    for _ in range(2):
        await left.acquire()
    await runner.cleanup()
asyncio.run(main())
`},
}

// TestOtherServers has more servers that nobody here wrote.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	for name, s := range otherServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, err := s.start(t, s.pkg, s.script).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			host := "127.0.0.1:" + strings.TrimSpace(port)
			for _, deflate := range []*Deflate{nil, {Threshold: 1, SendWindow: true, ReceiveWindow: true}} {
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
			}
		})
	}
}
