package models

import (
	"context"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// onLoop is the model of an event loop on that driver.
func onLoop(driver string) Model {
	m := Model{
		Name:     driver,
		Quadrant: Quadrant{Async: true, NonBlocking: true},
		serve:    func(ctx context.Context, j Job) error { return serveLoop(ctx, j, driver) },
		check:    func() error { return checkDriver(driver) },
	}
	const eventLoop = "One event loop on one thread, which calls a function when bytes have come: no stack and no " +
		"buffer a connection, no locks, and no other core either. "
	switch driver {
	case "select":
		m.Short = "an event loop on select(2): a set of descriptors a wait"
		m.Doc = eventLoop + "It waits in select(2): the program hands the kernel a set of descriptors, a bit for each, and " +
			"the kernel asks them one by one; then the program looks for the bits that are left. So each wait costs time in " +
			"proportion to all connections, also to those that are silent. One chooses it for a handful of descriptors, and " +
			"where there is nothing else."
		m.Limit = Limit{1000, "select(2) takes descriptors below 1024 (FD_SETSIZE), some of which the process needs itself"}
	case "poll":
		m.Short = "an event loop on poll(2): a list of descriptors a wait"
		m.Doc = eventLoop + "It waits in poll(2): a list in place of the set, so that there is no limit, and otherwise the " +
			"same: the kernel asks all of them at each wait, and the program goes through the whole list. One chooses it " +
			"where there is no epoll or kqueue."
	case "epoll":
		m.Short = "an event loop on epoll(7): the kernel keeps the list"
		m.Doc = eventLoop + "It waits in epoll_wait(2): the kernel keeps the list, is told once of each descriptor, and " +
			"puts those that become ready into a queue as it happens. A wait costs time in proportion to what is ready, and " +
			"not to what there is. What remains is a system call for each read and each write. One chooses it for many " +
			"connections on Linux: nginx, Redis and most others do."
	case "io_uring":
		m.Short = "an event loop on io_uring(7): the kernel does the reading"
		m.Doc = eventLoop + "It hands the kernel requests (receive on this one, send that) through memory that both can " +
			"see, and gets back what is done: bytes that have been read already, in place of the news that they could be " +
			"read. One system call submits all replies of a turn and waits for the next bytes. One chooses it where it is " +
			"allowed, for many connections; containers often refuse it."
	}
	return m
}

// checkDriver is why a loop can't wait on it here.
func checkDriver(name string) error {
	for _, d := range loop.Drivers() {
		if d.Name == name {
			return d.Err
		}
	}
	return loop.ErrUnknownDriver
}

func serveLoop(ctx context.Context, j Job, driver string) error {
	l, err := loop.New(loop.Options{Driver: driver, Log: j.Log})
	if err != nil {
		return err
	}
	defer l.Close()
	answer := loop.HandlerFunc(func(c *loop.Conn, p []byte) {
		// It takes all. What the kernel does not take yet the loop keeps, and it reads nothing from this peer meanwhile;
		// a connection that is broken tells so by itself.
		_, _ = c.Write(j.Service.Reply(p))
	})
	ln, err := l.Listen(j.Addr, sock.Options{}, func(*loop.Conn) loop.Handler { return answer })
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	j.ready(ln.Addr())
	return l.Run()
}
