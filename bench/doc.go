// Command bench puts Plexor next to Go's own net package and to netpoll: the same services, read into buffers of the
// same size, under the same load, each server in a process of its own.
//
//	cd bench && go run .                      every shape, a table at the end
//	go run . -json results.json -rounds 5     the rounds one by one as well
//
// The servers are echo, which sends back what came, and framed, which sends back messages with a length of four bytes
// before each. Each runs on one core and the load (package load) on another one, where there are two, the servers in
// turn, round after round, so that what else the machine does falls on all of them alike.
//
// For each shape (connections × messages under way on each × bytes) it tells the server's CPU time for a message, which
// holds when the load is the bottleneck or the machine is noisy, as the median of the rounds and as the median of the
// ratios to net in the same round; then the rate and the latencies, which are only as good as the machine. The CPU time
// is of the whole run with its connecting. Idle is the server's resident memory for each of many connections that
// echoed one message and then stay, after a garbage collection; what the kernel holds for them is not in it.
package main
