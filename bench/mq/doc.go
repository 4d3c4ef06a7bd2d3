// Command mq puts package mq beside the brokers' own Go clients, on the same broker in the same run: how many jobs of
// 100 bytes a second are stored durably, by one and by 64 publishers at once and in batches of 100; how many are done
// a second, 64 at once, each acknowledged; and how long one takes from the call of Publish to the handler, on a queue
// that is empty else.
//
//	cd bench && go run ./mq                           all brokers that are installed, 5 rounds of a second a piece
//	go run ./mq -brokers nats+embedded -rounds 20
//
// The brokers are nats+embedded (a server in this process; its raw client comes by a port), nats (the same server, for
// both by a port), redis (redis-server with appendfsync always) and amqp (rabbitmq-server, a quorum queue). All sync
// before they answer. Raw are nats.go (JetStream: Publish, PublishAsync, Consume and Ack), go-redis (XADD, a pipeline
// of them, XREADGROUP and XACK of each) and amqp091 (a confirm of each, prefetch and Ack of each). Both sides have at
// most 64 jobs that are not acknowledged: who takes more ahead is faster, and holds back jobs from others.
//
// The two take turns, and the first of a round is the second of the next. Ratios are the medians of those of the same
// round, with their quartiles.
package main
