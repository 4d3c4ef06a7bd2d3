package loop

// A completionSize is what a loop on io_uring takes of memory that may be limited: address space (RLIMIT_AS), memory
// that may be locked (RLIMIT_MEMLOCK, against which the kernel counts the queues, but from 5.12 to 6.13), or a
// container's.
type completionSize struct {
	// The queues are for one turn's operations; the kernel keeps what overflows, at a cost.
	submissions, completions int
	// receive is the most that the loop's connections receive into, in bytes.
	receive int
}

// completionSizes are tried one after the other: some 4.3 MiB, 1.1 MiB and 0.3 MiB of address space, of which 260, 68
// and 20 KiB may be locked. The small ones cost a busy loop more calls, and a connection that finds no buffer a turn.
var completionSizes = [leastSize + 1]completionSize{
	{2048, 8192, 4 << 20},
	{512, 2048, 1 << 20},
	{128, 512, leastReceive},
}
