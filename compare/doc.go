// Package compare measures every model of package models side by side, on this machine, and draws what it finds.
//
// Each model serves in a process of its own, so that its CPU time, memory, threads and context switches are its own,
// and another process loads it. A measurement of one model with one number of connections is a cell; each cell is
// measured several times, in rounds, and within a round the models take turns in an order that changes, so that
// whatever else the machine does meanwhile falls on all of them alike. What is reported is the median of the rounds,
// and next to it the least and the most.
//
// # What is measured, and how
//
// Rate and latencies come from the load generator. All the rest is read from outside, twice within the time in which
// the load is measured and all connections stand, and set against the messages that the rate makes of the time between:
//
//   - CPU: the process's own clock in nanoseconds (clock_getcpuclockid(3)), user and system together, with threads that
//     have ended; of a model with several processes, of all. It is what utime and stime of /proc/PID/stat say in steps
//     of 10 ms.
//   - Memory: what is the process's alone (RssAnon and RssShmem of /proc/PID/status), less what the main process had
//     before the first connection. The program itself is not in it, nor is what the kernel keeps for a socket or a
//     thread. With few connections it is what a process needs to serve at all.
//   - Context switches: voluntary and involuntary, of all threads (/proc/PID/task/*/status).
//   - System calls: the tracepoint raw_syscalls:sys_enter, counted by perf_event_open(2) for all threads. A process
//     that is traced is slowed down, and strace(1), which stops it twice a call, changes what it does: how many
//     messages a system call covers depends on how many have come meanwhile. A counter changes far less, but not
//     nothing; so the calls are counted under a load of their own, after the one whose rate and times are reported. It
//     needs root, or leave to read the tracepoint's number and kernel.perf_event_paranoid of -1 (or CAP_PERFMON);
//     otherwise the report says that system calls were not measured, and why.
//
// What can't be had on a system is left out, with the reason. Load stays on loopback addresses.
//
// Charts are drawn by gonum.org/v1/plot: it is kept, draws SVG without a browser or cgo, and leaves axes, ticks, dashes
// and glyphs to the caller.
package compare
