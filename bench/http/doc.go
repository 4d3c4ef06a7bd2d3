// Command http puts HTTP/1.1 on Plexor next to net/http, fasthttp and nginx (where that is installed): what a request
// of plain text costs the server, what a connection that waits costs it, and what clients that send their heads slowly
// do to the others.
//
//	cd bench && go run ./http                          all of it, some minutes
//	go run ./http -rounds 21 -conns 100 -depth 1,16    the requests alone: add -idle 0
//	go run ./http -tls                                 what waits over TLS, alone; all but nginx
//
// A server is a process of its own, on the first core, and so is the load (package load), on the second. Servers are
// loaded in turn, round after round, so that what else the machine does falls on all of them alike. A request's cost is
// the CPU time of the server's process (of nginx's worker), all threads, by its own clock, with the connections being
// made and closed in each round; the ratios are the medians of those of the same round.
//
// An idle connection has asked once. A slow head is one that is not finished: a byte of it comes every five seconds
// while the others are measured. Both are told as the growth of the server's resident memory. The healthy client asks
// at a constant rate, and its latencies count from when a request was due.
package main
