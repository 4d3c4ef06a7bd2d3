package plexor_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// A stream, as a coroutine of its own.
func Example() {
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })}
	// A main would call ListenAndServe. Here it is a free port, and in the background.
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(c, "hello")
	line, err := bufio.NewReader(c).ReadString('\n')
	fmt.Printf("%q %v\n", line, err)
	c.Close()
	fmt.Println(srv.Shutdown(context.Background()))
	// Output:
	// "hello\n" <nil>
	// <nil>
}

// A stream, as the whole of a main.
func ExampleServer_ListenAndServe() {
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })}
	log.Fatal(srv.ListenAndServe("tcp://127.0.0.1:9000"))
}

// Messages: an idle connection holds no stack and no buffer, and a coroutine runs only while one is handled.
func ExampleMessages() {
	srv := &plexor.Server{}
	srv.Handler = plexor.Messages(frame.Length{Bytes: 4, Max: 1 << 20}, func(c *plexor.Conn, msg []byte) error {
		return c.Send(bytes.ToUpper(msg))
	})
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("\x00\x00\x00\x05hello" + "\x00\x00\x00\x05there"))
	reply := make([]byte, 18)
	io.ReadFull(c, reply)
	fmt.Printf("%q\n", reply)
	// Output: "\x00\x00\x00\x05HELLO\x00\x00\x00\x05THERE"
}

// Anybody may send to a connection by its Outbox: here whoever joins a room is greeted by the room.
func ExampleAudience() {
	var room plexor.Audience
	srv := &plexor.Server{}
	srv.Handler = plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
		if err := room.Add(c.Outbox()); err != nil { // it leaves when the connection ends
			return err
		}
		return room.Send(fmt.Appendf(nil, "%s is the %d. here", msg, room.Len()))
	})
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "Ada")
	lines := bufio.NewScanner(c)
	lines.Scan()
	fmt.Println(lines.Text())
	_ = room.Send([]byte("and from any goroutine")) // what a member misses is no error
	lines.Scan()
	fmt.Println(lines.Text())
	// Output:
	// Ada is the 1. here
	// and from any goroutine
}

// An Outbox is bounded, and says what happens when the peer does not read: of prices only
// the latest is of interest, and whoever can wait does so.
func ExampleOutbox() {
	boxes := make(chan *plexor.Outbox)
	srv := &plexor.Server{Limits: plexor.Limits{Outbox: plexor.OutboxLimits{Entries: 100, WhenFull: plexor.DropOldest}}}
	srv.Handler = plexor.GreeterFunc(func(c *plexor.Conn) {
		o := c.Outbox()
		go func() { boxes <- o }() // to whoever has something to say
		io.Copy(io.Discard, c)
	})
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	o := <-boxes
	price := plexor.PrepareBytes([]byte("ABC 17\n"))
	fmt.Println(o.PutLatest("ABC", price))
	fmt.Println(o.PutWait(context.Background(), plexor.PrepareBytes([]byte("DEF 4\n"))))
	all := make([]byte, 13)
	io.ReadFull(c, all)
	fmt.Printf("%q\n", all)
	// Output:
	// <nil>
	// <nil>
	// "ABC 17\nDEF 4\n"
}

// Concurrent work inside a handler: other coroutines on this loop, and what blocks on a goroutine off it.
func ExampleConn_Context() {
	var db database // which blocks, as *sql.DB does
	srv := &plexor.Server{Handler: plexor.GreeterFunc(func(c *plexor.Conn) {
		ctx := c.Context()
		err := coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(func(ctx context.Context) error { // another coroutine on this loop
				_, err := io.WriteString(c, "one moment\n")
				return err
			})
			rows, err := coro.Await(ctx, func() ([]row, error) { return db.Query("select name") }) // a goroutine, off the loop
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c, len(rows), "rows")
			return err
		})
		if err != nil {
			fmt.Fprintln(c, "sorry:", err)
		}
	})}
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	all, err := io.ReadAll(c)
	fmt.Printf("%s%v\n", all, err)
	// Unordered output:
	// one moment
	// 2 rows
	// <nil>
}

type (
	row      struct{ name string }
	database struct{}
)

func (database) Query(string) ([]row, error) {
	time.Sleep(time.Millisecond)
	return []row{{"a"}, {"b"}}, nil
}

// net/http on a server's loops, unchanged.
func ExampleServer_Listen() {
	srv := &plexor.Server{Limits: plexor.Limits{Conns: 10_000}}
	ln, err := srv.Listen("tcp://127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello from ", r.URL.Path)
	})}
	go web.Serve(ln)
	defer web.Close()

	resp, err := http.Get("http://" + ln.Addr().String() + "/here")
	if err != nil {
		log.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %v\n", body, err)
	// Output: hello from /here <nil>
}

// A connection that a goroutine goes on with.
func ExampleConn_Shared() {
	conns := make(chan net.Conn, 1)
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) {
		name, err := bufio.NewReader(io.LimitReader(c, 6)).ReadString('\n') // no more than it is to read
		if err == nil && name == "share\n" {
			conns <- c.Shared()
		}
	})}
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "share\nand the rest\n")

	shared := <-conns
	defer shared.Close()
	line, err := bufio.NewReader(shared).ReadString('\n')
	fmt.Printf("%q %v\n", line, err)
	// Output: "and the rest\n" <nil>
}

// Datagrams, each in a coroutine of its own.
func ExampleServer_OpenPackets() {
	srv := &plexor.Server{}
	addr, err := srv.OpenPackets("udp://127.0.0.1:0", plexor.PacketFunc(func(p *plexor.Packet) {
		if err := p.Reply(bytes.ToUpper(p.Data)); err != nil {
			log.Print(err)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("udp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	reply := make([]byte, 100)
	n, err := c.Read(reply)
	fmt.Printf("%q %v\n", reply[:n], err)
	// Output: "HELLO" <nil>
}
