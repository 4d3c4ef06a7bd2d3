// Package redis has the schemes redis:// and rediss:// of package mq: queues and key-value stores on one Redis server
// of version 7.0 or later, or what speaks as it does.
//
//	redis://USER:PASSWORD@HOST:6379/DB?durable=no&replicas=1&prefix=app
//
// A queue is streams, one for each of its groups, and each step of a job is one script, which the server runs whole or
// not at all: a job that is buried is in the stream of the dead and gone from its group, or neither; one whose time has
// come is moved once. Only new jobs of a queue that is not ordered are also taken by XREADGROUP alone, for 10 ms after
// the script. The scripts lie in the folder lua, with a table of the keys.
//
// # What is promised
//
// Publish returns when the server has the job in its append-only file and that file on the disk. That holds where
// appendonly is yes, appendfsync is always and no-appendfsync-on-rewrite is no, and Open asks the server for them.
// Where it is otherwise, or the server does not tell, Open fails, unless the URL has a word on it:
//
//   - durable=no takes the server as it is: Capabilities.Durability is then mq.Written or mq.InMemory.
//   - durable=trust takes the word of whoever wrote the URL that the server is set as said; it is for a server that
//     does not let its clients ask (CONFIG refused), and of no use with one that does.
//
// replicas=N has Publish wait until N replicas have the job too (WAIT); it returns an error with mq.IsStored if they do
// not within [ReplicaWait]. A replica has it in memory, so this is not mq.Replicated: when a replica takes over after
// its main server was lost, what only the main one had is lost.
//
// A server that pushes out keys to make room (maxmemory with a policy other than noeviction) is refused: it would drop
// jobs. A server that is out of memory refuses jobs with mq.ErrFull. One with appendfsync always whose disk is full
// ends itself, and must be started again when there is room.
//
// Redis Cluster is not supported: a queue's keys are in one slot, but the list of queues is in another.
//
// # A worker's death
//
// Each consumer holds a connection for its sign of life. When that ends, other consumers of the group see it (CLIENT
// LIST) within half a second, and its jobs are handed out again. Where the server does not let them look, or where the
// worker's machine vanished without a word, its jobs come back after Consumer.Visibility.
package redis
