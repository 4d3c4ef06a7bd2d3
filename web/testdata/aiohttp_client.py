# A client by aiohttp: it asks a site (site_test.go) on one connection, talks by a WebSocket, and asks much at once.
import asyncio, sys, aiohttp

async def pieces():
    for i in range(64):
        yield b"0123456789abcdef" * 1024

async def main(base):
    big = b"0123456789abcdef" * 65536
    one = aiohttp.TCPConnector(ssl=False, limit=1)
    async with aiohttp.ClientSession(connector=one, cookie_jar=aiohttp.CookieJar(unsafe=True)) as s:
        async with s.get(base + "/files/big") as r:
            assert r.status == 200 and await r.read() == big
        async with s.get(base + "/files/big", headers={"Range": "bytes=5-9"}) as r:
            assert r.status == 206 and await r.read() == big[5:10]
        async with s.post(base + "/echo", data=big) as r:
            assert await r.read() == big and r.headers["X-Asked"] == "POST HTTP/1.1"
        async with s.post(base + "/echo", json={"a": [1, 2, 3]}) as r:
            assert await r.json() == {"a": [1, 2, 3]}
        async with s.post(base + "/echo", data=pieces(), expect100=True) as r:
            assert await r.read() == big
        async with s.post(base + "/sum", data=pieces(), compress="deflate") as r:
            assert r.status == 200 and "<nil>" in await r.text()
        async with s.get(base + "/stream") as r:
            assert [l async for l in r.content if l.strip()] == [b"data: %d\n" % i for i in range(5)]
        async with s.head(base + "/files/big") as r:
            assert r.headers["Content-Length"] == "1048576" and await r.read() == b""
        async with s.get(base + "/files/a.txt") as r:
            assert await r.text() == "plain" and r.headers["Content-Encoding"] == "gzip"
        async with s.get(base + "/redirect") as r:
            assert await r.text() == "seen=yes" and len(r.history) == 1
        async with s.delete(base + "/none") as r:
            assert r.status == 204
        async with s.get(base + "/trailers") as r:
            assert await r.text() == "hello"
        async with s.ws_connect(base + "/socket", compress=15) as ws:
            for m in ["", "hello", "x" * 100000]:
                await ws.send_str(m)
                assert await ws.receive_str() == m
            await ws.send_bytes(big)
            assert await ws.receive_bytes() == big
            await ws.ping()
            await ws.close()
            assert ws.close_code == 1000
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, limit=50)) as s:
        async def ask(i):
            async with s.post(base + "/echo", data=b"x" * i * 100) as r:
                assert await r.read() == b"x" * i * 100
        await asyncio.gather(*(ask(i) for i in range(200)))
    print("done")

for base in sys.argv[1:]:
    asyncio.run(main(base))
