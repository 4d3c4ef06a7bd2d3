// Package models is one small server, written once for each way in which a program can wait for input and output: so
// that they can be read side by side, and measured (package compare does that).
//
// Two questions sort them. Does a call wait for what it wants (blocking), or does it say at once that there is nothing
// yet (non-blocking)? And does the program's one line of control see to one thing after the other (synchronous), or is
// it told, or resumed, when something has happened, while others go on (asynchronous)?
//
//	              blocking                          non-blocking
//	synchronous   blocking                          busy
//	asynchronous  threads, processes, goroutines    select, poll, epoll, io_uring, coroutines
//
// A third question is often taken for these two: how many connections are under way at once (concurrent), and how many
// of them run at the same instant (parallel)? One event loop is concurrent and not parallel; threads are both.
//
// Each model offers the same service ([Echo] or [Upper]) on a TCP address:
//
//	m, err := models.Find("epoll")
//	...
//	err = m.Serve(ctx, models.Job{Addr: addr, Service: models.Echo, Ready: func(a sock.Addr) { fmt.Println(a) }})
//
// None of them is what one would put into production, but for the last: they have no limits on what a peer may do, no
// deadlines, no drain. What they share with a real server is what waits where, and what that costs.
//
// A program that serves the model processes must call [RunWorker] first thing in its main.
package models
