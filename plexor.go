// Package plexor is an event-driven networking engine. What is here so far is its lower layers:
//
//   - [github.com/plexor-go/plexor/sock]: sockets, addresses and options
//   - [github.com/plexor-go/plexor/selector]: select, poll, epoll and kqueue behind one type
//   - [github.com/plexor-go/plexor/loop]: event loops, connections, datagrams, timers
//
// The server that is written as straight-line code comes to stand in this package. ARCHITECTURE.md tells how the
// layers fit.
package plexor
