// Package shm is a queue of byte strings in memory that processes share, and that outlives any of them: a process that
// is killed at any moment, by SIGKILL or by the machine's memory running out, loses nothing that was put, holds nobody
// up, and what it had taken and not done goes to another.
//
//	r, err := shm.Create("jobs", shm.Options{})       // a file in /dev/shm; or shm.New, memory without a name
//	n, err := r.Put(ctx, []byte("a job"))             // it is in the shared memory when Put returns
//
//	r, err := shm.Open("jobs")                        // in other processes; or shm.OpenFile, of a descriptor
//	items := make([]shm.Item, 1)
//	n, err := r.Get(ctx, items, nil)                  // taken: nobody else gets it while this process lives
//	err = r.Done(items...)                            // and now it is gone
//
// Package ipc has a Queue of Go values over it, for coroutines and goroutines.
//
// # What it promises
//
// Put, and what it returned as put, stays until it is done, whoever dies. Each item is handed to one party at a time;
// it is handed out again only after its taker has died, has closed its Ring, or has given it back ([Ring.Return]).
// [Item.Deliveries] tells how often it was handed out. So a consumer that is killed between its work and Done has its
// item done twice: work must bear that, as with every queue that loses nothing.
//
// A Put that was cut off by the death of its own process may have put its items or not, each whole or not at all.
//
// Items come in the order in which they were put, those given back before all others. With several consumers the order
// in which they are done is theirs. A large item waits for several slots at once, and small ones may overtake it.
//
// The memory is not kept on a disk: it is gone with the machine, and without a name also with the last process.
//
// # Parties
//
// Each open Ring is a party, of which there are at most [MaxParties]. A party lives while it holds a lock on a byte of
// the file, of the kind that belongs to the open file (F_OFD_SETLK, fcntl(2), Linux 3.15): the kernel releases it when
// the process is gone, after the last of its threads, and no later process is taken for it, whatever its number.
// Waiting parties look for dead ones every [CheckInterval]; a new party looks when it comes.
//
// A process that is stopped (SIGSTOP, a debugger) is not dead. It keeps what it has taken, and the slots that it was
// copying to; others go on with the rest. If it is stopped in the half microsecond in which it holds the ring's lock,
// nobody can go on but by its going on, or its death. Then each wait ends by its context all the same, and calls
// without a context end after [TryLimit] or [HeldLimit]; their error is a [HeldError], which has the process's number.
// A wait that has no end says so in the default log of package slog, once.
//
// # Layout
//
//	0      the header: what it is, the bounds; the lock; the heads of the lists; who waits
//	4096   MaxParties parties of 64 bytes: generation, process, the words that they sleep on
//	20480  Slots slots of 32 bytes: state, number, length, links
//	…      Slots places of SlotSize bytes
//
// A slot's state is one word, and it is all that counts:
//
//	         Put                  Put: all is copied          Get                      Done
//	free ──────────▶ writing(w) ────────────────────▶ full ──────────▶ taken(c) ────────────────▶ free
//	  ▲                 │                               ▲                 │
//	  └── w has died ───┘                               └── c has died ───┘
//
// An item that is longer than a slot spans several, chained behind the first, whose state speaks for all. Everything
// else (the list of free slots, the queue of full ones, the counts) is derived from the states, is changed under one
// lock, and is made anew whenever a party died: so there is no state between two that would have to be mended. Bytes
// are copied without the lock, to slots that are writing and from slots that are taken; a few bytes alone are copied
// under it. One holding of it takes or frees 256 slots at most: an item of more is writing while it gets its slots by
// several, and again, from Done on, while it gives them back.
//
// The lock is a futex (futex(2), without FUTEX_PRIVATE_FLAG) that has its owner's number and generation in it. Who
// waits for it longer than a millisecond asks whether the owner lives, and takes it from a dead one by exchanging
// exactly that word; what derived state the owner left behind is then made anew. The party's entry has the number of
// its process. Robust futexes (set_robust_list(2)) would have the kernel do that, but they belong to a thread, and a
// goroutine changes threads.
//
// What is read from shared memory is checked before use. Numbers that make no sense end in [ErrCorrupt], for all
// parties, never in memory that is not the ring's. Memory without a name is sealed, so that nobody can cut it off;
// cutting a named file off gives ErrCorrupt too.
//
// It needs Linux, 4.5 or later with /proc; elsewhere everything fails with an error that is an [errors.ErrUnsupported].
package shm
