package models

// mostThreads bounds how many threads there are.
const mostThreads = 1024

var threads = Model{
	Name:  "threads",
	Short: "a thread of the operating system for each client",
	Doc: "A thread of the operating system for each connection, which waits in blocking calls. The kernel's scheduler " +
		"is the multiplexer: it wakes the thread whose bytes have come, and threads run on all cores. The code is that of " +
		"blocking. The price is a thread a client, idle or not: its stack in the kernel (16 KiB) and in the process, a " +
		"place in the scheduler's queues, and a switch of threads for each message. (In Go a locked thread also asks the " +
		"runtime for the right to go on after each call that waited, which makes the switch dearer than in C.) One chooses " +
		"it for some hundred clients, and where a library blocks and can't be told not to.",
	Quadrant: Quadrant{Async: true, Parallel: true},
	Limit: Limit{mostThreads, "it is bounded to 1024 threads, since each costs memory in the kernel and in the " +
		"process, idle or not"},
	serve: serveThreads,
	check: checkRaw,
}
