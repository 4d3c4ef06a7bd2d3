// Package ipc lets processes talk to each other: a [Pipe] of messages, values that a [Manager] shares, and the wire
// format of Python's multiprocessing.connection ([DialPython], [ListenPython]).
//
//	mine, theirs, err := ipc.NewPipe(ipc.Options{})      // a two-way pipe: theirs goes to a child as one of its files
//	err = mine.Send(ctx, []byte("hello"))                // one message, whole or not at all
//	msg, err := mine.Recv(ctx)
//
//	m, err := ipc.ServeManager("/run/app/values", ipc.ManagerOptions{})       // in one process
//	c, err := ipc.DialManager(ctx, "/run/app/values", token)                  // in all others
//	n, err := ipc.OpenCounter(c, "visits").Add(ctx, 1)
//
// # Coroutines and goroutines
//
// Every call that may wait takes a context, and may be made from both. Called by a coroutine with the context that
// package coro gave its task, or one derived from it, it parks the coroutine while the loop goes on. Called by a
// goroutine it blocks it. A coroutine that passes another context, such as context.Background(), blocks its loop. The
// context's end, by cancellation or deadline, ends the wait with its cause.
//
// # What the processes are to each other
//
// A pipe by [NewPipe] is known to those alone who got it. A path in the file system has the permissions 0600 unless
// asked otherwise, so that processes of the same user may connect; a Manager wants to see a token besides, and Python's
// format has its authkey. What is authenticated is the connection's beginning: neither encrypts, so on a network that
// others share Python's format over tcp is not for secrets.
//
// Every message has a greatest size, every queue and table a bound; those are named with the options. A process that is
// killed at any moment harms nobody else: its locks are released, its waits forgotten, its part of a barrier is broken.
package ipc
