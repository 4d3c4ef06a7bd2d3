// Package lab is a network of one's own: hosts with TCP/IP of our own (packages lab/ip, lab/tcp), cables between them
// (lab/link), and a world that moves the time.
//
//	w := lab.New(lab.Options{Seed: 1})
//	defer w.Close()
//	client, server := w.Host("client"), w.Host("server")
//	w.Connect(client, server, link.Options{Delay: 20 * time.Millisecond, Loss: 0.01})
//	srv := &plexor.Server{Network: server, Handler: h}
//	_, err := srv.Open("tcp://:9000", nil)
//	client.Go(func(ctx context.Context) error { c, err := plexor.Dial(ctx, "tcp://server:9000"); … })
//	err = w.Run()
//
// A Host is a loop.Network: servers, loops and coroutines run on it unchanged.
//
// # In a test of your own
//
// Give the server under test a host as its Network, and write the client as a function for [Host.Go]: straight-line
// code, on a coroutine. There, connect by [plexor.Dial], which takes the hosts' names, wait by coro.Sleep, and return
// what went wrong: [World.Run] lets time pass until every such function has returned, and returns their errors. A
// timeout of five minutes is over at once, and one that comes too early is found to the nanosecond:
//
//	func TestPatience(t *testing.T) {
//		w := lab.New(lab.Options{Seed: 1})
//		defer w.Close()
//		client, server := w.Host("client"), w.Host("server")
//		w.Connect(client, server, link.Options{Delay: 300 * time.Millisecond, Loss: 0.05})
//		srv := &plexor.Server{Network: server, Handler: yours}
//		defer srv.Close()
//		if _, err := srv.Open("tcp://:25", nil); err != nil {
//			t.Fatal(err)
//		}
//		client.Go(func(ctx context.Context) error {
//			c, err := plexor.Dial(ctx, "tcp://server:25")
//			if err != nil {
//				return err
//			}
//			defer c.Close()
//			begin := w.Now()
//			answer, err := io.ReadAll(c)
//			if d := w.Now().Sub(begin); d < 5*time.Minute {
//				err = errors.Join(err, fmt.Errorf("%q, and the end after %v", answer, d))
//			}
//			return err
//		})
//		if err := w.Run(); err != nil {
//			t.Error(err)
//		}
//	}
//
// A test that fails does so again with the same seed; try many, and print the one that fails. With Options.Capture it
// leaves a file for Wireshark. A Run that ends with [ErrStuck] has a function that waits for what nobody will do.
//
// Code that blocks goroutines, as net/http does, wants a live world: its clients dial by [Host.DialContext], its
// servers listen by [Host.Listener], and time is the system's.
//
// # Two ways of time
//
// In [World.Run] time is virtual. One loop runs at a time, in an order that the world sets; when none has anything to
// do, time goes on to the next thing that happens. Nothing is read from the system, and all chance comes from the seed:
// so the same program with the same seed is the same run, packet for packet and byte for byte. It takes as long as it
// has to be computed, whatever time passes in it.
//
// In a world with Options.Live time is the system's, and a goroutine of the world's moves the packets: for code that
// blocks goroutines, which [Host.DialContext] and [Host.Listener] are for. What hosts of such a world choose is the
// system's too, and [World.Outside] joins one to the machine's kernel, or to whatever carries frames.
//
// Before Run, and after it, virtual time stands still: loops run when something is asked of them, and no packet moves.
//
// Deadlines of connections are by the world's time too: World.Now, or the loop's, and not time.Now. What Conn.Shared
// gives out is for goroutines, and keeps to the system's clock.
//
// A world may be made in a bubble of testing/synctest, whose time a live one then goes by. It belongs there. In a
// bubble, when it was made in none, Run, Wait, and what is for goroutines return an error, and closing works. One that
// was made in a bubble is for no other: the runtime ends the process.
//
// # What makes a run differ
//
// Whatever comes from outside: goroutines that post to a loop during Run (coro.Await is one), the system's clock
// (time.Now, in place of the loop's), the system's random numbers (crypto/tls, for one), the order of a map, and
// addresses in memory. [World.Strays] counts what was seen of the first kind.
//
// [plexor.Dial]: https://pkg.go.dev/github.com/plexor-go/plexor#Dial
package lab
