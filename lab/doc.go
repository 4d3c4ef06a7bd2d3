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
// # Two ways of time
//
// In [World.Run] time is virtual. One loop runs at a time, in an order that the world sets; when none has anything to
// do, time goes on to the next thing that happens. Nothing is read from the system, and all chance comes from the seed:
// so the same program with the same seed is the same run, packet for packet and byte for byte. It takes as long as it
// has to be computed, whatever time passes in it.
//
// In a world with Options.Live time is the system's, and a goroutine of the world's moves the packets: for code that
// blocks goroutines, which [Host.DialContext] and [Host.Listener] are for.
//
// Before Run, and after it, virtual time stands still: loops run when something is asked of them, and no packet moves.
//
// Deadlines of connections are by the world's time too: World.Now, or the loop's, and not time.Now. What Conn.Shared
// gives out is for goroutines, and keeps to the system's clock.
//
// # What makes a run differ
//
// Whatever comes from outside: goroutines that post to a loop during Run (coro.Await is one), the system's clock
// (time.Now, in place of the loop's), the system's random numbers (crypto/tls, for one), the order of a map, and
// addresses in memory. [World.Strays] counts what was seen of the first kind.
package lab
