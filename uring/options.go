package uring

// Options are what [New] makes a ring from. The zero value is a ring of 256 entries without flags.
type Options struct {
	// Entries is the room for submissions between two calls of Submit, from 1 to 32768; the kernel rounds it up to a
	// power of two. 0 means 256. An entry takes 64 bytes.
	Entries int
	// CQEntries is the room for completions, from Entries to 65536, rounded up likewise. 0 means twice Entries. An
	// entry takes 16 bytes. Completions that find no room are kept by the kernel, at a cost: see [Ring.Overflowed].
	CQEntries int
	// Flags are those of io_uring_setup(2).
	Flags SetupFlags
	// RegisterRing gives the ring a number in a table of its own thread, so that system calls need not look up and
	// hold the descriptor (Linux 5.18). Needs SetupSingleIssuer, as the number means nothing on another thread. A
	// thread has 16 of them.
	RegisterRing bool
	// NoIOWait keeps a thread that waits from counting as waiting for I/O (Linux 6.15; an error before): else an
	// idle loop shows as 100 % iowait in top(1). The price is that the CPU's frequency is not raised for it.
	NoIOWait bool
	// SQThreadIdle is how long a SetupSQPoll thread spins before it sleeps, in milliseconds; 0 means 1000.
	SQThreadIdle uint32
	// SQThreadCPU is where that thread runs, with SetupSQAff.
	SQThreadCPU uint32
	// Attach is the descriptor of the ring whose workers are shared, with SetupAttachWQ.
	Attach int
}
